/* The decoders: the contract is in message.h, the fields are in message_fields.h. */
#include "proto/wire/decode.h"

#include <string.h>

#include "proto/wire/field_read.h"
#include "proto/wire/message_fields.h"

/* ---- bodies and fields ---- */

void fc_read_opening(struct fc_reader *reader, uint32_t *type, uint32_t *id,
                     struct fc_field_count *count) {
  uint32_t elements = fc_read_array(reader);
  if (elements < 2)
    fc_reader_fail(reader, FC_EPROTOCOL);
  *type = fc_read_u32(reader);
  *id = fc_read_u32(reader);
  *count = (struct fc_field_count){.n = reader->error ? 0 : elements - 2};
}

/* Ends an array: fields of a later version are skipped. Fails if a known field is missing. */
static void fields_close(struct fc_reader *reader, const struct fc_field_count *count) {
  if (count->n < count->read)
    fc_reader_fail(reader, FC_EPROTOCOL);
  else
    fc_read_skip(reader, count->n - count->read);
}

static int body_close(struct fc_reader *reader, struct fc_field_count *count) {
  count->complete = !reader->error;
  fields_close(reader, count);
  if (!reader->error && fc_reader_left(reader))
    fc_reader_fail(reader, FC_EPROTOCOL);
  return reader->error;
}

/* NOLINTBEGIN(bugprone-macro-parentheses): a type cannot have them. */

/* Each list of fields becomes a function read_NAME(reader, count, m) that stops at the first
 * error. */
#define FIELD(name, kind, ...)                                                                     \
  read_##kind(reader, __VA_ARGS__);                                                                \
  if (reader->error)                                                                               \
    return;                                                                                        \
  count->read++;
#define WHEN(condition, name, kind, ...)                                                           \
  if (condition) {                                                                                 \
    FIELD(name, kind, __VA_ARGS__)                                                                 \
  }
#define LATER(name, kind, ...) WHEN(count->n > count->read, name, kind, __VA_ARGS__)
#define MORE(flag) (flag) = count->n > count->read;
#define READ(name, type, fields)                                                                   \
  static void name(struct fc_reader *reader, struct fc_field_count *count, type *m) {              \
    (void)reader, (void)count, (void)m;                                                            \
    fields                                                                                         \
  }

/* ---- rows ---- */

static void read_held_or_nil(struct fc_reader *reader, struct fc_key *held);
static void read_wait_or_nil(struct fc_reader *reader, struct fc_wait_entry *wait);
static void read_user_or_nil(struct fc_reader *reader, bool *has, struct fc_user_entry *user);
static void read_tier(struct fc_reader *reader, struct fc_tier_entry *tier);
static void read_tier_class(struct fc_reader *reader, struct fc_tier_class *of);

/* NAME_row(reader, row) reads one row into zeroed memory. */
#define READ_ROW(ROW, name, type)                                                                  \
  READ(read_##name##_fields, type, FC_##ROW##_ROW_FIELDS)                                          \
  static void name##_row(struct fc_reader *reader, type *row) {                                    \
    struct fc_field_count count = {.n = fc_read_array(reader)};                                    \
    memset(row, 0, sizeof *row);                                                                   \
    read_##name##_fields(reader, &count, row);                                                     \
    fields_close(reader, &count);                                                                  \
  }
/* NOLINTNEXTLINE(readability-function-size): one statement or a few for each field of the table. */
FC_ROWS(READ_ROW)

static void read_held_or_nil(struct fc_reader *reader, struct fc_key *held) {
  if (!fc_read_nil(reader))
    held_row(reader, held);
}

static void read_wait_or_nil(struct fc_reader *reader, struct fc_wait_entry *wait) {
  if (!fc_read_nil(reader))
    wait_row(reader, wait);
}

static void read_user_or_nil(struct fc_reader *reader, bool *has, struct fc_user_entry *user) {
  *has = !fc_read_nil(reader);
  if (*has)
    user_row(reader, user);
}

static void read_tier(struct fc_reader *reader, struct fc_tier_entry *tier) {
  tier_row(reader, tier);
}

static void read_tier_class(struct fc_reader *reader, struct fc_tier_class *of) {
  tier_class_row(reader, of);
}

/* ---- lists of rows ---- */

/* read_NAME_rows checks every row of a list. `next` reads the next one. */
#define READ_ROWS(name, type, next)                                                                \
  static void read_##name##_rows(struct fc_reader *reader, struct fc_list_reply *list) {           \
    type entry;                                                                                    \
    list->n = fc_read_array(reader);                                                               \
    list->at = reader->at;                                                                         \
    for (uint32_t i = 0; i < list->n && !reader->error; i++)                                       \
      name##_row(reader, &entry);                                                                  \
    list->size = (size_t)(reader->at - list->at);                                                  \
  }                                                                                                \
  void next(struct fc_list_reply *list, type *entry) {                                             \
    struct fc_reader reader = fc_reader_init(list->at, list->size);                                \
    name##_row(&reader, entry);                                                                    \
    list->at = reader.at;                                                                          \
    list->size = fc_reader_left(&reader);                                                          \
    list->n--;                                                                                     \
  }
