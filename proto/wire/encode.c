/* The encoders: the contract is in message.h, the fields are in message_fields.h. */
#include "proto/errors.h"
#include "proto/wire/field_write.h"
#include "proto/wire/frame.h"
#include "proto/wire/message.h"
#include "proto/wire/message_fields.h"

#define REPLY_TO(TYPE) ((uint32_t)FC_REPLY | (uint32_t)FC_##TYPE)

/* ---- frames ---- */

void fc_frame_finish(struct fc_buf *buf, size_t start, size_t extra) {
  if (!buf->failed) {
    size_t body = buf->size - start - FC_FRAME_HEADER + extra;
    if (body <= UINT32_MAX) {
      fc_frame_put_header(buf->data + start, (uint32_t)body);
      return;
    }
    buf->failed = true; /* no such frame exists */
  }
  buf->size = start; /* only whole frames stay */
}

static int status_of(const struct fc_buf *buf) {
  return buf->failed ? FC_ENOMEM : 0;
}

/* Begins a frame of a message with `fields` fields. Returns its offset in the buffer. */
static inline size_t frame_begin(struct fc_buf *buf, uint32_t type, uint32_t id, uint32_t fields) {
  static const uint8_t header[FC_FRAME_HEADER]; /* fc_frame_finish fills it in */
  size_t start = buf->size;
  (void)fc_buf_append(buf, header, sizeof header); /* the buffer keeps a failure */
  fc_write_array_head(buf, 2 + fields);
  fc_write_uint(buf, type);
  fc_write_uint(buf, id);
  return start;
}

static int frame_end(struct fc_buf *buf, size_t start, size_t extra) {
  fc_frame_finish(buf, start, extra);
  return status_of(buf);
}

/* NOLINTBEGIN(bugprone-macro-parentheses): types and lists of fields cannot have them. */

/* ---- rows: append_NAME(buf, row) ---- */

static void append_held(struct fc_buf *buf, const struct fc_key *m);
static void append_wait(struct fc_buf *buf, const struct fc_wait_entry *m);
static void append_user(struct fc_buf *buf, const struct fc_user_entry *m);
static void append_tier(struct fc_buf *buf, const struct fc_tier_entry *m);
static void append_tier_class(struct fc_buf *buf, const struct fc_tier_class *m);

static void write_held_or_nil(struct fc_buf *buf, const struct fc_key *held) {
  if (held->op.data)
    append_held(buf, held);
  else
    fc_write_nil(buf);
}

static void write_wait_or_nil(struct fc_buf *buf, const struct fc_wait_entry *wait) {
  if (wait->key.op.data)
    append_wait(buf, wait);
  else
    fc_write_nil(buf);
}

static void write_user_or_nil(struct fc_buf *buf, const bool *has,
                              const struct fc_user_entry *user) {
  if (*has)
    append_user(buf, user);
  else
    fc_write_nil(buf);
}

static void write_tier(struct fc_buf *buf, const struct fc_tier_entry *tier) {
  append_tier(buf, tier);
}

static void write_tier_class(struct fc_buf *buf, const struct fc_tier_class *of) {
  append_tier_class(buf, of);
}

/* Each list of fields is expanded twice: to count the fields, and to write them. */
#define FIELD(...) +1u
#define LATER(...) +1u
#define WHEN(condition, ...) +((condition) ? 1u : 0u)
#define MORE(flag)
#define COUNT(name, type, fields)                                                                  \
  static inline uint32_t count_##name(const type *m) {                                             \
    (void)m;                                                                                       \
    return 0u fields;                                                                              \
  }
#define COUNT_REQUEST(TYPE, name, type, member) COUNT(name, type, FC_##TYPE##_FIELDS)
#define COUNT_REPLY(TYPE, name, type, member) COUNT(name, type, FC_##TYPE##_REPLY_FIELDS)
#define COUNT_ROW(ROW, name, type) COUNT(name##_row, type, FC_##ROW##_ROW_FIELDS)
FC_REQUESTS(COUNT_REQUEST)
FC_REPLIES(COUNT_REPLY)
FC_ROWS(COUNT_ROW)
COUNT(error, struct fc_error_reply, FC_ERROR_FIELDS)
#undef FIELD
#undef LATER
#undef WHEN

