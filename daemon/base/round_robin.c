#include "daemon/base/round_robin.h"

#include <assert.h>

static void join(struct round_robin *turns, struct round_robin_queue *line) {
  line->turns = turns;
  line->next = NULL;
  line->prev = turns->last;
  *(turns->last == NULL ? &turns->first : &turns->last->next) = line;
  turns->last = line;
  turns->n++;
}

static void leave(struct round_robin_queue *line) {
  struct round_robin *turns = line->turns;
  *(line->prev == NULL ? &turns->first : &line->prev->next) = line->next;
  *(line->next == NULL ? &turns->last : &line->next->prev) = line->prev;
  line->turns = NULL;
  turns->n--;
}

void round_robin_add(struct round_robin *turns, struct round_robin_queue *line, struct round_robin_item *turn) {
  assert(turn->line == NULL);
  turn->line = line;
  turn->next = NULL;
  turn->prev = line->last;
  *(line->last == NULL ? &line->first : &line->last->next) = turn;
  line->last = turn;
  if (line->n++ == 0)
    join(turns, line);
}

void round_robin_remove(struct round_robin_item *turn) {
  struct round_robin_queue *line = turn->line;
  if (line == NULL)
    return;
  *(turn->prev == NULL ? &line->first : &turn->prev->next) = turn->next;
  *(turn->next == NULL ? &line->last : &turn->next->prev) = turn->prev;
  turn->line = NULL;
  if (--line->n == 0)
    leave(line);
}

void round_robin_move_last(struct round_robin_queue *line) {
  struct round_robin *turns = line->turns;
  leave(line);
  join(turns, line);
}

struct round_robin_item *round_robin_next(struct round_robin *turns) {
  struct round_robin_queue *line = turns->first;
  if (line == NULL)
    return NULL;
  struct round_robin_item *turn = line->first;
  round_robin_move_last(line);
  round_robin_remove(turn);
  return turn;
}
