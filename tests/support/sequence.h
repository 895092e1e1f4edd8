/* sequence.h - clients whose lookups have a known order, so that a test can compare the trace line
 * by line and detect a missing, doubled or misplaced line.
 *
 * Client number c is called "cC". Its lookup i is a hit on a key that all clients share, except
 * that every SEQUENCE_MISS_EVERYth lookup is a miss on a key of its own, which it computes. */
#ifndef FC_TESTS_SEQUENCE_H
#define FC_TESTS_SEQUENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "fcache.h"

#define SEQUENCE_KEYS 997u
#define SEQUENCE_MISS_EVERY 64u
#define SEQUENCE_CLIENTS_MAX 256u

/* Puts the shared keys, unrecorded. Ends the test on an error. */
void sequence_prepare(struct fcache *cache);

/* Opens a patient handle in the namespace "sequence". For children: returns NULL, with a message on
 * stderr, if it is not connected. */
struct fcache *sequence_open(const char *socket, unsigned client);

/* Does one lookup. Returns true if the value is right and was computed only if the lookup was to
 * miss. */
bool sequence_step(struct fcache *cache, unsigned client, uint64_t i, struct fcache_value *value);

/* Returns how many of a client's first `lookups` are misses, or hits. */
static inline uint64_t sequence_misses(uint64_t lookups) {
  return lookups / SEQUENCE_MISS_EVERY;
}
static inline uint64_t sequence_hits(uint64_t lookups) {
  return lookups - sequence_misses(lookups);
}

/* Reads a trace that has only these lines, and counts the lookups of each client. Ends the test at
 * a line that is not the client's next. */
void sequence_read(const char *trace, uint64_t lookups[SEQUENCE_CLIENTS_MAX]);

#endif
