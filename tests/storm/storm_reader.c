#include "storm_reader.h"

#include <stdlib.h>

#include "tests/support/region_lookup.h"

struct memory {
  uint64_t newest[STORM_KEYS]; /* by key: the newest version that was seen */
  struct fcache_value value;
};

/* Judges a hit of a read that began after `floor` was loaded. */
static void judge(uint32_t key, uint64_t floor, const struct region_reader_hit *hit,
                  struct memory *memory, struct storm_reads *reads) {
  uint64_t version = hit->compute_ns;
  const struct fcache_value *value = &memory->value;
  if ((uint32_t)hit->origin != key || !storm_value_is(value->data, value->size, key, version))
    reads->torn++;
  else if (version < floor || version < memory->newest[key])
    reads->old++;
  else
    memory->newest[key] = version;
}

static void read_one(const struct storm_reader *reader, uint32_t key, struct memory *memory,
                     struct storm_reads *reads) {
  struct region_reader_hit hit;
  /* Acquire: the lookup begins after it, and so after the operation that the floor acknowledges. */
  uint64_t floor = atomic_load_explicit(&reader->board->floor[key], memory_order_acquire);
  if (!reader->history && !region_reader_is_live(reader->map)) {
    reads->dead++;
    return;
  }
  switch (region_lookup(reader->map, reader->name_space, reader->keys[key].digest,
                        &reader->keys[key].key, &memory->value, &hit)) {
  case REGION_READER_HIT:
    reads->hits++;
    judge(key, floor, &hit, memory, reads);
    break;
  case REGION_READER_MISS:
    reads->misses++;
    reads->gone += key < STORM_PINNED;
    break;
  default:
    reads->busy++;
  }
}

/* Chooses a random key, or in half of the cases the one that is probably evicted next. */
static uint32_t choose(const struct storm_board *board, uint64_t random) {
  uint32_t next = atomic_load_explicit(&board->next_victim, memory_order_relaxed);
  return random >> 63 != 0 ? next : (uint32_t)(random % STORM_KEYS);
}

void storm_reader_run(const struct storm_reader *reader) {
  struct storm_board *board = reader->board;
  struct memory memory = {0};
  struct storm_reads reads = {0};
  uint64_t random = 1000 + reader->number;
  for (uint64_t i = 0; i < reader->n_reads; i++) {
    read_one(reader, choose(board, storm_random(&random)), &memory, &reads);
    if (reader->until_wrong && reads.torn + reads.old > 0)
      atomic_store_explicit(&board->stop, true, memory_order_relaxed);
    if (atomic_load_explicit(&board->stop, memory_order_relaxed))
      break;
  }
  free(memory.value.data);
  board->reads[reader->number] = reads;
  /* Release: a thread that sees one reader less sees its results. */
  atomic_fetch_sub_explicit(&board->running, 1, memory_order_release);
}
