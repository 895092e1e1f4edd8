/* What a design of the arena costs: a cache is filled and turned over many times, with the books of
 * the daemon's arena and no bytes behind them. The books of entries and the arena's records take
 * their room in it, as in the daemon (daemon/region/heap_chunks.c). Each put evicts from the old
 * end until the byte limit holds; what has to be evicted beyond that, for want of a hole, is what
 * is measured, beside the bytes that were moved to avoid it. `make bench-arena` prints the tables.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "daemon/region/arena.h"

enum {
  HEAD_BYTES = 64, /* of an entry in its first block, and of its op and view */
  NAMES_BYTES = 24,
  PIECE_BYTES = 16,         /* what the head says of a piece */
  BOOKS_BYTES = 96,         /* of an entry, which the limit counts too, and of a hole beside it */
  BOOKS_CHUNK_BYTES = 8304, /* of the books of so many entries, and of twice as many records */
  BOOKS_CHUNK_ENTRIES = 128,
  RECORDS_KEPT = 40, /* for a put */
  KEY_BYTES = 44,    /* names, prompt hash, top_k: with the value, the payload */
  CHUNK_BYTES = 1024,
  CHUNK_BOOKS = 8, /* a link a chunk */
  GETS_PER_PUT = 4,
  TURNOVERS_WARM = 4, /* how often the arena's size is put before it is measured, and then */
  TURNOVERS = 10,
};
static const uint64_t PIECES_FROM = 32u << 10; /* values that may be stored in pieces */

/* ---- designs and mixes ---- */

struct design {
  const char *name;
  bool pieces, gather, chunks;
};
static const struct design designs[] = {
    {.name = "one block"},
    {.name = "pieces", .pieces = true},
    {.name = "gather", .gather = true},
    {.name = "pieces+gather", .pieces = true, .gather = true},
    {.name = "1 KiB chunks", .chunks = true},
};
static const struct design *const chosen = &designs[3];

struct random {
  uint64_t state;
};

