#include "tests/fleet_sim/sim_db.h"

#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "daemon/base/check.h"
#include "tests/fleet_sim/sim_memory.h"

/* The state of a key before a write. */
struct sim_undo {
  struct sim_undo *next;
  uint64_t at_ns;
  struct sim_key before; /* name, value and items are held */
};

struct sim_blob *sim_blob_new(const void *data, size_t size) {
  struct sim_blob *blob = sim_alloc(1, sizeof *blob + size);
  blob->holders = 1;
  blob->size = (uint32_t)size;
  if (size > 0)
    memcpy(blob->data, data, size);
  return blob;
}

struct sim_blob *sim_blob_hold(struct sim_blob *blob) {
  if (blob != NULL)
    blob->holders++;
  return blob;
}

void sim_blob_release(struct sim_blob *blob) {
  if (blob == NULL)
    return;
  check_lt(0, blob->holders);
  if (--blob->holders == 0)
    free(blob);
}

/* ---- items ---- */

void sim_items_add(struct sim_items *items, struct fc_str text) {
  items->blobs = sim_grow(items->blobs, items->n, &items->capacity, sizeof(struct sim_blob *));
  items->blobs[items->n++] = sim_blob_new(text.data, text.size);
}

void sim_items_cut(struct sim_items *items, size_t at, size_t n) {
  check_le(at + n, items->n);
  for (size_t i = at; i < at + n; i++)
    sim_blob_release(items->blobs[i]);
  items->n -= n;
  for (size_t i = at; i < items->n; i++)
    items->blobs[i] = items->blobs[i + n];
}

size_t sim_items_field(const struct sim_items *items, struct fc_str field) {
  for (size_t i = 0; i + 1 < items->n; i += 2)
    if (fc_str_equal(sim_blob_str(items->blobs[i]), field))
      return i + 1;
  return SIZE_MAX;
}

void sim_items_set(struct sim_items *items, struct fc_str field, struct fc_str value) {
  size_t at = sim_items_field(items, field);
  if (at == SIZE_MAX) {
    sim_items_add(items, field);
    sim_items_add(items, value);
  } else {
    sim_blob_release(items->blobs[at]);
    items->blobs[at] = sim_blob_new(value.data, value.size);
  }
}

static struct sim_items copy_items(const struct sim_items *items) {
  struct sim_items copy = {0};
  for (size_t i = 0; i < items->n; i++)
    sim_items_add(&copy, sim_blob_str(items->blobs[i]));
  return copy;
}

static void free_items(struct sim_items *items) {
  sim_items_cut(items, 0, items->n);
  free(items->blobs);
  *items = (struct sim_items){0};
}

/* ---- keys ---- */

void sim_key_set(struct sim_key *key, struct sim_blob *value, uint64_t expires_ns) {
  sim_key_clear(key);
  key->value = value;
  key->expires_ns = expires_ns;
}

void sim_key_clear(struct sim_key *key) {
  sim_blob_release(key->value);
  key->value = NULL;
  key->expires_ns = 0;
  free_items(&key->items);
}

static size_t bucket_of(const struct sim_db *db, struct fc_str name) {
  return XXH3_64bits(name.data, name.size) & (db->n_buckets - 1);
}

static void rehash(struct sim_db *db, size_t n_buckets) {
  struct sim_key **old = db->buckets;
  size_t n_old = db->n_buckets;
  db->buckets = sim_alloc(n_buckets, sizeof(struct sim_key *));
  db->n_buckets = n_buckets;
  for (size_t i = 0; i < n_old; i++)
    for (struct sim_key *key = old[i], *next; key != NULL; key = next) {
      struct sim_key **bucket = &db->buckets[bucket_of(db, sim_blob_str(key->name))];
      next = key->next;
      key->next = *bucket;
      *bucket = key;
    }
  free(old);
}

