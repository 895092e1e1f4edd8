/* storm.h - one writer, the daemon's store in a shared region, against readers with the client's
 * region_reader_get, over few keys. Puts, replacements, evictions, clears and moves give the same
 * blocks to one entry after another. Every byte that a reader gets is checked. */
#ifndef FC_TESTS_STORM_H
#define FC_TESTS_STORM_H

#include <stdbool.h>
#include <stdint.h>

struct storm_plan {
  uint64_t reads;   /* of all readers together */
  uint32_t readers; /* up to STORM_READERS_MAX */
  uint32_t buckets; /* that hold all keys */
  bool processes; /* each reader is a process that maps the region; else a thread with the writer's
                     mapping, so that ThreadSanitizer sees both sides */
  bool until_wrong; /* ends with the first wrong answer */
  double limit_s;   /* ends then in any case */
};
#define STORM_READERS_MAX 8u

/* Results of the readers. */
struct storm_reads {
  uint64_t hits, misses, busy;
  uint64_t torn; /* bytes of no version */
  uint64_t old;  /* a version that was replaced or cleared before the read began, or that is older
                    than one that the same reader has seen */
  uint64_t gone; /* misses of pinned keys */
  uint64_t dead; /* the region seemed dead or retired */
};

void storm_reads_add(struct storm_reads *sum, const struct storm_reads *reads);

/* Counts of the writer. A storm without one of these proves little. */
struct storm_writes {
  uint64_t puts, replaced, same_size, kept, evicted, forced, clears, cleared, moves, in_pieces;
  uint64_t failed; /* puts; the storm has room for all */
};

struct storm_result {
  struct storm_reads reads;
  struct storm_writes writes;
  double took_s;
  bool finished; /* all reads were done */
  bool crashed;  /* a reader crashed */
};

static inline uint64_t storm_answers(const struct storm_result *result) {
  return result->reads.hits + result->reads.misses + result->reads.busy;
}

/* Returns false, with the reason on stderr, if the storm could not start. */
bool storm_run(const struct storm_plan *plan, struct storm_result *result);

/* Prints one paragraph to stdout. */
void storm_print(const char *name, const struct storm_result *result);

#endif
