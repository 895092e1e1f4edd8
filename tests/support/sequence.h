/* sequence.h - clients that look things up in an order that is known beforehand, so that the trace
 * can be held against it line by line: none is missing, doubled, or out of its place.
 *
 * Client number c is called "cC". Its lookup i is of a key that all share, and hits; but each
 * SEQUENCE_MISS_EVERYth is of a key of its own, which it computes. */
#ifndef FC_TESTS_SEQUENCE_H
#define FC_TESTS_SEQUENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "fcache.h"

#define SEQUENCE_KEYS 997u
#define SEQUENCE_MISS_EVERY 64u
#define SEQUENCE_CLIENTS_MAX 256u

/* Puts what they share, unrecorded. Ends the test where it cannot. */
void sequence_prepare(struct fcache *cache);

/* A handle for a client of the namespace "sequence", patient; for children: NULL, said on stderr,
 * where there is none that is connected. */
struct fcache *sequence_open(const char *socket, unsigned client);

/* One lookup: true where it gave the right value, computed where it is to be and only there. */
bool sequence_step(struct fcache *cache, unsigned client, uint64_t i, struct fcache_value *value);

/* Of the first `lookups` of a client. */
static inline uint64_t sequence_misses(uint64_t lookups) {
  return lookups / SEQUENCE_MISS_EVERY;
}
static inline uint64_t sequence_hits(uint64_t lookups) {
  return lookups - sequence_misses(lookups);
}

/* Reads a trace in which there is nothing else: how many lookups of each client it has. Ends the
 * test at a line that is not its client's next. */
void sequence_read(const char *trace, uint64_t lookups[SEQUENCE_CLIENTS_MAX]);

#endif
