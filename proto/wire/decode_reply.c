/* The decoder of replies; the contract is in message.h. */
#include <limits.h>
#include <string.h>

#include "proto/errors.h"
#include "proto/limits.h"
#include "proto/wire/decode.h"
#include "proto/wire/decode_lists.h"
#include "proto/wire/message.h"

/* Each decode_* reads its fields and returns how many those are. */

static uint32_t decode_welcome(struct fc_cursor *cursor, struct fc_welcome *welcome) {
  welcome->version = fc_cursor_u32(cursor);
  welcome->server = fc_decode_name(cursor);
  welcome->boot_id = fc_cursor_u64(cursor);
  welcome->clear_generation = fc_cursor_u64(cursor);
  welcome->max_value = fc_cursor_u32(cursor);
  welcome->max_frame = fc_cursor_u32(cursor);
  if (welcome->version < 2) /* it knows no region */
    return 6;
  welcome->namespace_id = fc_cursor_u64(cursor);
  welcome->client_id = fc_cursor_u64(cursor);
  return 8;
}

/* `fields` is the number of all: what a later version added is read where it is there. */
static uint32_t decode_get(struct fc_cursor *cursor, uint32_t fields, struct fc_get_reply *get) {
  uint32_t lease;

  get->clear_generation = fc_cursor_u64(cursor);
  if (!fc_cursor_nil(cursor)) {
    get->value = fc_cursor_bin(cursor, &get->value_size);
    if (fields < 3)
      return 2;
    get->waited = fc_cursor_bool(cursor);
    return 3;
  }
  if (fields < 3)
    return 2;
  lease = fc_cursor_u32(cursor);
  if (lease > FC_LEASE_TAKEN)
    fc_cursor_fail(cursor, FC_EPROTOCOL);
  get->lease = (enum fc_lease_state)lease;
  return 3;
}

static uint32_t decode_put(struct fc_cursor *cursor, enum fc_put_outcome *put) {
  uint32_t outcome = fc_cursor_u32(cursor);

  if (outcome > FC_STALE)
    fc_cursor_fail(cursor, FC_EPROTOCOL);
  *put = (enum fc_put_outcome)outcome;
  return 1;
}

static uint32_t count_nils(struct fc_bins bins) {
  uint32_t nils = 0;

  while (bins.n > 0) {
    const uint8_t *data;
    uint32_t size;
    fc_bins_next(&bins, &data, &size);
    nils += data == NULL;
  }
  return nils;
}

static void decode_leases(struct fc_cursor *cursor, struct fc_get_many_reply *get) {
  get->leases = fc_cursor_bin(cursor, &get->n_leases);
  if (cursor->error)
    return;
  if (get->n_leases != count_nils(get->values))
    fc_cursor_fail(cursor, FC_EPROTOCOL);
  for (uint32_t i = 0; i < get->n_leases; i++)
    if (get->leases[i] > FC_LEASE_TAKEN)
      fc_cursor_fail(cursor, FC_EPROTOCOL);
}

static uint32_t decode_get_many(struct fc_cursor *cursor, uint32_t fields,
                                struct fc_get_many_reply *get) {
  get->clear_generation = fc_cursor_u64(cursor);
  get->first = fc_cursor_u32(cursor);
  get->last = fc_cursor_bool(cursor);
  fc_decode_bins(cursor, &get->values);
  if (get->values.n > UINT32_MAX - get->first)
    fc_cursor_fail(cursor, FC_EPROTOCOL);
  if (fields < 5)
    return 4;
  decode_leases(cursor, get);
  return 5;
}

static uint32_t decode_put_many(struct fc_cursor *cursor, struct fc_put_many_reply *put) {
  put->stored = fc_cursor_u32(cursor);
  put->kept = fc_cursor_u32(cursor);
  put->stale = fc_cursor_u32(cursor);
  put->too_big = fc_cursor_u32(cursor);
  return 4;
}

/* ---- stats ---- */

