/* round_robin.h - items that wait for a turn, with one queue for each user. The queues take turns,
 * and the first item of a queue is served. So a user with many connections waits for itself, and
 * others wait for one connection of each user.
 *
 * Allocates nothing: items and queues are fields of the structs that wait and of their users, and
 * must not move while they are linked. One thread. */
#ifndef FC_DAEMON_ROUND_ROBIN_H
#define FC_DAEMON_ROUND_ROBIN_H

#include <stddef.h>
#include <stdint.h>

struct round_robin_queue;

/* Zero at the start. */
struct round_robin_item {
  struct round_robin_queue *queue; /* NULL: not waiting */
  struct round_robin_item *next, *prev;
};

/* The items of one user. Zero at the start; must be empty at the end. */
struct round_robin_queue {
  struct round_robin_item *first, *last;
  uint32_t n;
  struct round_robin *owner; /* NULL: empty, and not linked */
  struct round_robin_queue *next, *prev;
};

/* The queues that are not empty, in the order of their turns. Zero at the start. */
struct round_robin {
  struct round_robin_queue *first, *last;
  uint32_t n; /* queues */
};

/* Appends an item that is not waiting to the queue. */
void round_robin_add(struct round_robin *robin, struct round_robin_queue *queue,
                     struct round_robin_item *item);

/* Removes the item from its queue. Idempotent. */
void round_robin_remove(struct round_robin_item *item);

/* Removes and returns the first item of the first queue, and moves that queue to the end. Returns
 * NULL if no item waits. */
struct round_robin_item *round_robin_next(struct round_robin *robin);

/* Moves a queue that is not empty to the end. */
void round_robin_move_last(struct round_robin_queue *queue);

#endif
