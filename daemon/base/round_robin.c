#include "daemon/base/round_robin.h"

#include <assert.h>

static void link_last(struct round_robin *robin, struct round_robin_queue *queue) {
  queue->owner = robin;
  queue->next = NULL;
  queue->prev = robin->last;
  *(robin->last == NULL ? &robin->first : &robin->last->next) = queue;
  robin->last = queue;
  robin->n++;
}

static void unlink_queue(struct round_robin_queue *queue) {
  struct round_robin *robin = queue->owner;
  assert(robin != NULL && robin->n > 0);
  *(queue->prev == NULL ? &robin->first : &queue->prev->next) = queue->next;
  *(queue->next == NULL ? &robin->last : &queue->next->prev) = queue->prev;
  queue->owner = NULL;
  robin->n--;
  assert((robin->n == 0) == (robin->first == NULL));
}

void round_robin_add(struct round_robin *robin, struct round_robin_queue *queue,
                     struct round_robin_item *item) {
  assert(item->queue == NULL);
  assert((queue->n == 0) == (queue->owner == NULL));
  item->queue = queue;
  item->next = NULL;
  item->prev = queue->last;
  *(queue->last == NULL ? &queue->first : &queue->last->next) = item;
  queue->last = item;
  if (queue->n++ == 0)
    link_last(robin, queue);
}

void round_robin_remove(struct round_robin_item *item) {
  struct round_robin_queue *queue = item->queue;
  if (queue == NULL)
    return;
  assert(queue->n > 0);
  *(item->prev == NULL ? &queue->first : &item->prev->next) = item->next;
  *(item->next == NULL ? &queue->last : &item->next->prev) = item->prev;
  item->queue = NULL;
  if (--queue->n == 0)
    unlink_queue(queue);
}

void round_robin_move_last(struct round_robin_queue *queue) {
  struct round_robin *robin = queue->owner;
  unlink_queue(queue);
  link_last(robin, queue);
}

struct round_robin_item *round_robin_next(struct round_robin *robin) {
  struct round_robin_queue *queue = robin->first;
  if (queue == NULL)
    return NULL;
  struct round_robin_item *item = queue->first;
  round_robin_move_last(queue);
  round_robin_remove(item);
  return item;
}
