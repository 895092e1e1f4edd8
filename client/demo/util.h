/* util.h - the demo's small change: memory that is there or ends the program, a
 * seeded random generator, a clock. No state of its own; any thread. */
#ifndef DEMO_UTIL_H
#define DEMO_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Zeroed memory for `n` objects of `size` bytes, the caller's to free. Where
 * there is none the program ends with one line: a demo has nothing to save. */
void *demo_alloc(size_t n, size_t size);

/* Grows (or shrinks) `old` to `n` objects; new bytes are not zeroed. Ends the
 * program likewise. */
void *demo_realloc(void *old, size_t n, size_t size);

/* The next of a sequence of pseudo-random numbers (splitmix64). */
uint64_t demo_random(uint64_t *state);

/* A number in [low, high], both included; low <= high. */
size_t demo_random_between(uint64_t *state, size_t low, size_t high);

#define DEMO_PATH_SIZE 4096

/* Prints a path. One that does not fit ends the program likewise. */
__attribute__((format(printf, 2, 3))) void demo_path(char path[DEMO_PATH_SIZE], const char *format,
                                                     ...);

/* Reads a line "NUMBER NAME", NAME being all up to the newline, of at most
 * name_size - 1 bytes. False at the end, or where a line is another. */
bool demo_read_figure(FILE *file, double *number, char *name, size_t name_size);

/* The same with a whole number, in full precision. */
bool demo_read_count(FILE *file, uint64_t *number, char *name, size_t name_size);

/* The monotonic clock, in nanoseconds. */
uint64_t demo_now_ns(void);

#endif
