#include "client/lib/admin/transfer.h"

#include <assert.h>

#include "client/lib/admin/admin_internal.h"
#include "client/lib/conn/request.h"
#include "proto/errors.h"

#define TOGETHER_MAX_BYTES (64u << 10) /* a larger value is sent alone, without a copy */

int transfer_open(const struct admin *tool, const char *name_space, const char *manifest,
                  struct admin **out, struct fcache_error *error) {
  const struct connection *connection = &tool->connection;
  struct connection_options options = {
      .socket = connection->path,
      .name_space = name_space,
      .manifest = manifest,
      .deadline_ns = connection->io.deadline_ns,
      .quiet = true,
  };
  return admin_open_options(&options, out, error);
}

int transfer_list(struct admin *admin, const char *name_space, pages_entry_fn *fn, void *arg) {
  struct fc_select select = {.name_space = fc_str_of(name_space)};
  return admin_list_places(admin, &select, fn, arg);
}

/* ---- get ---- */

/* Returns whether the part continues the reply: each index once, in order, and at least one per
 * part, so that the reply ends. */
static bool is_next_part(const struct fc_get_many_reply *part, uint32_t next, uint32_t n) {
  uint32_t left = n - next, values = part->values.n;
  return part->first == next && values <= left && (values > 0 || part->last) &&
         (!part->last || values == left);
}

int transfer_get(struct admin *admin, const struct fc_key *key, const uint8_t *prompts, uint32_t n,
                 transfer_value_fn *fn, void *arg) {
  struct connection *connection = &admin->connection;
  struct fc_get_many get = {
      .flags = FC_UNRECORDED | FC_PEEK, .key = *key, .prompts = prompts, .n = n};
  struct fc_reply reply;
  struct fc_get_many_reply *part = &reply.get_many;
  uint32_t next = 0;
  assert(n > 0 && n <= TRANSFER_KEYS_MAX);
  int rc = admin_check_supported(admin, CONNECTION_SNAPSHOTS, "export");
  if (rc < 0)
    return rc;
  uint32_t id = request_begin(connection, FC_GET_MANY);
  (void)fc_encode_get_many(&connection->request, id, &get); /* request_call checks `failed` */
  rc = request_call(connection, id, NULL, 0, &reply);
  while (rc == 0) {
    if (!is_next_part(part, next, n))
      return connection_fail(connection, FC_EPROTOCOL);
    while (part->values.n > 0) {
      const uint8_t *value;
      uint32_t size;
      fc_bins_next(&part->values, &value, &size);
      fn(arg, next++, value, size);
    }
    if (part->last)
      return 0;
    rc = request_next_reply(connection, id, &reply);
  }
  return rc;
}

/* ---- put ---- */

/* Counts the outcome of a put. Returns 0, or the error if that is not an outcome of this one
 * value. */
static int count(int rc, const struct fc_reply *reply, struct transfer_counts *counts) {
  if (rc == 0) {
    counts->stored += reply->put == FC_STORED;
    counts->kept += reply->put == FC_KEPT;
    /* FC_STALE is no outcome of a put without an epoch. */
    return 0;
  }
  counts->too_big += rc == FC_ETOOBIG;
  counts->no_memory += rc == FC_ENOMEM;
  return rc == FC_ETOOBIG || rc == FC_ENOMEM ? 0 : rc;
}

static struct fc_put message_of(const struct transfer_put *put) {
  return (struct fc_put){.flags = FC_UNRECORDED | FC_KEEP_FIRST,
                         .key = put->key,
                         .compute_ns = put->compute_ns,
                         .value = put->value,
                         .value_size = put->size};
}

static int put_one(struct connection *connection, const struct transfer_put *put,
                   struct transfer_counts *counts) {
  struct fc_put message = message_of(put);
  struct fc_reply reply;
  uint32_t id = request_begin(connection, FC_PUT);
  (void)fc_encode_put_head(&connection->request, id, &message); /* request_call checks `failed` */
  int rc = request_call(connection, id, put->value, put->size, &reply);
  return connection->state == CONNECTION_UP ? count(rc, &reply, counts) : rc;
}

/* Receives the replies to `n` puts. The daemon handles the requests of a connection in order, and
 * each reply is small, so it never waits for a client that has not begun to read. */
static int receive_outcomes(struct connection *connection, uint32_t *ids, uint32_t n,
                            struct transfer_counts *counts) {
  struct fc_reply reply;
  uint32_t which;
  int rc = 0;
  while (n > 0) {
    int one = request_receive(connection, ids, n, &which, &reply);
    if (connection->state != CONNECTION_UP)
      return one;
    if (which == n)
      continue;
    ids[which] = ids[--n]; /* each request has one reply */
    one = count(one, &reply, counts);
    rc = rc == 0 ? one : rc;
  }
  return rc;
}

/* Sends the puts back to back, so that the daemon does not wait for the client between them. */
static int put_together(struct connection *connection, const struct transfer_put *puts, uint32_t n,
                        struct transfer_counts *counts) {
  uint32_t ids[TRANSFER_PUTS_MAX];
  struct fc_buf *request = &connection->request;
  for (uint32_t i = 0; i < n; i++) {
    struct fc_put message = message_of(&puts[i]);
    ids[i] = i == 0 ? request_begin(connection, FC_PUT) : connection_next_request_id(connection);
    (void)fc_encode_put_head(request, ids[i], &message); /* request_send checks `failed` */
    (void)fc_buf_append(request, puts[i].value, puts[i].size);
  }
  int rc = request_send(connection);
  return rc < 0 ? rc : receive_outcomes(connection, ids, n, counts);
}

/* Returns the number of puts at the start of the list that are sent together. */
static uint32_t n_together(const struct transfer_put *puts, uint32_t n, uint32_t max_value) {
  size_t bytes = 0;
  uint32_t i = 0;
  while (i < n && puts[i].size <= max_value && (bytes += puts[i].size) <= TOGETHER_MAX_BYTES)
    i++;
  return i;
}

int transfer_put(struct admin *admin, const struct transfer_put *puts, uint32_t n,
                 struct transfer_counts *counts) {
  struct connection *connection = &admin->connection;
  int rc = 0;
  assert(n <= TRANSFER_PUTS_MAX);
  for (uint32_t i = 0; rc == 0 && i < n;) {
    uint32_t together = n_together(puts + i, n - i, connection->max_value);
    if (!admin_is_up(admin))
      return FC_EUNAVAILABLE;
    if (puts[i].size > connection->max_value) {
      counts->too_big++;
      i++;
    } else if (together <= 1) {
      rc = put_one(connection, &puts[i], counts);
      i++;
    } else {
      rc = put_together(connection, puts + i, together, counts);
      i += together;
    }
  }
  return rc;
}
