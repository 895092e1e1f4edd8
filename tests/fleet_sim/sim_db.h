/* sim_db.h - the keys of a simulated tier server: strings, hashes and lists, with expiry.
 *
 * Values are shared and immutable: a reply may hold one while the key gets another. With `lag_ns`
 * the database remembers what the writes of that time changed, because a failover to a replica
 * loses them. */
#ifndef FC_TESTS_SIM_DB_H
#define FC_TESTS_SIM_DB_H

#include "proto/key.h"

/* Bytes, with a count of its holders. */
struct sim_blob {
  uint32_t holders, size;
  char data[];
};

struct sim_blob *sim_blob_new(const void *data, size_t size);
struct sim_blob *sim_blob_hold(struct sim_blob *blob); /* NULL is allowed, here and below */
void sim_blob_release(struct sim_blob *blob);
static inline struct fc_str sim_blob_str(const struct sim_blob *blob) {
  return blob == NULL ? (struct fc_str){0} : (struct fc_str){blob->data, blob->size};
}

/* Of a hash: field and value in turn. Of a list: its elements. */
struct sim_items {
  struct sim_blob **blobs;
  size_t n, capacity;
};

struct sim_key {
  struct sim_key *next; /* of its bucket */
  struct sim_blob *name;
  uint64_t expires_ns;    /* 0: never */
  struct sim_blob *value; /* of a string; NULL: it is no string */
  struct sim_items items; /* of a hash or list; empty: it is none */
};

struct sim_undo;

struct sim_db {
  uint64_t lag_ns; /* 0: no failover comes */
  struct sim_key **buckets;
  size_t n, n_buckets;
  struct sim_undo *undo_first, *undo_last; /* the oldest first */
};

/* Returns the key, or NULL if there is none, or it has expired. */
struct sim_key *sim_db_find(struct sim_db *db, struct fc_str name, uint64_t now_ns);

/* Returns the key to be written, which is made if it is missing. */
struct sim_key *sim_db_write(struct sim_db *db, struct fc_str name, uint64_t now_ns);

/* Sets a string to a blob, which the key holds from now on. */
void sim_key_set(struct sim_key *key, struct sim_blob *value, uint64_t expires_ns);
/* A key without value and items counts as missing. */
void sim_key_clear(struct sim_key *key);

/* Add an item; take out `n` from index `at` on. */
void sim_items_add(struct sim_items *items, struct fc_str text);
void sim_items_cut(struct sim_items *items, size_t at, size_t n);
/* Returns the index of the value of a hash's field, or SIZE_MAX. */
size_t sim_items_field(const struct sim_items *items, struct fc_str field);
/* Sets a field of a hash. */
void sim_items_set(struct sim_items *items, struct fc_str field, struct fc_str value);

/* Takes back the writes of the last lag_ns. */
void sim_db_fail_over(struct sim_db *db, uint64_t now_ns);

void sim_db_deinit(struct sim_db *db);

#endif
