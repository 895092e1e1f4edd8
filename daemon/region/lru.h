/* lru.h - a list of entries from the most to the least recently used, linked through
 * their numbers: nothing here allocates or fails. An entry stands in at most one list
 * of each kind, and leaves it before its slot is given back. One thread. */
#ifndef FC_DAEMON_LRU_H
#define FC_DAEMON_LRU_H

#include <stdint.h>

#include "daemon/base/slots.h"

struct entry;

enum lru_kind { LRU_OF_ALL, LRU_OF_NAMESPACE, LRU_KINDS };

/* Numbers of entries; 0: none. */
struct lru_node {
  uint32_t newer, older;
};
struct lru {
  uint32_t newest, oldest;
};

void lru_init(struct lru *lru);

/* `entries`: where the numbers lead to (heap.h). */

/* Adds as the most recently used. The entry stands in no list of that kind. */
void lru_add(struct lru *lru, enum lru_kind kind, const struct slots *entries, uint32_t number);

void lru_remove(struct lru *lru, enum lru_kind kind, const struct slots *entries, uint32_t number);

/* Makes a member the most recently used. */
void lru_promote(struct lru *lru, enum lru_kind kind, const struct slots *entries,
                 struct entry *entry);

/* A member has another number from now on, at which its node stands already. */
void lru_renumber(struct lru *lru, enum lru_kind kind, const struct slots *entries, uint32_t from,
                  uint32_t to);

#endif
