#include "tests/fleet_sim/sim_memory.h"

#include <stdio.h>
#include <stdlib.h>

static _Noreturn void fail(void) {
  (void)fputs("fleet_sim: no memory: simulate fewer nodes or keys\n", stderr);
  exit(1);
}

void sim_check_memory(bool good) {
  if (!good)
    fail();
}

void *sim_alloc(size_t n, size_t size) {
  void *memory = calloc(n == 0 ? 1 : n, size);
  if (memory == NULL)
    fail();
  return memory;
}

void *sim_grow(void *array, size_t n, size_t *capacity, size_t size) {
  if (n < *capacity)
    return array;
  *capacity = *capacity == 0 ? 8 : *capacity * 2;
  void *grown = reallocarray(array, *capacity, size);
  sim_check_memory(grown != NULL);
  return grown;
}
