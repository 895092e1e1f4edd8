#include "tests/bench/bench_order.h"

void order_round(const size_t *groups, size_t n, size_t round, size_t *order) {
  for (size_t i = 0; i < n; i++)
    order[i] = i;
  for (size_t i = 0; i + 1 < n; i++) {
    if ((i == 0 || groups[i] != groups[i - 1]) && groups[i + 1] == groups[i]) {
      order[i] = i + 1;
      order[i + 1] = i;
    }
  }
  for (size_t i = 0; round % 2 == 1 && i < n / 2; i++) {
    size_t first = order[i];
    order[i] = order[n - 1 - i];
    order[n - 1 - i] = first;
  }
}