/* NOLINTEND(bugprone-macro-parentheses) */

READ_ROWS(entry, struct fc_list_entry, fc_list_next)
READ_ROWS(lease, struct fc_lease_entry, fc_leases_next)
READ_ROWS(client, struct fc_client_entry, fc_clients_next)
READ_ROWS(namespace, struct fc_namespace_entry, fc_namespaces_next)
READ_ROWS(usage, struct fc_usage_entry, fc_usage_next)
READ_ROWS(event, struct fc_event, fc_events_next)
READ_ROWS(latency, struct fc_latency_entry, fc_latency_next)
READ_ROWS(slow, struct fc_slow_entry, fc_slow_next)
READ_ROWS(setting, struct fc_setting_entry, fc_settings_next)
READ_ROWS(tier_server, struct fc_tier_server_entry, fc_tier_servers_next)

void fc_bins_next(struct fc_bins *bins, const uint8_t **data, uint32_t *size) {
  struct fc_reader reader = fc_reader_init(bins->at, bins->size);
  *data = NULL;
  *size = 0;
  if (!fc_read_nil(&reader))
    *data = fc_read_bin(&reader, size);
  bins->at = reader.at;
  bins->size = fc_reader_left(&reader);
  bins->n--;
}

/* ---- requests ---- */

#define READ_REQUEST(TYPE, name, type, member) READ(read_##name##_request, type, FC_##TYPE##_FIELDS)
FC_REQUESTS(READ_REQUEST)

int fc_read_request(struct fc_reader *reader, struct fc_request *request,
                    struct fc_field_count *count) {
  uint32_t type;
  fc_read_opening(reader, &type, &request->id, count);
  request->type = (enum fc_type)type;
  switch (type) {
#define REQUEST_CASE(TYPE, name, type, member)                                                     \
  case FC_##TYPE:                                                                                  \
    read_##name##_request(reader, count, &request->member);                                        \
    break;
    FC_REQUESTS(REQUEST_CASE)
  default:
    fc_reader_fail(reader, FC_EPROTOCOL);
  }
  return body_close(reader, count);
}

int fc_decode_request(const uint8_t *body, size_t size, struct fc_request *request) {
  struct fc_reader reader = fc_reader_init(body, size);
  struct fc_field_count count;
  memset(request, 0, sizeof *request);
  return fc_read_request(&reader, request, &count);
}

int fc_decode_request_again(const uint8_t *body, size_t size, struct fc_request *request) {
  struct fc_reader reader = fc_reader_init(body, size);
  struct fc_field_count count;
  memset(request, 0, sizeof *request);
  reader.values_checked = true;
  return fc_read_request(&reader, request, &count);
}

/* ---- replies ---- */

#define read_stats_map fc_read_stats_map
#define read_stats_maps fc_read_stats_maps
#define READ_REPLY(TYPE, name, type, member) READ(read_##name, type, FC_##TYPE##_REPLY_FIELDS)
FC_REPLIES(READ_REPLY)
READ(read_error, struct fc_error_reply, FC_ERROR_FIELDS)

int fc_decode_reply(const uint8_t *body, size_t size, struct fc_reply *reply) {
  struct fc_reader reader = fc_reader_init(body, size);
  struct fc_field_count count;
  uint32_t type;
  memset(reply, 0, sizeof *reply);
  fc_read_opening(&reader, &type, &reply->id, &count);
  reply->type = (enum fc_type)type;
  switch (type) {
#define REPLY_CASE(TYPE, name, type, member)                                                       \
  case (uint32_t)FC_REPLY | (uint32_t)FC_##TYPE:                                                   \
    read_##name(&reader, &count, &reply->member);                                                  \
    break;
    FC_REPLIES(REPLY_CASE)
  case FC_ERROR:
    read_error(&reader, &count, &reply->error);
    break;
  default:
    fc_reader_fail(&reader, FC_EPROTOCOL);
  }
  return body_close(&reader, &count);
}

bool fc_decode_reply_head(const uint8_t *body, size_t have, uint32_t body_size,
                          struct fc_reply *reply, size_t *offset, uint32_t *value_size) {
  struct fc_reader reader = fc_reader_init(body, have);
  struct fc_field_count count;
  uint32_t type, fields = 2; /* up to the value */
  memset(reply, 0, sizeof *reply);
  fc_read_opening(&reader, &type, &reply->id, &count);
  reply->type = (enum fc_type)type;
  if (type == (FC_REPLY | FC_GET)) {
    reply->get.clear_generation = fc_read_u64(&reader);
  } else if (type == (FC_REPLY | FC_GET_MANY)) {
    reply->get_many.clear_generation = fc_read_u64(&reader);
    reply->get_many.first = fc_read_u32(&reader);
    reply->get_many.last = fc_read_bool(&reader);
    if (fc_read_array(&reader) != 1)
      return false;
    fields = 4;
  } else {
    return false;
  }
  *value_size = fc_read_bin_head(&reader);
  *offset = have - fc_reader_left(&reader);
  return reader.error == 0 && count.n == fields && *value_size == body_size - *offset;
}
