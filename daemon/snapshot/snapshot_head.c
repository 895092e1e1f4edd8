/* The cache's state beside the entries, in a preamble. */
#include <stdlib.h>
#include <string.h>

#include "daemon/snapshot/snapshot_internal.h"
#include "proto/image/image_space.h"

static_assert(IMAGE_CLEARS_MAX == CLEAR_LOG_SIZE, "a clear log fits");
static_assert(IMAGE_SPACE_COUNTERS - IMAGE_SPACE_EVICTIONS == EVICT_CAUSES, "all causes fit");
static_assert(sizeof(struct counters) == (IMAGE_SPACE_NUMBERS - IMAGE_SPACE_COUNTERS) * 8u,
              "a new counter needs a place in the image, at its end");

/* ---- clear logs ---- */

static void clears_to_image(const struct clear_log *log, struct image_clears *clears) {
  *clears = (struct image_clears){.floor = log->floor, .newest = log->newest, .n = log->n};
  for (uint32_t i = 0; i < log->n; i++)
    clears->clears[i] = (struct image_clear){.generation = log->records[i].generation,
                                             .any_view = log->records[i].any_view,
                                             .any_op = log->records[i].any_op,
                                             .view = log->records[i].view,
                                             .op = log->records[i].op};
}

/* A log whose generations do not rise counts as a clear of everything. */
static void clears_from_image(const struct image_clears *clears, struct clear_log *log) {
  uint64_t before = clears->floor;
  memset(log, 0, sizeof *log);
  log->floor = clears->floor;
  log->newest = clears->newest;
  for (uint32_t i = 0; i < clears->n; i++) {
    const struct image_clear *clear = &clears->clears[i];
    if (clear->generation <= before || clear->generation > clears->newest) {
      log->n = 0;
      log->floor = clears->newest > clears->floor ? clears->newest : clears->floor;
      break;
    }
    before = clear->generation;
    log->records[log->n++] = (struct clear_record){.generation = clear->generation,
                                                   .any_view = clear->any_view,
                                                   .any_op = clear->any_op,
                                                   .view = clear->view,
                                                   .op = clear->op};
  }
  if (log->newest < log->floor)
    log->newest = log->floor;
}

/* ---- writing ---- */

static void encode_space(const struct namespace *ns, struct fc_buf *buf) {
  struct image_space space = {.name = ns->name, .manifest = ns->manifest};
  uint64_t *numbers = space.numbers;
  numbers[IMAGE_SPACE_ID] = ns->seed;
  numbers[IMAGE_SPACE_SERIAL] = ns->serial;
  numbers[IMAGE_SPACE_MAX_ENTRIES] = ns->max_entries;
  numbers[IMAGE_SPACE_MAX_BYTES] = ns->max_bytes;
  numbers[IMAGE_SPACE_LAST_USE_NS] = ns->last_use_ns;
  numbers[IMAGE_SPACE_LEASE_NS] = ns->lease_ns;
  numbers[IMAGE_SPACE_RELEASED] = ns->clients > 0 ? UINT64_MAX : ns->released;
  numbers[IMAGE_SPACE_FLAGS] =
      (ns->claimed ? IMAGE_SPACE_CLAIMED : 0u) | (ns->has_owner ? IMAGE_SPACE_HAS_OWNER : 0u);
  numbers[IMAGE_SPACE_OWNER] = ns->owner;
  memcpy(numbers + IMAGE_SPACE_EVICTIONS, ns->evictions, sizeof ns->evictions);
  memcpy(numbers + IMAGE_SPACE_COUNTERS, &ns->counters, sizeof ns->counters);
  clears_to_image(&ns->clears, &space.clears);
  image_space_encode(buf, &space);
}

void snapshot_head_encode(const struct snapshot *snapshot, const struct image_info *info,
                          struct fc_buf *buf) {
  const struct snapshot_cache *cache = &snapshot->config.cache;
  struct image_clears clears;
  size_t start = buf->size;
  image_preamble_begin(buf, info);
  image_preamble_numbers(buf, IMAGE_BOOTS, cache->boots, *cache->n_boots);
  if (cache->totals != NULL)
    image_preamble_numbers(buf, IMAGE_TOTALS, cache->totals, cache->n_totals);
  image_preamble_numbers(buf, IMAGE_STORE, cache->store->saved->evictions, EVICT_CAUSES);
  clears_to_image(&cache->store->saved->clears, &clears);
  image_clears_encode(buf, &clears);
  for (const struct namespace *ns = cache->namespaces->first; ns != NULL; ns = ns->next)
    encode_space(ns, buf);
  image_preamble_finish(buf, start);
}

/* ---- reading ---- */