/* Returns the key, also if it counts as missing, or NULL. */
static struct sim_key *find_any(const struct sim_db *db, struct fc_str name) {
  struct sim_key *key = db->n_buckets == 0 ? NULL : db->buckets[bucket_of(db, name)];
  while (key != NULL && !fc_str_equal(sim_blob_str(key->name), name))
    key = key->next;
  return key;
}

struct sim_key *sim_db_find(struct sim_db *db, struct fc_str name, uint64_t now_ns) {
  struct sim_key *key = find_any(db, name);
  if (key != NULL && key->expires_ns != 0 && key->expires_ns <= now_ns)
    sim_key_clear(key);
  return key == NULL || (key->value == NULL && key->items.n == 0) ? NULL : key;
}

static struct sim_key *add(struct sim_db *db, struct fc_str name) {
  if (db->n >= db->n_buckets)
    rehash(db, db->n_buckets == 0 ? 64 : db->n_buckets * 2);
  struct sim_key **bucket = &db->buckets[bucket_of(db, name)];
  struct sim_key *key = sim_alloc(1, sizeof *key);
  key->name = sim_blob_new(name.data, name.size);
  key->next = *bucket;
  *bucket = key;
  db->n++;
  return key;
}

/* ---- failovers ---- */

static void free_undo(struct sim_undo *undo) {
  sim_key_clear(&undo->before);
  sim_blob_release(undo->before.name);
  free(undo);
}

static void forget_old(struct sim_db *db, uint64_t now_ns) {
  struct sim_undo *undo;
  while ((undo = db->undo_first) != NULL && undo->at_ns + db->lag_ns < now_ns) {
    db->undo_first = undo->next;
    free_undo(undo);
  }
}

static void remember(struct sim_db *db, struct sim_key *key, uint64_t now_ns) {
  struct sim_undo *undo = sim_alloc(1, sizeof *undo);
  forget_old(db, now_ns);
  undo->at_ns = now_ns;
  undo->before = (struct sim_key){.name = sim_blob_hold(key->name),
                                  .value = sim_blob_hold(key->value),
                                  .expires_ns = key->expires_ns,
                                  .items = copy_items(&key->items)};
  if (db->undo_first == NULL)
    db->undo_first = undo;
  else
    db->undo_last->next = undo;
  db->undo_last = undo;
}

struct sim_key *sim_db_write(struct sim_db *db, struct fc_str name, uint64_t now_ns) {
  struct sim_key *key = sim_db_find(db, name, now_ns);
  if (key == NULL)
    key = find_any(db, name);
  if (key == NULL)
    key = add(db, name);
  if (db->lag_ns > 0)
    remember(db, key, now_ns);
  return key;
}

void sim_db_fail_over(struct sim_db *db, uint64_t now_ns) {
  forget_old(db, now_ns);
  struct sim_undo *newest = NULL, *undo;
  while ((undo = db->undo_first) != NULL) {
    db->undo_first = undo->next;
    undo->next = newest;
    newest = undo;
  }
  while ((undo = newest) != NULL) {
    newest = undo->next;
    struct sim_key *key = find_any(db, sim_blob_str(undo->before.name));
    sim_key_clear(key);
    key->value = sim_blob_hold(undo->before.value);
    key->expires_ns = undo->before.expires_ns;
    key->items = copy_items(&undo->before.items);
    free_undo(undo);
  }
}

void sim_db_deinit(struct sim_db *db) {
  for (struct sim_undo *undo; (undo = db->undo_first) != NULL;) {
    db->undo_first = undo->next;
    free_undo(undo);
  }
  for (size_t i = 0; i < db->n_buckets; i++)
    for (struct sim_key *key = db->buckets[i], *next; key != NULL; key = next) {
      next = key->next;
      sim_key_clear(key);
      sim_blob_release(key->name);
      free(key);
    }
  free(db->buckets);
  *db = (struct sim_db){.lag_ns = db->lag_ns};
}