static void read_stat(struct fc_cursor *cursor, struct fc_stat *stat) {
  stat->name = fc_decode_name(cursor);
  switch (fc_cursor_kind(cursor)) {
  case FC_KIND_INTEGER:
    stat->kind = FC_STAT_UINT;
    stat->integer = fc_cursor_u64(cursor);
    break;
  case FC_KIND_REAL:
    stat->kind = FC_STAT_REAL;
    stat->real = fc_cursor_real(cursor);
    break;
  case FC_KIND_STR:
    stat->kind = FC_STAT_TEXT;
    stat->text = fc_cursor_str(cursor);
    break;
  case FC_KIND_OTHER:
  case FC_KIND_END:
    fc_cursor_fail(cursor, FC_EPROTOCOL);
    break;
  }
}

/* The head of a namespace's map, and its first pair; returns the pairs left. */
static uint32_t open_namespace(struct fc_cursor *cursor, struct fc_str *name_space) {
  uint32_t pairs = fc_cursor_map(cursor);

  if (pairs == 0 || !fc_str_equal(fc_cursor_str(cursor), fc_str_of("namespace")))
    fc_cursor_fail(cursor, FC_EPROTOCOL);
  *name_space = fc_decode_name(cursor);
  return cursor->error ? 0 : pairs - 1;
}

enum stats_stage { STATS_START = 0, STATS_DAEMON, STATS_NAMESPACES };

bool fc_stats_next(const struct fc_stats_reply *stats, struct fc_stats_walk *walk,
                   struct fc_stat *stat) {
  struct fc_cursor cursor = fc_cursor_init(stats->at + walk->at, stats->size - walk->at);

  if (walk->stage == STATS_START) {
    walk->left_in_map = fc_cursor_map(&cursor);
    walk->stage = STATS_DAEMON;
  }
  if (walk->stage == STATS_DAEMON && walk->left_in_map == 0) {
    walk->left_maps = fc_cursor_array(&cursor);
    walk->stage = STATS_NAMESPACES;
  }
  while (walk->left_in_map == 0 && walk->left_maps > 0) {
    walk->left_in_map = open_namespace(&cursor, &walk->name_space);
    walk->left_maps--;
  }
  if (walk->left_in_map == 0 || cursor.error) {
    walk->at = stats->size - fc_cursor_left(&cursor);
    return false;
  }
  *stat = (struct fc_stat){.name_space = walk->name_space};
  read_stat(&cursor, stat);
  walk->left_in_map--;
  walk->at = stats->size - fc_cursor_left(&cursor);
  return !cursor.error;
}

static void check_pairs(struct fc_cursor *cursor, uint32_t pairs) {
  struct fc_stat stat;

  for (uint32_t i = 0; i < pairs && !cursor->error; i++)
    read_stat(cursor, &stat);
}

static uint32_t decode_stats(struct fc_cursor *cursor, struct fc_stats_reply *stats) {
  struct fc_str name_space;
  uint32_t maps;

  stats->at = cursor->at;
  check_pairs(cursor, fc_cursor_map(cursor));
  maps = fc_cursor_array(cursor);
  for (uint32_t i = 0; i < maps && !cursor->error; i++)
    check_pairs(cursor, open_namespace(cursor, &name_space));
  stats->size = (size_t)(cursor->at - stats->at);
  return 2;
}

/* ---- the others ---- */

static uint32_t decode_trace(struct fc_cursor *cursor, struct fc_trace_reply *trace) {
  trace->on = fc_cursor_bool(cursor);
  if (!fc_cursor_nil(cursor)) {
    trace->path = fc_cursor_str(cursor);
    if (trace->path.size == 0 || trace->path.size > FC_PATH_MAX ||
        memchr(trace->path.data, '\0', trace->path.size))
      fc_cursor_fail(cursor, FC_EPROTOCOL);
  }
  trace->lines = fc_cursor_u64(cursor);
  trace->lost = fc_cursor_u64(cursor);
  return 4;
}

static uint32_t decode_ring(struct fc_cursor *cursor, struct fc_ring_reply *ring) {
  ring->namespace_id = fc_cursor_u64(cursor);
  ring->client_id = fc_cursor_u64(cursor);
  return 2;
}

