#include "daemon/fleet/fleet_scopes.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "daemon/base/allocator.h"

struct fleet_scope_entry {
  uint64_t version;
  struct fc_select select; /* points into `text` */
  uint32_t size;
  char text[];
};

static bool is_all(const struct fc_select *select) {
  return select->name_space.size == 0 && select->view.size == 0 && select->op.size == 0;
}

static uint64_t hash_of(struct fc_str text) {
  return XXH3_64bits(text.data, text.size);
}

/* ---- the index ---- */

static uint32_t *bucket_of(const struct fleet_scopes *scopes, struct fc_str text) {
  uint32_t mask = scopes->n_buckets - 1;
  for (uint32_t at = (uint32_t)hash_of(text) & mask;; at = (at + 1) & mask) {
    uint32_t *bucket = &scopes->buckets[at];
    if (*bucket == 0)
      return bucket;
    const struct fleet_scope_entry *entry = scopes->entries[*bucket - 1];
    if (entry->size == text.size && memcmp(entry->text, text.data, text.size) == 0)
      return bucket;
  }
}

static void index_all(struct fleet_scopes *scopes) {
  memset(scopes->buckets, 0, scopes->n_buckets * sizeof *scopes->buckets);
  for (uint32_t i = 0; i < scopes->n; i++) {
    const struct fleet_scope_entry *entry = scopes->entries[i];
    *bucket_of(scopes, (struct fc_str){entry->text, entry->size}) = i + 1;
  }
}

/* Makes room for one more entry. Returns false without memory. */
static bool grow(struct fleet_scopes *scopes) {
  if (scopes->n < scopes->capacity)
    return true;
  uint32_t capacity = scopes->capacity == 0 ? 16 : 2 * scopes->capacity;
  struct fleet_scope_entry **entries = realloc(scopes->entries, (size_t)capacity * sizeof *entries);
  if (entries == NULL)
    return false;
  scopes->entries = entries;
  uint32_t *buckets = calloc((size_t)2 * capacity, sizeof *buckets);
  if (buckets == NULL)
    return false;
  free(scopes->buckets);
  scopes->buckets = buckets;
  scopes->n_buckets = 2 * capacity;
  scopes->capacity = capacity;
  index_all(scopes);
  return true;
}

/* ---- changes ---- */

static void free_entry(struct fleet_scopes *scopes, struct fleet_scope_entry *entry) {
  scopes->bytes -= sizeof *entry + entry->size + ALLOCATOR_OVERHEAD_BYTES;
  free(entry);
}

void fleet_scopes_deinit(struct fleet_scopes *scopes) {
  for (uint32_t i = 0; i < scopes->n; i++)
    free_entry(scopes, scopes->entries[i]);
  free(scopes->entries);
  free(scopes->buckets);
  *scopes = (struct fleet_scopes){0};
}

static void drop_covered(struct fleet_scopes *scopes, const struct fc_select *select,
                         uint64_t version) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < scopes->n; i++) {
    struct fleet_scope_entry *entry = scopes->entries[i];
    if (entry->version <= version && fleet_scope_covers(select, &entry->select))
      free_entry(scopes, entry);
    else
      scopes->entries[kept++] = entry;
  }
  if (kept < scopes->n) {
    scopes->n = kept;
    index_all(scopes);
  }
}

static bool add(struct fleet_scopes *scopes, const struct fleet_text *text, uint64_t version) {
  struct fleet_scope_entry *entry = NULL;
  size_t bytes = sizeof *entry + text->size + ALLOCATOR_OVERHEAD_BYTES;
  if (scopes->bytes + bytes <= FLEET_SCOPES_BYTES_MAX && grow(scopes))
    entry = malloc(sizeof *entry + text->size);
  if (entry == NULL)
    return false;
  *entry = (struct fleet_scope_entry){.version = version, .size = text->size};
  memcpy(entry->text, text->data, text->size);
  (void)fleet_scope_decode((struct fc_str){entry->text, entry->size}, &entry->select); /* it is */
  scopes->entries[scopes->n] = entry;
  *bucket_of(scopes, (struct fc_str){entry->text, entry->size}) = ++scopes->n;
  scopes->bytes += bytes;
  return true;
}

void fleet_scopes_load(struct fleet_scopes *scopes, const struct fc_select *select,
                       uint64_t version) {
  struct fleet_text text;
  if (version <= fleet_scopes_floor_of(scopes, select))
    return;
  if (!is_all(select)) {
    fleet_scope_encode(select, &text);
    uint32_t bucket = scopes->n_buckets == 0 ? 0 : *bucket_of(scopes, fleet_text_str(&text));
    if (bucket != 0)
      scopes->entries[bucket - 1]->version = version;
    if (bucket != 0 || add(scopes, &text, version))
      return;
    drop_covered(scopes, &(struct fc_select){0}, version);
  }
  scopes->all = version;
}

void fleet_scopes_raise(struct fleet_scopes *scopes, const struct fc_select *select,
                        uint64_t version) {
  drop_covered(scopes, select, version);
  fleet_scopes_load(scopes, select, version);
}

/* ---- questions ---- */

static uint64_t version_at(const struct fleet_scopes *scopes, const struct fc_select *select) {
  struct fleet_text text;
  if (is_all(select))
    return scopes->all;
  fleet_scope_encode(select, &text);
  uint32_t bucket = *bucket_of(scopes, fleet_text_str(&text));
  return bucket == 0 ? 0 : scopes->entries[bucket - 1]->version;
}

/* The scopes that have all of `select` have, in each part, its name or any. */
uint64_t fleet_scopes_floor_of(const struct fleet_scopes *scopes, const struct fc_select *select) {
  uint64_t newest = scopes->all;
  for (unsigned parts = 1; parts < 8 && scopes->n > 0; parts++) {
    struct fc_select wide = *select;
    bool is_repeated = ((parts & 1) != 0 && wide.name_space.size == 0) ||
                       ((parts & 2) != 0 && wide.view.size == 0) ||
                       ((parts & 4) != 0 && wide.op.size == 0);
    if (is_repeated)
      continue;
    if ((parts & 1) == 0)
      wide.name_space = (struct fc_str){0};
    if ((parts & 2) == 0)
      wide.view = (struct fc_str){0};
    if ((parts & 4) == 0)
      wide.op = (struct fc_str){0};
    uint64_t version = version_at(scopes, &wide);
    newest = version > newest ? version : newest;
  }
  return newest;
}

uint64_t fleet_scopes_version_of(const struct fleet_scopes *scopes, struct fc_str name_space,
                                 struct fc_str view, struct fc_str op) {
  return fleet_scopes_floor_of(scopes, &(struct fc_select){name_space, view, op});
}

bool fleet_scopes_each(const struct fleet_scopes *scopes, fleet_scopes_fn *fn, void *arg) {
  if (scopes->all > 0 && !fn(arg, &(struct fc_select){0}, scopes->all))
    return false;
  for (uint32_t i = 0; i < scopes->n; i++)
    if (!fn(arg, &scopes->entries[i]->select, scopes->entries[i]->version))
      return false;
  return true;
}
