/* The decoder of requests; its contract is in message.h. */
#include <string.h>

#include "proto/errors.h"
#include "proto/limits.h"
#include "proto/wire/decode.h"
#include "proto/wire/message.h"

/* Each decode_* reads its fields and returns how many those are. */

static uint32_t decode_hello(struct fc_cursor *cursor, struct fc_hello *hello) {
  hello->version_min = fc_cursor_u32(cursor);
  hello->version_max = fc_cursor_u32(cursor);
  hello->client = fc_decode_name(cursor);
  hello->name_space = fc_decode_name_or_nil(cursor);
  hello->has_max_entries = !fc_cursor_nil(cursor);
  hello->max_entries = hello->has_max_entries ? fc_cursor_i64(cursor) : 0;
  if (hello->version_max < 2) /* it knows no region */
    return 5;
  hello->region_layout = fc_cursor_u32(cursor);
  if (hello->version_max < 4) /* nor manifests */
    return 6;
  hello->manifest = fc_decode_manifest_or_nil(cursor, FC_EINVAL);
  if (hello->version_max < 5) /* nor limits in bytes */
    return 7;
  hello->has_max_bytes = !fc_cursor_nil(cursor);
  hello->max_bytes = hello->has_max_bytes ? fc_cursor_u64(cursor) : 0;
  return 8;
}

static void decode_key_names(struct fc_cursor *cursor, uint32_t *flags, struct fc_key *key) {
  *flags = fc_cursor_u32(cursor);
  key->op = fc_decode_name(cursor);
  key->view = fc_decode_name(cursor);
  key->top_k = fc_cursor_u32(cursor);
}

static void decode_epoch(struct fc_cursor *cursor, struct fc_epoch *epoch) {
  epoch->boot_id = fc_cursor_u64(cursor);
  epoch->clear_generation = fc_cursor_u64(cursor);
}

/* What a later version added is there as a whole or not at all; `fields` is the number of all. */
static uint32_t decode_get(struct fc_cursor *cursor, uint32_t fields, struct fc_get *get) {
  decode_key_names(cursor, &get->flags, &get->key);
  get->key.prompt = fc_decode_hash(cursor);
  get->probe = fc_decode_name_or_nil(cursor);
  get->has_terms = fields > 6;
  if (!get->has_terms)
    return 6;
  get->terms.lease_ms = fc_cursor_u32(cursor);
  get->terms.wait_ms = fc_cursor_u32(cursor);
  return 8;
}

static uint32_t decode_put(struct fc_cursor *cursor, struct fc_put *put) {
  decode_key_names(cursor, &put->flags, &put->key);
  put->key.prompt = fc_decode_hash(cursor);
  put->probe = fc_decode_name_or_nil(cursor);
  decode_epoch(cursor, &put->epoch);
  put->compute_ns = fc_cursor_u64(cursor);
  put->withheld = fc_cursor_nil(cursor);
  if (!put->withheld)
    put->value = fc_cursor_bin(cursor, &put->value_size);
  return 10;
}

/* Returns the number of prompts; *prompts borrows. */
static uint32_t decode_prompts(struct fc_cursor *cursor, const uint8_t **prompts) {
  uint32_t size;

  *prompts = fc_cursor_bin(cursor, &size);
  if (size == 0 || size % FC_HASH_SIZE != 0)
    fc_cursor_fail(cursor, FC_EPROTOCOL);
  return size / FC_HASH_SIZE;
}

static uint32_t decode_get_many(struct fc_cursor *cursor, uint32_t fields,
                                struct fc_get_many *get) {
  decode_key_names(cursor, &get->flags, &get->key);
  get->n = decode_prompts(cursor, &get->prompts);
  get->probe = fc_decode_name_or_nil(cursor);
  get->has_terms = fields > 6;
  if (!get->has_terms)
    return 6;
  get->terms.lease_ms = fc_cursor_u32(cursor);
  return 7;
}

/* `checked`: the values were checked before, and are passed over. */
static uint32_t decode_put_many(struct fc_cursor *cursor, bool checked, struct fc_put_many *put) {
  decode_key_names(cursor, &put->flags, &put->key);
  put->n = decode_prompts(cursor, &put->prompts);
  put->probe = fc_decode_name_or_nil(cursor);
  decode_epoch(cursor, &put->epoch);
  put->compute_ns = fc_cursor_u64(cursor);
  put->batch = fc_cursor_u32(cursor);
  if (checked)
    fc_decode_checked_bins(cursor, &put->values);
  else
    fc_decode_bins(cursor, &put->values);
  if (put->values.n != put->n)
    fc_cursor_fail(cursor, FC_EPROTOCOL);
  return 11;
}

static uint32_t decode_select(struct fc_cursor *cursor, struct fc_select *select) {
  select->name_space = fc_decode_name_or_nil(cursor);
  select->view = fc_decode_name_or_nil(cursor);
  select->op = fc_decode_name_or_nil(cursor);
  return 3;
}

