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

struct turn_line;

/* One that waits, or not. Zero to start. */
struct turn {
  struct turn_line *line; /* NULL: it does not wait */
  struct turn *next, *prev;
};

/* What one user has waiting. Zero to start; empty at the end. */
struct turn_line {
  struct turn *first, *last;
  uint32_t n;
  struct turns *turns; /* NULL: it is empty, and in no list */
  struct turn_line *next, *prev;
};

/* All lines that are not empty, in the order of their turns. Zero to start. */
struct turns {
  struct turn_line *first, *last;
  uint32_t n; /* lines */
};

/* `turn`, which does not wait, becomes the last of its line. */
void turns_add(struct turns *turns, struct turn_line *line, struct turn *turn);

/* Takes it out of its line; nothing happens if it does not wait. */
void turns_remove(struct turn *turn);

/* Takes the first of the first line out, and makes that line the last. NULL: none waits. */
struct turn *turns_next(struct turns *turns);

/* Makes a line that is not empty the last. */
void turns_put_last(struct turn_line *line);

#endif
