#include "daemon/base/turns.h"

#include <assert.h>

static void join(struct turns *turns, struct turn_line *line) {
  line->turns = turns;
  line->next = NULL;
  line->prev = turns->last;
  *(turns->last == NULL ? &turns->first : &turns->last->next) = line;
  turns->last = line;
  turns->n++;
}

static void leave(struct turn_line *line) {
  struct turns *turns = line->turns;
  *(line->prev == NULL ? &turns->first : &line->prev->next) = line->next;
  *(line->next == NULL ? &turns->last : &line->next->prev) = line->prev;
  line->turns = NULL;
  turns->n--;
}

void turns_add(struct turns *turns, struct turn_line *line, struct turn *turn) {
  assert(turn->line == NULL);
  turn->line = line;
  turn->next = NULL;
  turn->prev = line->last;
  *(line->last == NULL ? &line->first : &line->last->next) = turn;
  line->last = turn;
  if (line->n++ == 0)
    join(turns, line);
}

void turns_remove(struct turn *turn) {
  struct turn_line *line = turn->line;
  if (line == NULL)
    return;
  *(turn->prev == NULL ? &line->first : &turn->prev->next) = turn->next;
  *(turn->next == NULL ? &line->last : &turn->next->prev) = turn->prev;
  turn->line = NULL;
  if (--line->n == 0)
    leave(line);
}

void turns_put_last(struct turn_line *line) {
  struct turns *turns = line->turns;
  leave(line);
  join(turns, line);
}

struct turn *turns_next(struct turns *turns) {
  struct turn_line *line = turns->first;
  if (line == NULL)
    return NULL;
  struct turn *turn = line->first;
  turns_put_last(line);
  turns_remove(turn);
  return turn;
}
