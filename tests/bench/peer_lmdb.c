#include "tests/bench/peer_lmdb.h"

#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAP_BYTES ((size_t)2 << 30) /* address space; the file has only the used part */

struct lmdb {
  MDB_env *env;
  MDB_dbi table;
  MDB_txn *reading; /* reset between gets; NULL before the first */
  char path[128];   /* of the file; the lock's has "-lock" appended */
  uint8_t *value;   /* a copy, as a user needs one: the map's own ends with the transaction */
  size_t capacity;
  char key[WORKLOAD_KEY_BYTES]; /* of the operation */
};

static int failed(const struct bench_peer *peer, const char *call, int error) {
  fprintf(stderr, "bench: %s: %s: %s\n", peer->name, call, mdb_strerror(error));
  return -1;
}

static void lmdb_stop(struct bench_peer *peer) {
  struct lmdb *state = peer->state;
  if (state == NULL)
    return;
  mdb_txn_abort(state->reading); /* NULL is allowed */
  if (state->env != NULL)
    mdb_env_close(state->env);
  char lock[sizeof(state->path) + 8];
  (void)snprintf(lock, sizeof(lock), "%s-lock", state->path); /* it fits */
  (void)unlink(state->path); /* frees memory early; the directory is removed later with all files */
  (void)unlink(lock);
  free(state->value);
  free(state);
  peer->state = NULL;
}

static int open_table(struct bench_peer *peer, struct lmdb *state) {
  MDB_txn *txn = NULL;
  int error = mdb_txn_begin(state->env, NULL, 0, &txn);
  if (error == 0)
    error = mdb_dbi_open(txn, NULL, 0, &state->table);
  if (error == 0) {
    error = mdb_txn_commit(txn);
    txn = NULL;
  }
  if (error == 0)
    error = mdb_txn_begin(state->env, NULL, MDB_RDONLY, &state->reading);
  mdb_txn_abort(txn);
  if (error != 0)
    return failed(peer, "cannot open the table", error);
  mdb_txn_reset(state->reading);
  return 0;
}

static int lmdb_start(struct bench_peer *peer, const struct bench_env *env) {
  struct lmdb *state = calloc(1, sizeof(*state));
  if (state == NULL) {
    fprintf(stderr, "bench: out of memory for %s\n", peer->name);
    return -1;
  }
  peer->state = state;
  (void)snprintf(state->path, sizeof(state->path), "%s/%s", env->dir, peer->name); /* short */
  /* No data has to last, and no page needs read-ahead, because all are in memory. The readers'
   * table stays, because several processes would share the file. */
  const unsigned flags = MDB_NOSUBDIR | MDB_NOSYNC | MDB_NOTLS | MDB_NORDAHEAD;
  int error = mdb_env_create(&state->env);
  if (error == 0)
    error = mdb_env_set_mapsize(state->env, MAP_BYTES);
  if (error == 0)
    error = mdb_env_open(state->env, state->path, flags, 0600);
  return error != 0 ? failed(peer, state->path, error) : open_table(peer, state);
}

static MDB_val make_key(struct lmdb *state, const struct workload *load, uint32_t index) {
  const char *end = workload_key_text(load, index, state->key);
  return (MDB_val){.mv_size = (size_t)(end - state->key), .mv_data = state->key};
}

/* Copies the value to the buffer, and enlarges it if necessary. */
static int copy_value(struct lmdb *state, const MDB_val *value) {
  if (value->mv_size > state->capacity) {
    uint8_t *grown = realloc(state->value, value->mv_size);
    if (grown == NULL) {
      fprintf(stderr, "bench: out of memory for a value of %zu bytes\n", value->mv_size);
      return -1;
    }
    state->value = grown;
    state->capacity = value->mv_size;
  }
  memcpy(state->value, value->mv_data, value->mv_size);
  return 0;
}

static int lmdb_get(struct bench_peer *peer, struct workload *load, uint32_t index) {
  struct lmdb *state = peer->state;
  MDB_val key = make_key(state, load, index);
  MDB_val value;
  int error = mdb_txn_renew(state->reading);
  if (error != 0)
    return failed(peer, "mdb_txn_renew", error);
  error = mdb_get(state->reading, state->table, &key, &value);
  if (error != 0)
    return failed(peer, "mdb_get", error);
  int result = copy_value(state, &value);
  mdb_txn_reset(state->reading);
  if (result != 0)
    return -1;
  return workload_check(load, index, state->value, value.mv_size) ? 0 : -1;
}

/* All in one transaction. */
static int lmdb_fill(struct bench_peer *peer, struct workload *load) {
  struct lmdb *state = peer->state;
  MDB_txn *txn = NULL;
  int error = mdb_txn_begin(state->env, NULL, 0, &txn);
  for (uint32_t i = 0; error == 0 && i < load->n; i++) {
    uint32_t index = workload_stored(load, i);
    MDB_val key = make_key(state, load, index);
    MDB_val value = {.mv_size = load->size,
                     .mv_data = (void *)(uintptr_t)workload_value(load, index)}; /* only read */
    error = mdb_put(txn, state->table, &key, &value, 0);
  }
  if (error == 0) {
    error = mdb_txn_commit(txn);
    txn = NULL;
  }
  mdb_txn_abort(txn);
  return error == 0 ? 0 : failed(peer, "cannot store the values", error);
}

void peer_lmdb_init(struct bench_peer *peer, const char *name) {
  *peer = (struct bench_peer){
      .name = name, .start = lmdb_start, .stop = lmdb_stop, .get = lmdb_get, .fill = lmdb_fill};
}