static uint64_t random_next(struct random *random) { /* splitmix64 */
  uint64_t z = random->state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

static uint64_t random_below(struct random *random, uint64_t n) {
  return random_next(random) % n;
}

static uint64_t log_uniform(struct random *random, double from, double to) {
  double u = (double)(random_next(random) >> 11) * 0x1p-53;
  return (uint64_t)(from * pow(to / from, u));
}

/* The size of the next value, after `turnovers` of the arena. */
typedef uint64_t mix_fn(struct random *random, double turnovers);

static uint64_t mix_issue(struct random *random, double turnovers) {
  (void)turnovers;
  return log_uniform(random, 64, 1e6);
}
static uint64_t mix_small_then_large(struct random *random, double turnovers) {
  (void)random;
  return (uint64_t)turnovers % 2 == 0 ? 64 : 1000000;
}
static uint64_t mix_two(struct random *random, double turnovers) {
  (void)turnovers;
  return random_next(random) % 2 == 0 ? 3 << 10 : 40 << 10;
}
static uint64_t mix_two_below_pieces(struct random *random, double turnovers) {
  (void)turnovers;
  return random_next(random) % 2 == 0 ? 100 : 31 << 10;
}
static uint64_t mix_drift(struct random *random, double turnovers) {
  (void)random;
  double phase = fmod(turnovers, 4) / 4;
  return (uint64_t)(64 * pow(1e6 / 64, phase));
}
static uint64_t mix_3100(struct random *random, double turnovers) {
  (void)turnovers;
  return 3100 + random_below(random, 2) * 64;
}
static uint64_t mix_below_pieces(struct random *random, double turnovers) {
  (void)turnovers;
  return log_uniform(random, 8 << 10, 32 << 10);
}
static uint64_t mix_tiny(struct random *random, double turnovers) {
  (void)turnovers;
  return random_below(random, 8193);
}
static uint64_t mix_tiny_log(struct random *random, double turnovers) {
  (void)turnovers;
  return log_uniform(random, 1, 8193);
}

/* ---- the cache ---- */

struct setting {
  const struct design *design;
  mix_fn *mix;
  uint64_t max_bytes, slack, max_moved;
  uint64_t pinned_of; /* one block in so many cannot be moved; 0: all can */
};

struct entry {
  struct entry *older, *newer; /* newer is also the next unused one */
  size_t index;                /* in live[] */
  uint64_t value_bytes, charge;
  size_t n_blocks;
  arena_block blocks[ARENA_PIECES_MAX + 1];
};

struct sim {
  const struct setting *setting;
  struct arena arena;
  struct random random;
  struct entry end; /* of the ring of entries, the oldest is its newer */
  struct entry **live;
  size_t n_live, capacity;
  arena_block *books; /* of entries */
  size_t n_books, books_capacity;
  void **records; /* the memory of the arena's */
  size_t n_records;
  uint64_t charged, payload;
  /* since the measuring began */
  uint64_t puts, put_bytes, forced_bytes, failed_puts, moved_at_start;
  uint64_t gathers, gather_moved_most, ns;
  uint64_t large_puts, pieces; /* of values that may be in pieces, and what they are in */
  double live_sum, live_least;
  uint64_t samples;
};

static void *or_die(void *memory) {
  if (memory == NULL) {
    perror("arena_sim");
    exit(1);
  }
  return memory;
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void promote(struct sim *sim, struct entry *entry) {
  if (entry->newer != NULL) {
    entry->newer->older = entry->older;
    entry->older->newer = entry->newer;
  }
  entry->newer = &sim->end;
  entry->older = sim->end.older;
  entry->older->newer = entry;
  sim->end.older = entry;
}

static void admit(struct sim *sim, struct entry *entry) {
  if (sim->n_live == sim->capacity) {
    sim->capacity = sim->capacity * 2 + 64;
    sim->live = or_die(realloc(sim->live, sim->capacity * sizeof(struct entry *)));
  }
  entry->index = sim->n_live;
  sim->live[sim->n_live++] = entry;
  sim->charged += entry->charge;
  sim->payload += KEY_BYTES + entry->value_bytes;
  promote(sim, entry);
}

static void give_blocks(struct sim *sim, const struct entry *entry) {
  for (size_t i = 0; i < entry->n_blocks; i++)
    arena_free(&sim->arena, entry->blocks[i]);
}

static void give_books(struct sim *sim) {
  while (sim->n_books > 2 && sim->n_live < (sim->n_books - 2) * BOOKS_CHUNK_ENTRIES)
    arena_free(&sim->arena, sim->books[--sim->n_books]);
}

/* Returns the payload that is gone. */
static uint64_t evict(struct sim *sim) {
  struct entry *entry = sim->end.newer;
  uint64_t payload = KEY_BYTES + entry->value_bytes;
  sim->end.newer = entry->newer;
  entry->newer->older = &sim->end;
  sim->live[entry->index] = sim->live[--sim->n_live];
  sim->live[entry->index]->index = entry->index;
  sim->charged -= entry->charge;
  sim->payload -= payload;
  give_blocks(sim, entry);
  give_books(sim);
  free(entry);
  return payload;
}

static bool move(void *arg, arena_block block, uint64_t to) {
  const struct sim *sim = arg;
  (void)to;
  return sim->setting->pinned_of == 0 ||
         block * UINT32_C(2654435761) % sim->setting->pinned_of != 0;
}

/* The arena has numbers as owners, and the simulation uses none of them. */
enum { ENTRY = 1, NOBODY = 0 };

static arena_block take_books(struct sim *sim) {
  arena_block block = arena_alloc_high(&sim->arena, BOOKS_CHUNK_BYTES, sim->arena.size);
  if (block == 0 &&
      arena_compact(&sim->arena, BOOKS_CHUNK_BYTES, sim->setting->max_moved, move, sim))
    block = arena_alloc_high(&sim->arena, BOOKS_CHUNK_BYTES, sim->arena.size);
  if (block != 0)
    arena_set_owner(&sim->arena, block, ENTRY);
  return block;
}

static void *add_records(struct sim *sim) {
  void *memory = or_die(aligned_alloc(SLOTS_ALIGN, SLOTS_CHUNK_BYTES));
  sim->records = or_die(realloc(sim->records, (sim->n_records + 1) * sizeof(void *)));
  sim->records[sim->n_records++] = memory;
  return memory;
}

/* Sees that there are books for one more entry. False: there is no room for them. */
static bool provide(struct sim *sim) {
  if (arena_spare_records(&sim->arena) < RECORDS_KEPT) {
    if (take_books(sim) == 0)
      return false;
    (void)or_die(slots_add(&sim->arena.records, add_records(sim)));
  }
  while (sim->n_live >= sim->n_books * BOOKS_CHUNK_ENTRIES) {
    if (sim->n_books == sim->books_capacity) {
      sim->books_capacity = sim->books_capacity * 2 + 64;
      sim->books = or_die(realloc(sim->books, sim->books_capacity * sizeof(arena_block)));
    }
    arena_block block = take_books(sim);
    if (block == 0)
      return false;
    sim->books[sim->n_books++] = block;
  }
  return true;
}

static bool take_one(struct sim *sim, struct entry *entry) {
  uint64_t size = HEAD_BYTES + NAMES_BYTES + entry->value_bytes;
  entry->blocks[0] = arena_alloc(&sim->arena, size, ENTRY);
  entry->n_blocks = entry->blocks[0] != 0;
  return entry->n_blocks != 0;
}

/* The head stands in a block of its own, which has room for as many pieces as may come. */
static uint64_t head_bytes(const struct entry *entry) {
  uint64_t pieces = (entry->value_bytes + ARENA_PIECE_MIN - 1) / ARENA_PIECE_MIN;
  if (pieces > ARENA_PIECES_MAX)
    pieces = ARENA_PIECES_MAX;
  return HEAD_BYTES + NAMES_BYTES + pieces * PIECE_BYTES;
}

/* Behind the head's block, which is taken. */
static bool take_value(struct sim *sim, struct entry *entry, bool gather) {
  arena_block *pieces = entry->blocks + 1;
  size_t n = gather ? arena_compact_pieces(&sim->arena, entry->value_bytes, ENTRY, pieces,
                                          sim->setting->max_moved, move, sim)
                    : arena_alloc_pieces(&sim->arena, entry->value_bytes, ENTRY, pieces);
  if (n == 0)
    arena_free(&sim->arena, entry->blocks[0]);
  entry->n_blocks = n == 0 ? 0 : n + 1;
  return n > 0;
}

static bool take_pieces(struct sim *sim, struct entry *entry) {
  if (entry->value_bytes < PIECES_FROM)
    return false;
  entry->blocks[0] = arena_alloc(&sim->arena, head_bytes(entry), NOBODY);
  return entry->blocks[0] != 0 && take_value(sim, entry, false);
}

static bool gather(struct sim *sim, struct entry *entry) {
  const struct setting *setting = sim->setting;
  bool in_pieces = setting->design->pieces && entry->value_bytes >= PIECES_FROM;
  uint64_t first = in_pieces ? head_bytes(entry) : HEAD_BYTES + NAMES_BYTES + entry->value_bytes;
  if (!arena_compact(&sim->arena, first, setting->max_moved, move, sim))
    return false;
  entry->blocks[0] = arena_alloc(&sim->arena, first, NOBODY);
  if (entry->blocks[0] == 0) {
    fprintf(stderr, "arena_sim: a gathered hole was not found\n");
    exit(1);
  }
  entry->n_blocks = 1;
  return !in_pieces || take_value(sim, entry, true);
}

/* From now on the blocks may be moved. */
static void own(struct sim *sim, struct entry *entry) {
  for (size_t i = 0; i < entry->n_blocks; i++)
    arena_set_owner(&sim->arena, entry->blocks[i], ENTRY);
}

static bool take_gathered(struct sim *sim, struct entry *entry) {
  uint64_t before = sim->arena.moved_bytes;
  bool done = gather(sim, entry);
  uint64_t moved = sim->arena.moved_bytes - before;
  sim->gathers++;
  if (moved > sim->gather_moved_most)
    sim->gather_moved_most = moved;
  return done;
}

static bool take(struct sim *sim, struct entry *entry) {
  const struct design *design = sim->setting->design;
  if (!provide(sim))
    return false;
  if (!take_one(sim, entry) && !(design->pieces && take_pieces(sim, entry)) &&
      !(design->gather && take_gathered(sim, entry)))
    return false;
  own(sim, entry);
  return true;
}

/* What the limit counts for an entry. */
static uint64_t charge_of(const struct sim *sim, const struct entry *entry) {
  uint64_t bytes = HEAD_BYTES + NAMES_BYTES + entry->value_bytes;
  if (entry->n_blocks > 1)
    bytes = head_bytes(entry) + entry->value_bytes + (entry->n_blocks - 1) * ARENA_RECORD_BYTES;
  if (sim->setting->design->chunks) {
    uint64_t chunks = (bytes + CHUNK_BYTES - 1) / CHUNK_BYTES;
    return chunks * (CHUNK_BYTES + CHUNK_BOOKS) + BOOKS_BYTES;
  }
  return ((bytes + ARENA_UNIT - 1) & ~(uint64_t)(ARENA_UNIT - 1)) + BOOKS_BYTES +
         ARENA_RECORD_BYTES;
}

/* Not one by one: after a gather that failed, as many bytes as make it worth while to try again. */
static void force(struct sim *sim, const struct entry *entry) {
  uint64_t bytes = 0;
  do {
    bytes += evict(sim);
  } while (sim->setting->design->gather && sim->n_live > 0 && bytes < entry->value_bytes / 8);
  sim->forced_bytes += bytes;
}

static void put(struct sim *sim, uint64_t value_bytes) {
  struct entry *entry = or_die(calloc(1, sizeof *entry));
  entry->value_bytes = value_bytes;
  entry->charge = charge_of(sim, entry);
  uint64_t start = now_ns();
  while (sim->charged + entry->charge > sim->setting->max_bytes)
    evict(sim);
  while (!sim->setting->design->chunks && !take(sim, entry) && sim->n_live > 0)
    force(sim, entry);
  sim->ns += now_ns() - start;
  sim->puts++;
  sim->put_bytes += KEY_BYTES + value_bytes;
  if (value_bytes >= PIECES_FROM) {
    sim->large_puts++;
    sim->pieces += sim->setting->design->chunks ? value_bytes / CHUNK_BYTES
                   : entry->n_blocks > 1        ? entry->n_blocks - 1
                                                : 1;
  }
  if (!sim->setting->design->chunks && entry->n_blocks == 0) {
    sim->failed_puts++;
    free(entry);
    return;
  }
  entry->charge = charge_of(sim, entry);
  admit(sim, entry);
}

static void sample(struct sim *sim) {
  double live = (double)sim->payload / (double)sim->arena.size;
  sim->live_sum += live;
  if (live < sim->live_least)
    sim->live_least = live;
  sim->samples++;
}

static void run_for(struct sim *sim, double from, double turnovers) {
  double arena = (double)sim->arena.size;
  sim->puts = sim->put_bytes = sim->forced_bytes = sim->failed_puts = 0;
  sim->gathers = sim->gather_moved_most = sim->ns = sim->samples = 0;
  sim->large_puts = sim->pieces = 0;
  sim->live_sum = 0;
  sim->live_least = 1;
  sim->moved_at_start = sim->arena.moved_bytes;
  while ((double)sim->put_bytes < turnovers * arena) {
    put(sim, sim->setting->mix(&sim->random, from + (double)sim->put_bytes / arena));
    for (int i = 0; i < GETS_PER_PUT && sim->n_live > 0; i++)
      promote(sim, sim->live[random_below(&sim->random, sim->n_live)]);
    sample(sim);
  }
}

static void print_figures(const char *name, const struct sim *sim) {
  double put_bytes = (double)sim->put_bytes;
  uint64_t moved = sim->arena.moved_bytes - sim->moved_at_start;
  printf("%-34s %6.2f %6.2f %8.3f %8.3f %8.4f %9.0f %6.2f %7.0f\n", name,
         100 * sim->live_sum / (double)sim->samples, 100 * sim->live_least,
         100 * (double)sim->forced_bytes / put_bytes, (double)moved / put_bytes,
         (double)sim->gathers / (double)sim->puts, (double)sim->gather_moved_most / 1024,
         sim->large_puts == 0 ? 1 : (double)sim->pieces / (double)sim->large_puts,
         (double)sim->ns / (double)sim->puts);
  if (sim->failed_puts > 0)
    printf("  %ju puts found no place in an empty arena\n", (uintmax_t)sim->failed_puts);
}

static void run(const char *name, const struct setting *setting, double turnovers) {
  struct sim sim = {.setting = setting, .random = {.state = 1}};
  sim.end.older = sim.end.newer = &sim.end;
  uint64_t size = (setting->max_bytes + setting->slack) & ~(uint64_t)(ARENA_UNIT - 1);
  if (arena_init(&sim.arena, size, UINT32_MAX >> ARENA_RECORD_BITS, add_records(&sim)) != 0)
    or_die(NULL);
  run_for(&sim, 0, TURNOVERS_WARM);
  run_for(&sim, TURNOVERS_WARM, turnovers);
  print_figures(name, &sim);
  while (sim.n_live > 0)
    evict(&sim);
  free(sim.live);
  free(sim.books);
  arena_deinit(&sim.arena);
  while (sim.n_records > 0)
    free(sim.records[--sim.n_records]);
  free(sim.records);
}

/* ---- the tables ---- */

static void print_head(const char *title) {
  printf("\n%s\n%-34s %6s %6s %8s %8s %8s %9s %6s %7s\n", title, "", "live %", "least", "forced %",
         "moved/B", "gathers", "most KiB", "pieces", "ns/put");
}

static const uint64_t MiB = 1u << 20, KiB = 1u << 10;

static uint64_t usual_slack(uint64_t max_bytes) {
  return max_bytes / 64 + 128 * KiB;
}

static struct setting usual(uint64_t max_bytes) {
  return (struct setting){
      .design = chosen,
      .mix = mix_issue,
      .max_bytes = max_bytes,
      .slack = usual_slack(max_bytes),
      .max_moved = 8 * MiB,
  };
}

static void table_of_designs(uint64_t max_bytes) {
  char title[100];
  snprintf(title, sizeof title, "designs: 64 bytes to 1 MB log-uniform, max_bytes %ju MiB",
           (uintmax_t)(max_bytes / MiB));
  print_head(title);
  for (size_t i = 0; i < sizeof designs / sizeof *designs; i++) {
    struct setting setting = usual(max_bytes);
    setting.design = &designs[i];
    run(designs[i].name, &setting, TURNOVERS);
  }
}

static void table_of_sizes(void) {
  print_head("max_bytes: pieces+gather, the same mix");
  static const uint64_t sizes[] = {4, 8, 16, 32, 128, 256, 1024};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    struct setting setting = usual(sizes[i] * MiB);
    char name[40];
    snprintf(name, sizeof name, "%ju MiB", (uintmax_t)sizes[i]);
    run(name, &setting, TURNOVERS);
  }
}

static void table_of_slacks(void) {
  print_head("slack, and bound of a gather: pieces+gather, the same mix, 64 MiB");
  static const uint64_t slacks_kib[] = {2112, 1152, 576, 320, 64, 0};
  static const uint64_t bounds[] = {1, 4, 8, 16};
  for (size_t i = 0; i < sizeof slacks_kib / sizeof *slacks_kib; i++)
    for (size_t j = 0; j < sizeof bounds / sizeof *bounds; j++) {
      struct setting setting = usual(64 * MiB);
      setting.slack = slacks_kib[i] * KiB;
      setting.max_moved = bounds[j] * MiB;
      char name[40];
      snprintf(name, sizeof name, "%ju KiB, %ju MiB", (uintmax_t)slacks_kib[i],
               (uintmax_t)bounds[j]);
      run(name, &setting, TURNOVERS);
    }
}

struct named_mix {
  const char *name;
  mix_fn *mix;
};
static const struct named_mix large_mixes[] = {
    {.name = "log-uniform 64 B to 1 MB", .mix = mix_issue},
    {.name = "64 B, then 1 MB", .mix = mix_small_then_large},
    {.name = "3 KiB or 40 KiB", .mix = mix_two},
    {.name = "100 B or 31 KiB", .mix = mix_two_below_pieces},
    {.name = "drift 64 B to 1 MB", .mix = mix_drift},
    {.name = "3100 or 3164 B", .mix = mix_3100},
    {.name = "log-uniform 8 to 32 KiB", .mix = mix_below_pieces},
};
static const struct named_mix tiny_mixes[] = {
    {.name = "uniform to 8 KiB", .mix = mix_tiny},
    {.name = "log-uniform to 8 KiB", .mix = mix_tiny_log},
};

static void table_of_mixes(const char *title, const struct named_mix *mixes, size_t n,
                           struct setting setting, double turnovers) {
  print_head(title);
  for (size_t i = 0; i < n; i++) {
    setting.mix = mixes[i].mix;
    run(mixes[i].name, &setting, turnovers);
  }
}

int main(void) {
  table_of_designs(64 * MiB);
  table_of_designs(512 * MiB);
  table_of_slacks();
  table_of_sizes();
  struct setting setting = usual(64 * MiB);
  size_t n_large = sizeof large_mixes / sizeof *large_mixes;
  size_t n_tiny = sizeof tiny_mixes / sizeof *tiny_mixes;
  table_of_mixes("mixes: pieces+gather, 64 MiB", large_mixes, n_large, setting, TURNOVERS);
  setting.design = &designs[4];
  setting.mix = mix_3100;
  run("1 KiB chunks: 3100 or 3164 B", &setting, TURNOVERS);
  setting.design = chosen;
  setting.pinned_of = 1000;
  table_of_mixes("the same, one block in 1000 immovable", large_mixes, n_large, setting, TURNOVERS);
  setting = usual(64 * KiB);
  setting.slack = 0;
  table_of_mixes("tiny: 64 KiB, no slack", tiny_mixes, n_tiny, setting, 100000);
  setting.slack = usual_slack(64 * KiB);
  table_of_mixes("tiny: 64 KiB, the usual slack", tiny_mixes, n_tiny, setting, 100000);
  return 0;
}
