#include "scripted_store.h"

#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/errors.h"

static void copy(char to[32], struct fc_str from) {
  (void)snprintf(to, 32, "%.*s", (int)from.size, from.data == NULL ? "" : from.data);
}

static bool is_key(const struct scripted_entry *entry, const struct fc_key *key) {
  return fc_str_equal(fc_str_of(entry->op), key->op) &&
         fc_str_equal(fc_str_of(entry->view), key->view) && entry->top_k == key->top_k &&
         memcmp(&entry->prompt, &key->prompt, sizeof key->prompt) == 0;
}

static struct scripted_entry *find(struct scripted_store *store, const struct fc_key *key) {
  for (unsigned i = 0; i < store->n; i++)
    if (is_key(&store->entries[i], key))
      return &store->entries[i];
  return NULL;
}

/* An enum fc_put_outcome, or FC_ETOOBIG. */
static int put(struct scripted_store *store, const struct fc_key *key, uint32_t flags,
               const struct fc_epoch *epoch, const uint8_t *value, uint32_t size) {
  if (value == NULL ||
      size > store->scripted.welcome.max_value) /* withheld, or sent all the same */
    return FC_ETOOBIG;
  if (epoch->boot_id != 0 &&
      (epoch->boot_id != SCRIPTED_BOOT_ID || epoch->clear_generation < store->generation))
    return FC_STALE;
  struct scripted_entry *entry = find(store, key);
  if (entry != NULL && (flags & FC_KEEP_FIRST) != 0)
    return FC_KEPT;
  if (entry == NULL) {
    if (store->n == SCRIPTED_ENTRIES)
      return FC_ENOMEM;
    entry = &store->entries[store->n++];
    memset(entry, 0, sizeof *entry);
    copy(entry->op, key->op);
    copy(entry->view, key->view);
    entry->top_k = key->top_k;
    entry->prompt = key->prompt;
  }
  free(entry->value);
  entry->value = malloc((size_t)size + 1);
  entry->size = size;
  if (entry->value == NULL)
    abort();
  if (size > 0)
    memcpy(entry->value, value, size);
  return FC_STORED;
}

static void record(struct scripted_store *store, struct scripted_put message, struct fc_str probe) {
  if (store->n_puts == SCRIPTED_PUTS)
    return;
  copy(message.probe, probe);
  store->puts[store->n_puts++] = message;
}

static void on_get(struct scripted_store *store, const struct fc_request *request,
                   struct fc_buf *out) {
  const struct scripted_entry *entry = find(store, &request->get.key);
  store->get_flags = request->get.flags;
  copy(store->get_probe, request->get.probe);
  if (entry == NULL)
    (void)fc_encode_miss(out, request->id, store->generation);
  else if (fc_encode_hit_head(out, request->id, store->generation, entry->size) == 0)
    (void)fc_buf_append(out, entry->value, entry->size);
}

static void on_put(struct scripted_store *store, const struct fc_request *request,
                   struct fc_buf *out) {
  const struct fc_put *message = &request->put;
  record(store,
         (struct scripted_put){message->flags, 1, 0, message->epoch, message->compute_ns, ""},
         message->probe);
  int outcome = put(store, &message->key, message->flags, &message->epoch, message->value,
                    message->value_size);
  if (outcome < 0)
    (void)fc_encode_error(out, request->id, outcome, fc_str_of("the daemon's words"));
  else
    (void)fc_encode_put_reply(out, request->id, (enum fc_put_outcome)outcome);
}

static void add_part(struct scripted_store *store, const struct fc_request *request, uint32_t first,
                     uint32_t n, struct fc_buf *out) {
  const struct fc_get_many *message = &request->get_many;
  struct fc_get_many_reply part = {.clear_generation = store->generation,
                                   .first = first,
                                   .last = first + n == message->n && !store->stall_parts,
                                   .values.n = n};
  size_t start = out->size;
  (void)fc_encode_get_many_reply_head(out, request->id, &part);
  for (uint32_t i = first; i < first + n; i++) {
    struct fc_key key = message->key;
    memcpy(&key.prompt, message->prompts + (size_t)i * FC_HASH_SIZE, FC_HASH_SIZE);
    const struct scripted_entry *entry = find(store, &key);
    if (entry == NULL) {
      (void)fc_encode_nil(out);
      continue;
    }
    (void)fc_encode_bin_head(out, entry->size);
    (void)fc_buf_append(out, entry->value, entry->size);
  }
  fc_frame_finish(out, start, 0);
}

