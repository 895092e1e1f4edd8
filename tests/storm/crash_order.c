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

void crash_order_check(struct crash_board *board, const struct crash_order *order,
                       const struct crash_list *after, uint64_t evictions) {
  static struct crash_list model;
  uint32_t done = atomic_load(&board->steps_done), begun = atomic_load(&board->steps);
  uint64_t evicted = evictions - order->evictions;
  model = order->before;
  for (uint32_t i = 0; i <= begun; i++) {
    uint32_t torn = i < begun && board->step[i].is_put ? board->step[i].key : NO_KEY;
    uint32_t missing = i < done ? UINT32_MAX : missing_at_end(&model, after, torn);
    if (missing == 0 || (board->evicts && missing <= evicted + 1))
      return;
    if (i < begun)
      apply(&model, &board->step[i]);
  }
  crash_report(board, CRASH_DISORDER,
               "after %u ordered steps (%u begun) of %u entries, %u are listed in another order; "
               "%llu evicted",
               done, begun, order->before.n, after->n, (unsigned long long)evicted);
}