static void fill_namespace(struct catalog *catalog, struct namespace *ns,
                           const struct image_space *space, int64_t clock_shift_ns) {
  const uint64_t *numbers = space->numbers;
  ns->seed = numbers[IMAGE_SPACE_ID];
  ns->last_use_ns = snapshot_shift_ns(numbers[IMAGE_SPACE_LAST_USE_NS], clock_shift_ns);
  ns->lease_ns = numbers[IMAGE_SPACE_LEASE_NS];
  ns->claimed = (numbers[IMAGE_SPACE_FLAGS] & IMAGE_SPACE_CLAIMED) != 0;
  ns->has_owner = (numbers[IMAGE_SPACE_FLAGS] & IMAGE_SPACE_HAS_OWNER) != 0;
  ns->owner = (uid_t)numbers[IMAGE_SPACE_OWNER];
  memcpy(ns->evictions, numbers + IMAGE_SPACE_EVICTIONS, sizeof ns->evictions);
  memcpy(&ns->counters, numbers + IMAGE_SPACE_COUNTERS, sizeof ns->counters);
  clears_from_image(&space->clears, &ns->clears);
  /* Without memory for it the namespace has none: the next hello brings it again. */
  (void)namespace_set_manifest(ns, catalog, NULL, space->manifest);
}

/* Returns false if there is no room for it. */
static bool open_space(struct snapshot *snapshot, const struct image_space *space,
                       int64_t clock_shift_ns, struct snapshot_spaces *spaces) {
  struct namespace_table *table = snapshot->config.cache.namespaces;
  struct namespace *ns;
  if (snapshot_head_find(spaces, space->numbers[IMAGE_SPACE_ID]) != NULL ||
      namespace_table_find(table, space->name) != NULL) /* two of them: the image is wrong */
    return true;
  if (spaces->n == NAMESPACE_LIMIT_MAX || namespace_table_open(table, space->name, NULL, &ns) < 0)
    return false;
  fill_namespace(table->store->catalog, ns, space, clock_shift_ns);
  spaces->spaces[spaces->n++] =
      (struct snapshot_space){.id = ns->seed,
                              .released = space->numbers[IMAGE_SPACE_RELEASED],
                              .ns = ns,
                              .max_entries = space->numbers[IMAGE_SPACE_MAX_ENTRIES],
                              .max_bytes = space->numbers[IMAGE_SPACE_MAX_BYTES]};
  return true;
}

static void read_boots(const struct snapshot_cache *cache, const struct image_item *item) {
  uint64_t n = item->size / 8, boots[SNAPSHOT_BOOTS_MAX];
  struct image_item newest = *item;
  if (n > SNAPSHOT_BOOTS_MAX) {
    newest.data += (n - SNAPSHOT_BOOTS_MAX) * 8;
    newest.size = SNAPSHOT_BOOTS_MAX * 8;
    n = SNAPSHOT_BOOTS_MAX;
  }
  (void)image_item_numbers(&newest, boots, SNAPSHOT_BOOTS_MAX);
  memcpy(cache->boots, boots, n * sizeof boots[0]);
  *cache->n_boots = (uint32_t)n;
}

static void read_item(struct snapshot *snapshot, const struct image_item *item) {
  const struct snapshot_cache *cache = &snapshot->config.cache;
  struct image_clears clears;
  switch (item->tag) {
  case IMAGE_BOOTS:
    read_boots(cache, item);
    break;
  case IMAGE_TOTALS:
    if (cache->totals != NULL)
      (void)image_item_numbers(item, cache->totals, cache->n_totals);
    break;
  case IMAGE_STORE:
    (void)image_item_numbers(item, cache->store->saved->evictions, EVICT_CAUSES);
    break;
  case IMAGE_CLEARS:
    if (image_clears_decode(item, &clears))
      clears_from_image(&clears, &cache->store->saved->clears);
    break;
  default: /* of a newer version */
    break;
  }
}

uint32_t snapshot_head_decode(struct snapshot *snapshot, struct image_preamble *preamble,
                              int64_t clock_shift_ns, struct snapshot_spaces *spaces) {
  struct image_item item;
  struct image_space space;
  uint32_t n_without_room = 0;
  spaces->n = 0;
  while (image_preamble_next(preamble, &item)) {
    if (image_space_decode(&item, &space))
      n_without_room += !open_space(snapshot, &space, clock_shift_ns, spaces);
    else
      read_item(snapshot, &item);
  }
  return n_without_room;
}

struct snapshot_space *snapshot_head_find(struct snapshot_spaces *spaces, uint64_t id) {
  static uint32_t latest; /* records of a namespace are neighbours, mostly */
  if (latest < spaces->n && spaces->spaces[latest].id == id)
    return &spaces->spaces[latest];
  for (uint32_t i = 0; i < spaces->n; i++) {
    if (spaces->spaces[i].id == id) {
      latest = i;
      return &spaces->spaces[i];
    }
  }
  return NULL;
}

static int by_release(const void *a, const void *b) {
  const struct snapshot_space *first = a, *second = b;
  return (first->released > second->released) - (first->released < second->released);
}

/* Sets the limits, which may evict entries, and lets go of the namespaces in the order in which
 * their clients had left. */
void snapshot_head_release(struct snapshot *snapshot, struct snapshot_spaces *spaces) {
  struct store *store = snapshot->config.cache.store;
  qsort(spaces->spaces, spaces->n, sizeof spaces->spaces[0], by_release);
  for (uint32_t i = 0; i < spaces->n; i++) {
    struct snapshot_space *space = &spaces->spaces[i];
    while (space->max_entries != 0 && !store_limit_entries(store, space->ns, space->max_entries))
      ;
    while (space->max_bytes != 0 && !store_limit_bytes(store, space->ns, space->max_bytes))
      ;
    namespace_table_close(snapshot->config.cache.namespaces, space->ns);
  }
  spaces->n = 0;
}
