#include "crash_order.h"

#include <string.h>

#define NO_KEY UINT32_MAX

/* Moves the key to the front, and adds it if it is absent and the step is a put. Evicted keys stay
 * in the model, behind all others: later lookups of them have no effect. */
static void apply(struct crash_list *list, const struct crash_step *step) {
  uint32_t at = 0;
  while (at < list->n && list->keys[at] != step->key)
    at++;
  if (step->without_effect || (at == list->n && !step->is_put))
    return;
  list->n += at == list->n;
  memmove(list->keys + 1, list->keys, at * sizeof list->keys[0]);
  list->keys[0] = step->key;
}

/* Returns the number of entries that are missing at the end, or UINT32_MAX if the order differs.
 * `torn`: a key that may be missing, or NO_KEY. */
static uint32_t missing_at_end(const struct crash_list *model, const struct crash_list *after,
                               uint32_t torn) {
  uint32_t at = 0, i = 0;
  for (; i < model->n && at < after->n; i++) {
    if (model->keys[i] == after->keys[at])
      at++;
    else if (model->keys[i] != torn)
      return UINT32_MAX;
  }
  return at < after->n ? UINT32_MAX : model->n - i;
}

/* Returns whether the order is that of the model, after evictions. */
static bool is_order(const struct crash_board *board, const struct crash_list *model,
                     const struct crash_list *after, uint32_t torn, uint64_t evicted) {
  uint32_t missing = missing_at_end(model, after, torn);
  return missing == 0 || (board->evicts && missing <= evicted + 1);
}

/* Returns whether the order is that after the first `n` steps, or after these and the last one,
 * which the next daemon completed. If the last one is a hit from the region, both are possible: the
 * worker may have looked at the phase after the kill, and its record was in the ring of the killed
 * daemon. */
static bool is_order_after(const struct crash_board *board, const struct crash_list *model,
                           uint32_t n, const struct crash_list *after, uint64_t evicted) {
  static struct crash_list last;
  uint32_t begun = atomic_load(&board->steps);
  bool crossed = atomic_load(&board->last_step_done);
  uint32_t torn = n < begun && board->step[n].is_put && !crossed ? board->step[n].key : NO_KEY;
  if (!crossed || n == begun)
    return is_order(board, model, after, torn, evicted);
  if (board->step[begun - 1].in_ring && is_order(board, model, after, torn, evicted))
    return true;
  last = *model;
  apply(&last, &board->step[begun - 1]);
  return is_order(board, &last, after, torn, evicted);
}

/* Says where the order differs from that after all steps that were acknowledged. */
static void report(struct crash_board *board, const struct crash_order *order,
                   const struct crash_list *model, const struct crash_list *after,
                   uint64_t evicted) {
  uint32_t at = 0, done = atomic_load(&board->steps_done), begun = atomic_load(&board->steps);
  while (at < model->n && at < after->n && model->keys[at] == after->keys[at])
    at++;
  crash_report(board, CRASH_DISORDER,
               "after %u ordered steps (%u begun) of %u entries, %u are listed in another order; "
               "%llu evicted; at place %u of %u key %u is listed instead of key %u; the next keys "
               "are %u and %u",
               done, begun, order->before.n, after->n, (unsigned long long)evicted, at, model->n,
               at < after->n ? after->keys[at] : NO_KEY, at < model->n ? model->keys[at] : NO_KEY,
               at + 1 < after->n ? after->keys[at + 1] : NO_KEY,
               at + 1 < model->n ? model->keys[at + 1] : NO_KEY);
}

void crash_order_check(struct crash_board *board, const struct crash_order *order,
                       const struct crash_list *after, uint64_t evictions) {
  static struct crash_list model, acked;
  uint32_t done = atomic_load(&board->steps_done), begun = atomic_load(&board->steps);
  uint64_t evicted = evictions - order->evictions;
  model = order->before;
  for (uint32_t n = 0; n <= begun; n++) {
    if (n == done)
      acked = model;
    if (n >= done && is_order_after(board, &model, n, after, evicted))
      return;
    if (n < begun)
      apply(&model, &board->step[n]);
  }
  report(board, order, &acked, after, evicted);
}