static void on_get_many(struct scripted_store *store, const struct fc_request *request,
                        struct fc_buf *out) {
  uint32_t n = request->get_many.n;
  uint32_t most = store->part != 0 ? store->part : n;
  store->get_flags = request->get_many.flags;
  copy(store->get_probe, request->get_many.probe);
  if (store->stall_parts) {
    for (int i = 0; i < 3; i++)
      add_part(store, request, 0, 0, out);
    return;
  }
  for (uint32_t at = 0; at < n; at += most)
    add_part(store, request, at, n - at < most ? n - at : most, out);
}

static void on_put_many(struct scripted_store *store, struct fc_request *request,
                        struct fc_buf *out) {
  struct fc_put_many *message = &request->put_many;
  struct fc_put_many_reply reply = {0};
  record(store,
         (struct scripted_put){message->flags, message->n, message->batch, message->epoch,
                               message->compute_ns, ""},
         message->probe);
  for (uint32_t i = 0; i < message->n; i++) {
    const uint8_t *value;
    uint32_t size;
    struct fc_key key = message->key;
    memcpy(&key.prompt, message->prompts + (size_t)i * FC_HASH_SIZE, FC_HASH_SIZE);
    fc_bins_next(&message->values, &value, &size);
    int outcome = put(store, &key, message->flags, &message->epoch, value, size);
    reply.stored += outcome == FC_STORED;
    reply.kept += outcome == FC_KEPT;
    reply.stale += outcome == FC_STALE;
    reply.too_big += outcome < 0;
  }
  (void)fc_encode_put_many_reply(out, request->id, &reply);
}

/* Everything, whatever is selected: the tests need no more. */
static void on_clear(struct scripted_store *store, const struct fc_request *request,
                     struct fc_buf *out) {
  unsigned removed = store->n;
  for (unsigned i = 0; i < store->n; i++)
    free(store->entries[i].value);
  store->n = 0;
  store->generation++;
  (void)fc_encode_cleared(out, request->id, removed);
}

/* False to hang up. */
static bool answer(struct scripted_store *store, struct fc_request *request, struct fc_buf *out) {
  bool is_get = request->type == FC_GET || request->type == FC_GET_MANY;
  bool is_put = request->type == FC_PUT || request->type == FC_PUT_MANY;
  int error = is_get ? store->get_error : is_put ? store->put_error : 0;
  store->n_gets += is_get;
  if (is_get && store->hang_ups_at_get > 0) {
    store->hang_ups_at_get--;
    return false;
  }
  if (error != 0)
    (void)fc_encode_error(out, request->id, error, fc_str_of("the daemon's words"));
  else if (request->type == FC_GET)
    on_get(store, request, out);
  else if (request->type == FC_PUT)
    on_put(store, request, out);
  else if (request->type == FC_GET_MANY)
    on_get_many(store, request, out);
  else if (request->type == FC_PUT_MANY)
    on_put_many(store, request, out);
  else if (request->type == FC_CLEAR)
    on_clear(store, request, out);
  else
    return false;
  return true;
}

static void serve(struct scripted_daemon *scripted, int fd, unsigned nth) {
  (void)nth;
  struct scripted_store *store = scripted->arg;
  struct fc_request request;
  uint8_t *body;
  if (!scripted_handshake(scripted, fd))
    return;
  while (scripted_read(scripted, fd, &body, &request)) {
    struct fc_buf out = {0};
    (void)pthread_mutex_lock(&store->lock);
    bool go_on = answer(store, &request, &out);
    (void)pthread_mutex_unlock(&store->lock);
    free(body);
    scripted_send(fd, &out);
    if (!go_on)
      return;
  }
}

void scripted_store_start(struct scripted_store *store) {
  memset(store, 0, sizeof *store);
  ck_assert_int_eq(pthread_mutex_init(&store->lock, NULL), 0);
  scripted_start(&store->scripted, serve, store);
  store->generation = store->scripted.welcome.clear_generation;
}

void scripted_store_stop(struct scripted_store *store) {
  scripted_stop(&store->scripted);
  for (unsigned i = 0; i < store->n; i++)
    free(store->entries[i].value);
  (void)pthread_mutex_destroy(&store->lock);
}
