#include "proto/wire/decode_lists.h"

#include <string.h>

#include "proto/errors.h"
#include "proto/wire/decode.h"

/* Ends an item of `elements`, of which `known` were read: a later version may add some. */
static void close_item(struct fc_cursor *cursor, uint32_t elements, uint32_t known) {
  if (elements < known)
    fc_cursor_fail(cursor, FC_EPROTOCOL);
  else
    fc_cursor_skip(cursor, elements - known);
}

static void read_key(struct fc_cursor *cursor, struct fc_key *key) {
  key->op = fc_decode_name(cursor);
  key->view = fc_decode_name(cursor);
  key->prompt = fc_decode_hash(cursor);
  key->top_k = fc_cursor_u32(cursor);
}

/* ---- entries ---- */

void fc_read_list_entry(struct fc_cursor *cursor, void *item) {
  struct fc_list_entry *entry = item;
  uint32_t elements = fc_cursor_array(cursor);

  entry->name_space = fc_decode_name(cursor);
  read_key(cursor, &entry->key);
  entry->value_size = fc_cursor_u32(cursor);
  entry->charge = fc_cursor_u64(cursor);
  entry->compute_ns = fc_cursor_u64(cursor);
  entry->idle_ns = fc_cursor_u64(cursor);
  entry->hits = fc_cursor_u64(cursor);
  close_item(cursor, elements, 10);
}

/* ---- leases ---- */

void fc_read_lease_entry(struct fc_cursor *cursor, void *item) {
  struct fc_lease_entry *entry = item;
  uint32_t elements = fc_cursor_array(cursor);

  entry->name_space = fc_decode_name(cursor);
  read_key(cursor, &entry->key);
  entry->client_id = fc_cursor_u64(cursor);
  entry->client = fc_decode_name(cursor);
  entry->pid = fc_cursor_i64(cursor);
  entry->held_ns = fc_cursor_u64(cursor);
  entry->left_ns = fc_cursor_u64(cursor);
  entry->waits = fc_cursor_u32(cursor);
  close_item(cursor, elements, 11);
}

/* ---- clients ---- */

static void read_held(struct fc_cursor *cursor, struct fc_client_entry *entry) {
  uint32_t elements;

  if (fc_cursor_nil(cursor))
    return;
  elements = fc_cursor_array(cursor);
  read_key(cursor, &entry->held);
  close_item(cursor, elements, 4);
}

static void read_wait(struct fc_cursor *cursor, struct fc_client_entry *entry) {
  uint32_t elements;

  if (fc_cursor_nil(cursor))
    return;
  elements = fc_cursor_array(cursor);
  read_key(cursor, &entry->wait.key);
  entry->wait.waited_ns = fc_cursor_u64(cursor);
  entry->wait.owner_id = fc_cursor_u64(cursor);
  entry->wait.owner = fc_decode_name(cursor);
  entry->wait.owner_pid = fc_cursor_i64(cursor);
  close_item(cursor, elements, 8);
}

static void read_user(struct fc_cursor *cursor, struct fc_user_entry *user) {
  uint32_t elements = fc_cursor_array(cursor);

  user->connections = fc_cursor_u64(cursor);
  user->namespaces = fc_cursor_u64(cursor);
  user->leases = fc_cursor_u64(cursor);
  user->waits = fc_cursor_u64(cursor);
  user->ring_bytes = fc_cursor_u64(cursor);
  user->message_bytes = fc_cursor_u64(cursor);
  user->manifest_bytes = fc_cursor_u64(cursor);
  close_item(cursor, elements, 7);
}

void fc_read_client_entry(struct fc_cursor *cursor, void *item) {
  struct fc_client_entry *entry = item;
  uint32_t elements = fc_cursor_array(cursor);

  memset(entry, 0, sizeof *entry);
  entry->client_id = fc_cursor_u64(cursor);
  entry->client = fc_decode_name(cursor);
  entry->pid = fc_cursor_i64(cursor);
  entry->uid = fc_cursor_u32(cursor);
  entry->name_space = fc_decode_name_or_nil(cursor);
  entry->region = fc_cursor_bool(cursor);
  entry->connected_ns = fc_cursor_u64(cursor);
  entry->hits = fc_cursor_u64(cursor);
  entry->shared_hits = fc_cursor_u64(cursor);
  entry->leases = fc_cursor_u32(cursor);
  read_held(cursor, entry);
  entry->waits = fc_cursor_u32(cursor);
  read_wait(cursor, entry);
  entry->has_user = elements > 13 && !fc_cursor_nil(cursor); /* from version 5 on */
  if (entry->has_user)
    read_user(cursor, &entry->user);
  close_item(cursor, elements, elements > 13 ? 14 : 13);
}

/* ---- namespaces ---- */

void fc_read_namespace_entry(struct fc_cursor *cursor, void *item) {
  struct fc_namespace_entry *entry = item;
  uint32_t elements = fc_cursor_array(cursor);

  entry->name_space = fc_decode_name(cursor);
  entry->manifest = fc_decode_manifest_or_nil(cursor, FC_EPROTOCOL);
  entry->entries = fc_cursor_u64(cursor);
  entry->bytes = fc_cursor_u64(cursor);
  entry->hits = fc_cursor_u64(cursor);
  entry->misses = fc_cursor_u64(cursor);
  entry->clients = fc_cursor_u32(cursor);
  entry->idle_ns = fc_cursor_u64(cursor);
  entry->max_bytes = 0;
  if (elements > 8 && !fc_cursor_nil(cursor)) /* from version 5 on */
    entry->max_bytes = fc_cursor_u64(cursor);
  close_item(cursor, elements, elements > 8 ? 9 : 8);
}

/* ---- lists ---- */

uint32_t fc_decode_list(struct fc_cursor *cursor, fc_read_item_fn *read,
                        struct fc_list_reply *list) {
  union {
    struct fc_list_entry entry;
    struct fc_lease_entry lease;
    struct fc_client_entry client;
    struct fc_namespace_entry name_space;
  } item;

  list->cursor = fc_cursor_bin(cursor, &list->cursor_size);
  if (list->cursor_size > FC_CURSOR_BYTES_MAX)
    fc_cursor_fail(cursor, FC_EPROTOCOL);
  list->n = fc_cursor_array(cursor);
  list->at = cursor->at;
  for (uint32_t i = 0; i < list->n && !cursor->error; i++)
    read(cursor, &item);
  list->size = (size_t)(cursor->at - list->at);
  return 2;
}

static void next(struct fc_list_reply *list, fc_read_item_fn *read, void *item) {
  struct fc_cursor cursor = fc_cursor_init(list->at, list->size);

  read(&cursor, item);
  list->at = cursor.at;
  list->size = fc_cursor_left(&cursor);
  list->n--;
}

void fc_list_next(struct fc_list_reply *list, struct fc_list_entry *entry) {
  next(list, fc_read_list_entry, entry);
}

void fc_leases_next(struct fc_list_reply *list, struct fc_lease_entry *entry) {
  next(list, fc_read_lease_entry, entry);
}

void fc_clients_next(struct fc_list_reply *list, struct fc_client_entry *entry) {
  next(list, fc_read_client_entry, entry);
}

void fc_namespaces_next(struct fc_list_reply *list, struct fc_namespace_entry *entry) {
  next(list, fc_read_namespace_entry, entry);
}