static uint32_t decode_error(struct fc_cursor *cursor, struct fc_error_reply *error) {
  uint32_t code = fc_cursor_u32(cursor);

  if (code == 0 || code > INT_MAX)
    fc_cursor_fail(cursor, FC_EPROTOCOL);
  else
    error->code = -(int)code;
  error->text = fc_cursor_str(cursor);
  return 2;
}

static uint32_t decode_fields(struct fc_cursor *cursor, uint32_t fields, struct fc_reply *reply) {
  switch ((uint32_t)reply->type) {
  case FC_REPLY | FC_HELLO:
    return decode_welcome(cursor, &reply->welcome);
  case FC_REPLY | FC_GET:
    return decode_get(cursor, fields, &reply->get);
  case FC_REPLY | FC_PUT:
    return decode_put(cursor, &reply->put);
  case FC_REPLY | FC_GET_MANY:
    return decode_get_many(cursor, fields, &reply->get_many);
  case FC_REPLY | FC_PUT_MANY:
    return decode_put_many(cursor, &reply->put_many);
  case FC_REPLY | FC_STATS:
    return decode_stats(cursor, &reply->stats);
  case FC_REPLY | FC_CLEAR:
    reply->removed = fc_cursor_u64(cursor);
    return 1;
  case FC_REPLY | FC_LIST:
    return fc_decode_list(cursor, fc_read_list_entry, &reply->list);
  case FC_REPLY | FC_LEASES:
    return fc_decode_list(cursor, fc_read_lease_entry, &reply->list);
  case FC_REPLY | FC_CLIENTS:
    return fc_decode_list(cursor, fc_read_client_entry, &reply->list);
  case FC_REPLY | FC_NAMESPACES:
    return fc_decode_list(cursor, fc_read_namespace_entry, &reply->list);
  case FC_REPLY | FC_KILL:
    reply->killed = fc_cursor_bool(cursor);
    return 1;
  case FC_REPLY | FC_GIVE_UP:
    reply->given_up = fc_cursor_u32(cursor);
    return 1;
  case FC_REPLY | FC_TRACE:
    return decode_trace(cursor, &reply->trace);
  case FC_REPLY | FC_RING:
    return decode_ring(cursor, &reply->ring);
  case FC_ERROR:
    return decode_error(cursor, &reply->error);
  case FC_REPLY | FC_PING:
  case FC_REPLY | FC_SHUTDOWN:
    return 0;
  default:
    fc_cursor_fail(cursor, FC_EPROTOCOL);
    return 0;
  }
}

int fc_decode_reply(const uint8_t *body, size_t size, struct fc_reply *reply) {
  struct fc_cursor cursor = fc_cursor_init(body, size);
  uint32_t type, fields;

  memset(reply, 0, sizeof *reply);
  fields = fc_decode_open(&cursor, &type, &reply->id);
  reply->type = (enum fc_type)type;
  return fc_decode_close(&cursor, fields, decode_fields(&cursor, fields, reply));
}

bool fc_decode_reply_head(const uint8_t *body, size_t have, uint32_t body_size,
                          struct fc_reply *reply, size_t *offset, uint32_t *value_size) {
  struct fc_cursor cursor = fc_cursor_init(body, have);
  uint32_t type, fields, known;

  memset(reply, 0, sizeof *reply);
  fields = fc_decode_open(&cursor, &type, &reply->id);
  reply->type = (enum fc_type)type;
  if (type == (FC_REPLY | FC_GET)) {
    reply->get.clear_generation = fc_cursor_u64(&cursor);
    known = 2;
  } else if (type == (FC_REPLY | FC_GET_MANY)) {
    reply->get_many.clear_generation = fc_cursor_u64(&cursor);
    reply->get_many.first = fc_cursor_u32(&cursor);
    reply->get_many.last = fc_cursor_bool(&cursor);
    if (fc_cursor_array(&cursor) != 1)
      return false;
    known = 4;
  } else {
    return false;
  }
  *value_size = fc_cursor_bin_head(&cursor);
  *offset = have - fc_cursor_left(&cursor);
  return cursor.error == 0 && fields == known && *value_size == body_size - *offset;
}
