/* crash_order.h - the model of the ordered phase: the LRU order from which it began, and the order
 * after each of its steps. After a kill the daemon's order must be one of those that are possible:
 * all steps that were acknowledged, and maybe some of the others. */
#ifndef FC_TESTS_CRASH_ORDER_H
#define FC_TESTS_CRASH_ORDER_H

#include "crash_list.h"

struct crash_order {
  struct crash_list before;
  uint64_t evictions; /* then */
};

/* Compares. `evictions`: the daemon's counter now. Entries evicted since are missing at the end.
 * The one entry whose put was in progress may be missing too. */
void crash_order_check(struct crash_board *board, const struct crash_order *order,
                       const struct crash_list *after, uint64_t evictions);

#endif
