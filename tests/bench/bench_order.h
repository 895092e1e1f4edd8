/* bench_order.h - the order of the rows in a round. */
#ifndef BENCH_ORDER_H
#define BENCH_ORDER_H

#include <stddef.h>

/* Rows that are compared with each other are neighbours and have the same number in `groups`, the
 * first of them is the one that the others are compared with. Writes the order of round `round` to
 * `order`: the groups one after the other, and in each the first row as the second, so that two
 * others are measured directly beside it. Every second round has the opposite order, so that each
 * of a pair comes first equally often. */
void order_round(const size_t *groups, size_t n, size_t round, size_t *order);

#endif
