/* storm.h - one writer, which is the daemon's own store in a region that is shared,
 * against readers, which are the client's own region_reader_get, over the same few keys: puts,
 * replacements, evictions, clears and moves that give the same blocks to one entry after
 * the other. What a reader gets is checked to the last byte. */
#ifndef FC_TESTS_STORM_H
#define FC_TESTS_STORM_H

#include <stdbool.h>
#include <stdint.h>

struct storm_plan {
  uint64_t reads;   /* of all readers together */
  uint32_t readers; /* up to STORM_READERS_MAX */
  uint32_t buckets; /* that all keys are in */
  bool processes;   /* each reader a process that maps the region; else a thread, over the
                       writer's own mapping, so that ThreadSanitizer sees both sides */
  bool until_wrong; /* ends with the first wrong answer */
  double limit_s;   /* ends then in any case */
};
#define STORM_READERS_MAX 8u

/* What the readers saw. */
struct storm_reads {
  uint64_t hits, misses, busy;
  uint64_t torn; /* bytes that no version has */
  uint64_t old;  /* a version that was replaced or cleared when the read began, or one before
                    what the same reader had seen */
  uint64_t gone; /* misses of pinned keys */
  uint64_t dead; /* the region was said to be dead or retired */
};

void storm_reads_add(struct storm_reads *sum, const struct storm_reads *reads);

/* What the writer did: a storm that never did one of these would prove little. */
struct storm_writes {
  uint64_t puts, replaced, same_size, kept, evicted, forced, clears, cleared, moves, in_pieces;
  uint64_t failed; /* puts, which the storm is made not to have */
};

struct storm_result {
  struct storm_reads reads;
  struct storm_writes writes;
  double took_s;
  bool finished; /* all reads were made */
  bool crashed;  /* a reader ended otherwise than by its own will */
};

static inline uint64_t storm_answers(const struct storm_result *result) {
  return result->reads.hits + result->reads.misses + result->reads.busy;
}

/* False, with the reason on stderr, where it could not be begun. */
bool storm_run(const struct storm_plan *plan, struct storm_result *result);

/* One paragraph to stdout. */
void storm_print(const char *name, const struct storm_result *result);

#endif
