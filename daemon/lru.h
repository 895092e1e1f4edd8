/* lru.h - a list from the most to the least recently used, linked through its
 * members: nothing here allocates or fails. A member stands in at most one list
 * per node, and leaves it before its memory goes. One thread. */
#ifndef FC_DAEMON_LRU_H
#define FC_DAEMON_LRU_H

#include <stddef.h>

struct lru_node {
  struct lru_node *newer, *older;
};

/* A ring closed by `end`: end.older is the most recently used, end.newer the
 * least. The struct must not be moved once it is initialised. */
struct lru {
  struct lru_node end;
};

void lru_init(struct lru *lru);

/* Adds as the most recently used. `node` stands in no list. */
void lru_add(struct lru *lru, struct lru_node *node);

void lru_remove(struct lru_node *node);

/* Makes a member the most recently used. */
void lru_promote(struct lru *lru, struct lru_node *node);

/* The ends of the list, and the neighbours of a member; NULL where there is none. */
struct lru_node *lru_newest(const struct lru *lru);
struct lru_node *lru_oldest(const struct lru *lru);
struct lru_node *lru_older(const struct lru *lru, const struct lru_node *node);
struct lru_node *lru_newer(const struct lru *lru, const struct lru_node *node);

#endif