#define FIELD(name, kind, ...) write_##kind(buf, __VA_ARGS__);
#define LATER FIELD
#define WHEN(condition, name, kind, ...)                                                           \
  if (condition)                                                                                   \
    write_##kind(buf, __VA_ARGS__);

/* begin_NAME(buf, id, message) writes all fields, and returns the offset of the open frame.
 * Messages without fields do not use it, and clang warns of unused functions in a .c file. */
#define BEGIN(name, type, wire_type, fields)                                                       \
  __attribute__((unused)) static inline size_t begin_##name(struct fc_buf *buf, uint32_t id,       \
                                                            const type *m) {                       \
    size_t start = frame_begin(buf, wire_type, id, count_##name(m));                               \
    fields return start;                                                                           \
  }
#define BEGIN_REQUEST(TYPE, name, type, member) BEGIN(name, type, FC_##TYPE, FC_##TYPE##_FIELDS)
#define BEGIN_REPLY(TYPE, name, type, member)                                                      \
  BEGIN(name, type, REPLY_TO(TYPE), FC_##TYPE##_REPLY_FIELDS)
#define APPEND_ROW(ROW, name, type)                                                                \
  static void append_##name(struct fc_buf *buf, const type *m) {                                   \
    fc_write_array_head(buf, count_##name##_row(m));                                               \
    FC_##ROW##_ROW_FIELDS                                                                          \
  }
FC_REQUESTS(BEGIN_REQUEST)
FC_REPLIES(BEGIN_REPLY)
FC_ROWS(APPEND_ROW)
BEGIN(error, struct fc_error_reply, FC_ERROR, FC_ERROR_FIELDS)

/* ---- whole messages ---- */

#define ENCODE(name, type, message)                                                                \
  int fc_encode_##name(struct fc_buf *buf, uint32_t id, const type *message) {                     \
    return frame_end(buf, begin_##name(buf, id, message), 0);                                      \
  }
#define ENCODE_BY_VALUE(name, type, value)                                                         \
  int fc_encode_##name(struct fc_buf *buf, uint32_t id, type value) {                              \
    return frame_end(buf, begin_##name(buf, id, &(value)), 0);                                     \
  }
ENCODE(hello, struct fc_hello, hello)
ENCODE(get, struct fc_get, get)
ENCODE(get_many, struct fc_get_many, get)
ENCODE_BY_VALUE(stats, struct fc_str, name_space)
ENCODE(clear, struct fc_clear, clear)
ENCODE(list, struct fc_list, list)
ENCODE(trace, struct fc_trace, trace)
ENCODE(give_up, struct fc_give_up, give_up)
ENCODE(ring, struct fc_ring_request, ring)
ENCODE_BY_VALUE(kill, uint64_t, client_id)
ENCODE_BY_VALUE(snapshot, uint32_t, action)
ENCODE(set, struct fc_set, set)
ENCODE(delete, struct fc_delete, delete)
ENCODE(usage, struct fc_usage, usage)
ENCODE(watch, struct fc_watch, watch)
ENCODE(events, struct fc_events_request, events)
ENCODE_BY_VALUE(latency, bool, reset)
ENCODE(slowest, struct fc_slowest, slowest)
ENCODE(tier, struct fc_tier_request, tier)
ENCODE(welcome, struct fc_welcome, welcome)
ENCODE_BY_VALUE(put_reply, enum fc_put_outcome, outcome)
ENCODE(put_many_reply, struct fc_put_many_reply, reply)
ENCODE_BY_VALUE(cleared, uint64_t, removed)
ENCODE_BY_VALUE(deleted, bool, existed)
ENCODE(trace_reply, struct fc_trace_reply, reply)
ENCODE_BY_VALUE(given_up, uint32_t, given_up)
ENCODE(ring_reply, struct fc_ring_reply, reply)
ENCODE_BY_VALUE(killed, bool, killed)
ENCODE(snapshot_reply, struct fc_snapshot_reply, reply)
ENCODE(set_reply, struct fc_set_reply, reply)
ENCODE(watching, struct fc_watching, watching)
ENCODE(reload_reply, struct fc_reload_reply, reply)

int fc_encode_simple(struct fc_buf *buf, enum fc_type type, uint32_t id) {
  return frame_end(buf, frame_begin(buf, type, id, 0), 0);
}

int fc_encode_page(struct fc_buf *buf, enum fc_type type, uint32_t id, const struct fc_page *page) {
  size_t start = type == FC_LEASES    ? begin_leases(buf, id, page)
                 : type == FC_CLIENTS ? begin_clients(buf, id, page)
                                      : begin_namespaces(buf, id, page);
  return frame_end(buf, start, 0);
}

int fc_encode_error(struct fc_buf *buf, uint32_t id, int code, struct fc_str text) {
  const struct fc_error_reply error = {code, text};
  return frame_end(buf, begin_error(buf, id, &error), 0);
}

/* ---- messages with one value, which the caller sends ---- */

int fc_encode_put_head(struct fc_buf *buf, uint32_t id, const struct fc_put *put) {
  return frame_end(buf, begin_put(buf, id, put), put->withheld ? 0 : put->value_size);
}

static int encode_get_reply(struct fc_buf *buf, uint32_t id, const struct fc_get_reply *get) {
  return frame_end(buf, begin_get_reply(buf, id, get), get->value_size + (get->waited ? 1u : 0u));
}

int fc_encode_miss(struct fc_buf *buf, uint32_t id, uint64_t clear_generation) {
  return encode_get_reply(buf, id, &(struct fc_get_reply){.clear_generation = clear_generation});
}

int fc_encode_miss_lease(struct fc_buf *buf, uint32_t id, uint64_t clear_generation,
                         enum fc_lease_state lease) {
  const struct fc_get_reply miss = {
      .clear_generation = clear_generation, .has_more = true, .lease = lease};
  return encode_get_reply(buf, id, &miss);
}

/* Takes the place of a value that the encoder does not see: it is not NULL. */
static const uint8_t sent_elsewhere[1];

int fc_encode_hit_head(struct fc_buf *buf, uint32_t id, uint64_t clear_generation,
                       uint32_t value_size) {
  const struct fc_get_reply hit = {
      .clear_generation = clear_generation, .value = sent_elsewhere, .value_size = value_size};
  return encode_get_reply(buf, id, &hit);
}

int fc_encode_waited_hit_head(struct fc_buf *buf, uint32_t id, uint64_t clear_generation,
                              uint32_t value_size) {
  const struct fc_get_reply hit = {.clear_generation = clear_generation,
                                   .value = sent_elsewhere,
                                   .value_size = value_size,
                                   .has_more = true,
                                   .waited = true};
  return encode_get_reply(buf, id, &hit);
}

/* ---- messages made in pieces: the caller appends the elements and finishes the frame ---- */

int fc_encode_put_many_head(struct fc_buf *buf, uint32_t id, const struct fc_put_many *put) {
  (void)begin_put_many(buf, id, put); /* the caller knows where the frame began */
  return status_of(buf);
}

int fc_encode_get_many_reply_head(struct fc_buf *buf, uint32_t id,
                                  const struct fc_get_many_reply *reply) {
  (void)begin_get_many_reply(buf, id, reply);
  return status_of(buf);
}

int fc_encode_leases(struct fc_buf *buf, const uint8_t *leases, uint32_t n) {
  fc_write_bin(buf, leases, n);
  return status_of(buf);
}

int fc_encode_bin_head(struct fc_buf *buf, uint32_t size) {
  fc_write_bin_head(buf, size);
  return status_of(buf);
}

int fc_encode_nil(struct fc_buf *buf) {
  fc_write_nil(buf);
  return status_of(buf);
}

int fc_encode_stats_reply_head(struct fc_buf *buf, uint32_t id) {
  (void)begin_stats_reply(buf, id, &(struct fc_stats_reply){0});
  return status_of(buf);
}

int fc_encode_map_head(struct fc_buf *buf, uint32_t n) {
  fc_write_map_head(buf, n);
  return status_of(buf);
}

int fc_encode_array_head(struct fc_buf *buf, uint32_t n) {
  fc_write_array_head(buf, n);
  return status_of(buf);
}

int fc_encode_stat_uint(struct fc_buf *buf, const char *name, uint64_t value) {
  fc_write_str(buf, fc_str_of(name));
  fc_write_uint(buf, value);
  return status_of(buf);
}

int fc_encode_stat_real(struct fc_buf *buf, const char *name, double value) {
  fc_write_str(buf, fc_str_of(name));
  fc_write_real(buf, value);
  return status_of(buf);
}

int fc_encode_stat_text(struct fc_buf *buf, const char *name, struct fc_str value) {
  fc_write_str(buf, fc_str_of(name));
  fc_write_str(buf, value);
  return status_of(buf);
}

int fc_encode_list_reply_head(struct fc_buf *buf, enum fc_type type, uint32_t id,
                              const uint8_t *cursor, uint32_t cursor_size, uint32_t n) {
  const struct fc_list_reply list = {.cursor = cursor, .cursor_size = cursor_size, .n = n};
  if (type == FC_LEASES)
    (void)begin_leases_reply(buf, id, &list);
  else if (type == FC_CLIENTS)
    (void)begin_clients_reply(buf, id, &list);
  else if (type == FC_NAMESPACES)
    (void)begin_namespaces_reply(buf, id, &list);
  else if (type == FC_USAGE)
    (void)begin_usage_reply(buf, id, &list);
  else if (type == FC_SETTINGS)
    (void)begin_settings_reply(buf, id, &list);
  else
    (void)begin_list_reply(buf, id, &list);
  return status_of(buf);
}

int fc_encode_times_reply_head(struct fc_buf *buf, enum fc_type type, uint32_t id,
                               uint64_t period_ns, uint32_t n) {
  const struct fc_times_reply times = {.period_ns = period_ns, .rows.n = n};
  if (type == FC_LATENCY)
    (void)begin_latency_reply(buf, id, &times);
  else
    (void)begin_slowest_reply(buf, id, &times);
  return status_of(buf);
}

#define ENCODE_ROW(ROW, name, type)                                                                \
  int fc_encode_##name##_entry(struct fc_buf *buf, const type *entry) {                            \
    append_##name(buf, entry);                                                                     \
    return status_of(buf);                                                                         \
  }
ENCODE_ROW(LEASE, lease, struct fc_lease_entry)
ENCODE_ROW(CLIENT, client, struct fc_client_entry)
ENCODE_ROW(NAMESPACE, namespace, struct fc_namespace_entry)
ENCODE_ROW(USAGE, usage, struct fc_usage_entry)
ENCODE_ROW(LATENCY, latency, struct fc_latency_entry)
ENCODE_ROW(SLOW, slow, struct fc_slow_entry)
ENCODE_ROW(SETTING, setting, struct fc_setting_entry)
ENCODE_ROW(TIER_SERVER, tier_server, struct fc_tier_server_entry)

int fc_encode_tier_reply_head(struct fc_buf *buf, uint32_t id, const struct fc_tier_reply *reply) {
  (void)begin_tier_reply(buf, id, reply);
  return status_of(buf);
}

int fc_encode_list_entry(struct fc_buf *buf, const struct fc_list_entry *entry) {
  append_entry(buf, entry);
  return status_of(buf);
}

int fc_encode_events_reply_head(struct fc_buf *buf, uint32_t id, uint32_t n) {
  const struct fc_list_reply events = {.n = n};
  (void)begin_events_reply(buf, id, &events);
  return status_of(buf);
}

int fc_encode_event(struct fc_buf *buf, const struct fc_event *event) {
  append_event(buf, event);
  return status_of(buf);
}
/* NOLINTEND(bugprone-macro-parentheses) */
