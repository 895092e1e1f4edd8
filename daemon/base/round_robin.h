/* turns.h - connections that wait for a turn, in one line for each user: the first of each line has
 * its turn, one line after the other. So a user with many connections waits for itself, and others
 * wait for one connection of each user.
 *
 * No loop, no memory of its own: places and lines are parts of what waits, and of its user, which
 * must not move meanwhile. One thread. */
#ifndef FC_DAEMON_TURNS_H
#define FC_DAEMON_TURNS_H

#include <stddef.h>
#include <stdint.h>

struct round_robin_queue;

/* One that waits, or not. Zero to start. */
struct round_robin_item {
  struct round_robin_queue *line; /* NULL: it does not wait */
  struct round_robin_item *next, *prev;
};

/* What one user has waiting. Zero to start; empty at the end. */
struct round_robin_queue {
  struct round_robin_item *first, *last;
  uint32_t n;
  struct round_robin *turns; /* NULL: it is empty, and in no list */
  struct round_robin_queue *next, *prev;
};

/* All lines that are not empty, in the order of their turns. Zero to start. */
struct round_robin {
  struct round_robin_queue *first, *last;
  uint32_t n; /* lines */
};

/* `turn`, which does not wait, becomes the last of its line. */
void round_robin_add(struct round_robin *turns, struct round_robin_queue *line, struct round_robin_item *turn);

/* Takes it out of its line; nothing happens if it does not wait. */
void round_robin_remove(struct round_robin_item *turn);

/* Takes the first of the first line out, and makes that line the last. NULL: none waits. */
struct round_robin_item *round_robin_next(struct round_robin *turns);

/* Makes a line that is not empty the last. */
void round_robin_move_last(struct round_robin_queue *line);

#endif