static void decode_paging(struct fc_cursor *cursor, uint32_t *limit, const uint8_t **token,
                          uint32_t *token_size) {
  *limit = fc_cursor_u32(cursor);
  if (!cursor->error && *limit == 0) /* would page without end */
    fc_cursor_fail(cursor, FC_EINVAL);
  *token = fc_cursor_bin(cursor, token_size);
  if (*token_size > FC_CURSOR_BYTES_MAX)
    fc_cursor_fail(cursor, FC_EPROTOCOL);
}

static uint32_t decode_list(struct fc_cursor *cursor, struct fc_list *list) {
  uint32_t fields = decode_select(cursor, &list->select);

  decode_paging(cursor, &list->limit, &list->cursor, &list->cursor_size);
  return fields + 2;
}

static uint32_t decode_page(struct fc_cursor *cursor, struct fc_page *page) {
  page->name_space = fc_decode_name_or_nil(cursor);
  decode_paging(cursor, &page->limit, &page->cursor, &page->cursor_size);
  return 3;
}

static uint32_t decode_ring(struct fc_cursor *cursor, struct fc_ring_request *ring) {
  ring->region_layout = fc_cursor_u32(cursor);
  ring->want_slots = fc_cursor_u32(cursor);
  return 2;
}

/* All of the names, or none of them. */
static uint32_t decode_give_up(struct fc_cursor *cursor, struct fc_give_up *give_up) {
  bool all = fc_cursor_nil(cursor);

  if (!all)
    give_up->key.op = fc_decode_name(cursor);
  if (!all)
    give_up->key.view = fc_decode_name(cursor);
  else if (!fc_cursor_nil(cursor))
    fc_cursor_fail(cursor, FC_EPROTOCOL);
  give_up->key.top_k = fc_cursor_u32(cursor);
  if (!all)
    give_up->n = decode_prompts(cursor, &give_up->prompts);
  else if (!fc_cursor_nil(cursor))
    fc_cursor_fail(cursor, FC_EPROTOCOL);
  return 4;
}

bool fc_trace_path_fits(uint32_t action, struct fc_str path) {
  if (action != FC_TRACE_ON) /* a path where none belongs is as wrong as none where one does */
    return path.data == NULL;
  return path.size >= 1 && path.size <= FC_PATH_MAX && !memchr(path.data, '\0', path.size);
}

static uint32_t decode_trace(struct fc_cursor *cursor, struct fc_trace *trace) {
  trace->action = fc_cursor_u32(cursor);
  if (trace->action > FC_TRACE_OFF)
    fc_cursor_fail(cursor, FC_EPROTOCOL);
  if (!fc_cursor_nil(cursor))
    trace->path = fc_cursor_str(cursor);
  if (!cursor->error && !fc_trace_path_fits(trace->action, trace->path))
    fc_cursor_fail(cursor, FC_EINVAL);
  return 2;
}

static uint32_t decode_fields(struct fc_cursor *cursor, uint32_t fields, bool checked,
                              struct fc_request *request) {
  switch (request->type) {
  case FC_HELLO:
    return decode_hello(cursor, &request->hello);
  case FC_GET:
    return decode_get(cursor, fields, &request->get);
  case FC_PUT:
    return decode_put(cursor, &request->put);
  case FC_GET_MANY:
    return decode_get_many(cursor, fields, &request->get_many);
  case FC_PUT_MANY:
    return decode_put_many(cursor, checked, &request->put_many);
  case FC_STATS:
    request->select.name_space = fc_decode_name_or_nil(cursor);
    return 1;
  case FC_CLEAR:
    return decode_select(cursor, &request->select);
  case FC_LIST:
    return decode_list(cursor, &request->list);
  case FC_TRACE:
    return decode_trace(cursor, &request->trace);
  case FC_GIVE_UP:
    return decode_give_up(cursor, &request->give_up);
  case FC_LEASES:
  case FC_CLIENTS:
  case FC_NAMESPACES:
    return decode_page(cursor, &request->page);
  case FC_RING:
    return decode_ring(cursor, &request->ring);
  case FC_KILL:
    request->kill = fc_cursor_u64(cursor);
    return 1;
  case FC_PING:
  case FC_SHUTDOWN:
    return 0;
  case FC_REPLY:
  case FC_ERROR:
  default:
    fc_cursor_fail(cursor, FC_EPROTOCOL);
    return 0;
  }
}

int fc_decode_request(const uint8_t *body, size_t size, struct fc_request *request) {
  struct fc_cursor cursor = fc_cursor_init(body, size);
  uint32_t type, fields;

  memset(request, 0, sizeof *request);
  fields = fc_decode_open(&cursor, &type, &request->id);
  request->type = (enum fc_type)type;
  return fc_decode_close(&cursor, fields, decode_fields(&cursor, fields, false, request));
}

int fc_decode_request_again(const uint8_t *body, size_t size, struct fc_request *request) {
  struct fc_cursor cursor = fc_cursor_init(body, size);
  uint32_t type, fields;

  memset(request, 0, sizeof *request);
  fields = fc_decode_open(&cursor, &type, &request->id);
  request->type = (enum fc_type)type;
  (void)decode_fields(&cursor, fields, true, request); /* what follows them was checked, too */
  return cursor.error;
}
