#include "storm_writer.h"

#include <stdio.h>
#include <string.h>

#include "daemon/store/store_clear.h"
#include "proto/errors.h"
#include "tests/support/private_store.h"

/* About half of the values of all keys fit. */
#define MAX_BYTES (512u << 10)
#define CLEAR_SLICE 8u /* entries, so that other calls fall between the steps of a clear */

static uint32_t any_below(struct storm_writer *writer, uint32_t n) {
  return (uint32_t)(storm_random(&writer->random) % n);
}

/* No later read may return an older version of the key. */
static void acknowledge(struct storm_writer *writer, uint32_t key, uint64_t version) {
  _Atomic uint64_t *floor = &writer->board->floor[key];
  if (atomic_load_explicit(floor, memory_order_relaxed) < version)
    atomic_store_explicit(floor, version, memory_order_release);
}

static struct entry *peek(struct storm_writer *writer, uint32_t key) {
  return store_peek_digest(&writer->store, &writer->ns, writer->keys[key].digest,
                           &writer->keys[key].key);
}

/* Runs before each choice of victims, so that the pinned keys are never victims. */
static void use_pinned(void *arg) {
  struct storm_writer *writer = arg;
  for (uint32_t i = 0; i < STORM_PINNED; i++) {
    struct entry *entry = peek(writer, i);
    if (entry != NULL)
      store_use(&writer->store, entry, writer->version);
  }
}

static void count_put(struct storm_writer *writer, uint32_t key, const uint32_t *old_size) {
  struct storm_writes *writes = &writer->writes;
  const struct entry *entry = peek(writer, key);
  writes->puts++;
  writes->replaced += old_size != NULL;
  writes->same_size += old_size != NULL && entry != NULL && *old_size == entry_value_size(entry);
  if (entry != NULL && fc_region_n_pieces(atomic_load_explicit(&entry_placed(entry)->shape,
                                                               memory_order_relaxed)) > 0)
    writes->in_pieces++;
}

static void put(struct storm_writer *writer, uint32_t key, bool keep_first) {
  uint64_t version = ++writer->version;
  uint32_t size = storm_value_size(key, version);
  struct store_put_info info = {
      .origin = key, .compute_ns = version, .now_ns = version, .keep_first = keep_first};
  const struct entry *old = peek(writer, key);
  uint32_t old_size = old == NULL ? 0 : entry_value_size(old);
  storm_value_fill(writer->value, size, key, version);
  switch (
      store_put(&writer->store, &writer->ns, &writer->keys[key].key, writer->value, size, &info)) {
  case FC_STORED:
    acknowledge(writer, key, version);
    count_put(writer, key, old == NULL ? NULL : &old_size);
    break;
  case FC_KEPT:
    writer->writes.kept++;
    break;
  default:
    writer->writes.failed++;
  }
}

static void put_any(struct storm_writer *writer) {
  uint32_t key = STORM_PINNED + any_below(writer, STORM_KEYS - STORM_PINNED);
  put(writer, key, any_below(writer, 8) == 0);
}

/* In slices, with other calls in between, as the daemon does it. */
static void clear(struct storm_writer *writer, struct fc_str op) {
  struct store_clear clear;
  struct store_select select = {.ns = &writer->ns, .view = storm_churn_view(), .op = op};
  uint64_t last = writer->version;
  store_clear_start(&writer->store, &clear, &select);
  while (!store_clear_step(&writer->store, &clear, CLEAR_SLICE))
    put_any(writer);
  for (uint32_t i = STORM_PINNED; i < STORM_KEYS; i++)
    if (op.data == NULL || fc_str_equal(writer->keys[i].key.op, op))
      acknowledge(writer, i, last + 1);
  writer->writes.clears++;
  writer->writes.cleared += clear.removed;
}

/* The bytes of a held entry do not move, are in no chain, and are an obstacle for compaction. */
static void hold_another(struct storm_writer *writer) {
  if (writer->held != NULL)
    entry_release(writer->held);
  writer->held = peek(writer, any_below(writer, STORM_KEYS));
  if (writer->held != NULL)
    entry_hold(writer->held);
}

static void name_victim(struct storm_writer *writer) {
  const struct entry *oldest = store_oldest(&writer->store, NULL);
  if (oldest != NULL) /* the origin of an entry is the number of its key */
    atomic_store_explicit(&writer->board->next_victim, entry_origin(oldest), memory_order_relaxed);
}

void storm_writer_step(struct storm_writer *writer) {
  uint32_t kind = any_below(writer, 1000);
  if (kind < 4)
    clear(writer, storm_group_op(any_below(writer, STORM_GROUPS)));
  else if (kind == 4 && any_below(writer, 8) == 0)
    clear(writer, (struct fc_str){0});
  else if (kind < 20)
    hold_another(writer);
  else if (kind < 200)
    put(writer, any_below(writer, STORM_PINNED), false);
  else
    put_any(writer);
  use_pinned(writer);
  name_victim(writer);
  writer->writes.evicted =
      writer->store.saved->evictions[EVICT_BYTES] + writer->store.saved->evictions[EVICT_CHAIN];
  writer->writes.forced = writer->store.saved->evictions[EVICT_FORCED];
  writer->writes.moves = writer->store.heap.arena.moves;
}

bool storm_writer_init(struct storm_writer *writer, struct storm_board *board, uint32_t n_buckets) {
  struct error_text fault;
  memset(writer, 0, sizeof *writer);
  writer->board = board;
  if (region_writer_init(&writer->region, MAX_BYTES, STORM_VALUE_MAX, STORM_BOOT_ID, true,
                         &fault) != 0 ||
      writer->region.index_fd < 0) {
    fprintf(stderr, "%s\n", fault.text);
    region_writer_deinit(&writer->region);
    return false;
  }
  /* The store uses the arena's slack as well, so moves and forced evictions, which are rare in a
   * daemon, happen all the time. */
  if (store_init(&writer->store, &writer->region, private_catalog_new(&writer->region),
                 writer->region.arena_size, STORM_VALUE_MAX, 7, 8) != 0) {
    fprintf(stderr, "no memory for a store\n");
    region_writer_deinit(&writer->region);
    return false;
  }
  namespace_init(&writer->ns, fc_str_of("storm"), STORM_NAMESPACE, writer->store.saved->generation);
  writer->store.before_evict = use_pinned;
  writer->store.before_evict_arg = writer;
  storm_keys_make(writer->keys, writer->ns.seed, writer->region.n_buckets, n_buckets);
  for (uint32_t i = 0; i < STORM_PINNED; i++)
    put(writer, i, false);
  return true;
}

void storm_writer_deinit(struct storm_writer *writer) {
  if (writer->held != NULL)
    entry_release(writer->held);
  (void)store_clear_all(&writer->store, &(struct store_select){.ns = &writer->ns});
  namespace_deinit(&writer->ns);
  struct catalog *catalog = writer->store.catalog;
  store_deinit(&writer->store);
  region_writer_deinit(&writer->region);
  private_catalog_free(catalog);
}
