/* Puts of many keys, in as few messages as the daemon's limits allow. */
#include <stdlib.h>
#include <string.h>

#include "client/lib/api/handle.h"
#include "proto/errors.h"
#include "proto/wall.h"
#include "proto/wire/pieces.h"

#define PUTS_MAX 500u /* keys a message: two pieces each, and the kernel takes 1,024 */
#define VALUE_HEAD_BYTES 5u

struct put_message {
  uint8_t prompts[PUTS_MAX * FC_HASH_SIZE];
  const struct fcache_bytes *values[PUTS_MAX];
  uint32_t n;
  struct iovec list[2 * PUTS_MAX + 1];
};

/* Returns the bytes to send for a value: none over max_value, where the put is only counted. */
static size_t sent_size(const struct fcache *cache, const struct fcache_bytes *value) {
  return value->size > cache->connection.max_value ? 0 : value->size;
}

/* Fills one message with the keys from `at` on. Returns the first key of the next message. */
static uint32_t fill_message(const struct fcache *cache, const struct fc_put_many *put,
                             const struct fcache_bytes *values, uint32_t at,
                             struct put_message *some) {
  size_t bytes = HANDLE_HEAD_MAX_BYTES;
  some->n = 0;
  for (; at < put->n && some->n < PUTS_MAX; at++) {
    size_t more = FC_HASH_SIZE + VALUE_HEAD_BYTES + sent_size(cache, &values[at]);
    if (some->n > 0 && bytes + more > cache->connection.max_frame)
      break;
    bytes += more;
    memcpy(some->prompts + (size_t)some->n * FC_HASH_SIZE, put->prompts + (size_t)at * FC_HASH_SIZE,
           FC_HASH_SIZE);
    some->values[some->n++] = &values[at];
  }
  return at;
}

/* Sends one message. *put becomes the rest: the messages share its compute time without loss. */
static int send_put_many(struct fcache *cache, struct fc_put_many *put, struct put_message *some,
                         struct fc_put_many_reply *sum) {
  struct connection *connection = &cache->connection;
  struct fc_put_many message = *put;
  struct fc_pieces pieces;
  struct fc_reply reply;
  message.prompts = some->prompts;
  message.n = message.values.n = some->n;
  message.compute_ns = fc_part_of(put->compute_ns, some->n, put->n);
  put->compute_ns -= message.compute_ns;
  put->n -= some->n;
  put->batch = 0; /* the batch is counted once */
  uint32_t id = request_begin(connection, FC_PUT_MANY);
  fc_pieces_init(&pieces, some->list);
  (void)fc_encode_put_many_head(&connection->request, id,
                                &message); /* request_call checks `failed` */
  for (uint32_t i = 0; i < some->n; i++) {
    size_t size = sent_size(cache, some->values[i]);
    if (size < some->values[i]->size)
      (void)fc_encode_nil(&connection->request);
    else
      (void)fc_encode_bin_head(&connection->request, (uint32_t)size);
    fc_pieces_add(&pieces, &connection->request, some->values[i]->data, size);
  }
  if (!connection->request.failed) {
    fc_frame_finish(&connection->request, 0, pieces.outside_bytes);
    fc_pieces_finish(&pieces, &connection->request);
  }
  int rc = request_call_pieces(connection, id, pieces.list, pieces.n, &reply);
  if (rc == 0) {
    sum->stored += reply.put_many.stored;
    sum->too_big += reply.put_many.too_big;
  }
  return rc;
}

static size_t largest_of(const struct fcache_bytes *values, uint32_t n) {
  size_t largest = 0;
  for (uint32_t i = 0; i < n; i++)
    largest = values[i].size > largest ? values[i].size : largest;
  return largest;
}

int handle_send_put_many(struct fcache *cache, const struct fc_put_many *put,
                         const struct fcache_bytes *values) {
  struct fc_put_many_reply sum = {0};
  if (put->n == 0)
    return FCACHE_OK;
  if (!handle_ready(cache))
    return FCACHE_NOT_STORED;
  struct put_message *some = malloc(sizeof *some);
  if (some == NULL)
    return connection_set_error(&cache->connection, FC_ENOMEM, "out of memory for a batch of puts");
  struct fc_put_many next = *put;
  unsigned repeats = 0;
  int rc = 0;
  for (uint32_t at = 0; rc == 0 && at < put->n;) {
    struct fc_put_many before = next;
    uint32_t end = fill_message(cache, put, values, at, some);
    rc = send_put_many(cache, &next, some, &sum);
    if (rc == 0)
      at = end;
    else if (handle_may_repeat(cache, rc, &repeats)) {
      next = before;
      rc = 0;
    }
  }
  free(some);
  if (rc < 0)
    return handle_outcome(cache, rc, FCACHE_NOT_STORED);
  if (sum.too_big > 0) {
    cache->counters.too_big += sum.too_big;
    return connection_value_too_big(&cache->connection, largest_of(values, put->n));
  }
  return sum.stored < put->n ? FCACHE_NOT_STORED : FCACHE_OK;
}

int fcache_put_many(struct fcache *cache, const char *op, const char *view, uint32_t top_k,
                    const struct fcache_hash *prompts, const struct fcache_bytes *values, size_t n,
                    uint64_t compute_ns, unsigned flags) {
  struct fc_put_many put = {.flags = flags & (FCACHE_UNRECORDED | FCACHE_KEEP_FIRST),
                            .compute_ns = compute_ns};
  handle_enter(cache);
  int rc = handle_batch_key(cache, op, view, top_k, n, &put.key);
  if (rc < 0)
    return rc;
  if (n > 0 && (prompts == NULL || values == NULL))
    return connection_set_error(&cache->connection, FC_EINVAL, "prompts or values is NULL");
  for (size_t i = 0; i < n; i++)
    if (values[i].data == NULL && values[i].size > 0)
      return connection_set_error(&cache->connection, FC_EINVAL,
                                  "the address of value %zu, of %zu bytes, is NULL", i,
                                  values[i].size);
  put.probe = handle_probe(cache);
  put.prompts = (const uint8_t *)prompts;
  put.n = (uint32_t)n;
  if ((flags & FCACHE_UNRECORDED) == 0)
    handle_count_computed(cache, n, compute_ns);
  struct recent_miss miss;
  rc = FCACHE_NOT_STORED;
  if (handle_find_misses(cache, &put.key, prompts, n, &miss)) {
    put.epoch = miss.epoch;
    put.flags |= miss.leased ? FC_KEEP_FIRST : 0;
    rc = handle_send_put_many(cache, &put, values);
  }
  return handle_finish_put(cache, &put.key, prompts, n, rc);
}
