/* sim_memory.h - memory of the simulation, which ends without any. */
#ifndef FC_TESTS_SIM_MEMORY_H
#define FC_TESTS_SIM_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* Ends the program, with a message, if `good` is false. */
void sim_check_memory(bool good);

/* Returns zeroed memory, which the caller frees. */
void *sim_alloc(size_t n, size_t size);

/* Returns an array of capacity *capacity with room for one more than n. */
void *sim_grow(void *array, size_t n, size_t *capacity, size_t size);

#endif
