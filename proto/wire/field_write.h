/* field_write.h - the encoding of each kind of field in message_fields.h. Internal to proto/wire.
 */
#ifndef FC_PROTO_FIELD_WRITE_H
#define FC_PROTO_FIELD_WRITE_H

#include "proto/wire/message.h"
#include "proto/wire/writer.h"

static inline void write_u32(struct fc_buf *buf, const uint32_t *number) {
  fc_write_uint(buf, *number);
}

static inline void write_u64(struct fc_buf *buf, const uint64_t *number) {
  fc_write_uint(buf, *number);
}

static inline void write_i64(struct fc_buf *buf, const int64_t *number) {
  fc_write_int(buf, *number);
}

static inline void write_i64_or_nil(struct fc_buf *buf, const bool *has, const int64_t *number) {
  if (*has)
    fc_write_int(buf, *number);
  else
    fc_write_nil(buf);
}

static inline void write_u64_or_nil(struct fc_buf *buf, const bool *has, const uint64_t *number) {
  if (*has)
    fc_write_uint(buf, *number);
  else
    fc_write_nil(buf);
}

/* 0 means no limit. */
static inline void write_limit_or_nil(struct fc_buf *buf, const uint64_t *limit) {
  bool has = *limit > 0;
  write_u64_or_nil(buf, &has, limit);
}

static inline void write_boolean(struct fc_buf *buf, const bool *value) {
  fc_write_bool(buf, *value);
}

static inline void write_name(struct fc_buf *buf, const struct fc_str *name) {
  fc_write_str(buf, *name);
}

static inline void write_name_or_nil(struct fc_buf *buf, const struct fc_str *name) {
  if (name->data)
    fc_write_str(buf, *name);
  else
    fc_write_nil(buf);
}

#define write_text write_name
#define write_manifest_or_nil write_name_or_nil
#define write_kept_manifest write_name_or_nil
#define write_path_or_nil write_name_or_nil
#define write_given_up_op write_name_or_nil
#define write_page_limit write_u32
#define write_trace_action write_u32
#define write_list_order write_u32
#define write_snapshot_action write_u32
#define write_usage_by write_u32

static inline void write_trace_path(struct fc_buf *buf, uint32_t action,
                                    const struct fc_str *path) {
  (void)action; /* decoding alone looks at it */
  write_name_or_nil(buf, path);
}

static inline void write_hash(struct fc_buf *buf, const struct fc_hash *hash) {
  fc_write_bin(buf, hash->bytes, FC_HASH_SIZE);
}

static inline void write_hash_or_nil(struct fc_buf *buf, const bool *has,
                                     const struct fc_hash *hash) {
  if (*has)
    write_hash(buf, hash);
  else
    fc_write_nil(buf);
}

static inline void write_hashes(struct fc_buf *buf, const uint8_t *const *prompts,
                                const uint32_t *n) {
  fc_write_bin(buf, *prompts, *n * FC_HASH_SIZE);
}

static inline void write_given_up_view(struct fc_buf *buf, struct fc_str op,
                                       const struct fc_str *view) {
  write_name_or_nil(buf, op.data ? view : &op);
}

static inline void write_given_up_prompts(struct fc_buf *buf, struct fc_str op,
                                          const uint8_t *const *prompts, const uint32_t *n) {
  if (op.data)
    write_hashes(buf, prompts, n);
  else
    fc_write_nil(buf);
}

static inline void write_token(struct fc_buf *buf, const uint8_t *const *token,
                               const uint32_t *size) {
  fc_write_bin(buf, *token, *size);
}

/* Writes the head: the caller sends the value's bytes. */
static inline void write_value_or_nil(struct fc_buf *buf, const uint8_t *const *value,
                                      const uint32_t *size) {
  if (*value)
    fc_write_bin_head(buf, *size);
  else
    fc_write_nil(buf);
}

/* Writes the head: the caller sends the value's bytes. */
static inline void write_sent_value(struct fc_buf *buf, const bool *withheld,
                                    const uint8_t *const *value, const uint32_t *size) {
  (void)value;
  if (*withheld)
    fc_write_nil(buf);
  else
    fc_write_bin_head(buf, *size);
}

/* Write the array's head: the caller appends the elements. */
static inline void write_sent_values(struct fc_buf *buf, const struct fc_bins *values, uint32_t n) {
  (void)values;
  fc_write_array_head(buf, n);
}
static inline void write_found_values(struct fc_buf *buf, const struct fc_bins *values,
                                      uint32_t first) {
  (void)first;
  fc_write_array_head(buf, values->n);
}
static inline void write_entry_rows(struct fc_buf *buf, const struct fc_list_reply *list) {
  fc_write_array_head(buf, list->n);
}
#define write_lease_rows write_entry_rows
#define write_client_rows write_entry_rows
#define write_namespace_rows write_entry_rows
#define write_usage_rows write_entry_rows
#define write_event_rows write_entry_rows
#define write_latency_rows write_entry_rows
#define write_slow_rows write_entry_rows
#define write_setting_rows write_entry_rows
#define write_tier_server_rows write_entry_rows

/* These come behind a value or a list whose elements the caller appends: it appends them too. */
#define write_lease_states(buf, ...) ((void)(buf))
#define write_waited(buf, ...) ((void)(buf))
#define write_stats_map(buf, ...) ((void)(buf))
#define write_stats_maps(buf, ...) ((void)(buf))

/* Writes the cells that are not empty: a few dozen as a rule, of hundreds. */
static inline void write_cells(struct fc_buf *buf, const struct fc_histogram *histogram) {
  uint32_t n = 0;
  for (uint32_t cell = 0; cell < FC_HISTOGRAM_CELLS; cell++)
    n += histogram->cells[cell] > 0;
  fc_write_array_head(buf, 2 * n);
  for (uint32_t cell = 0; cell < FC_HISTOGRAM_CELLS; cell++) {
    if (histogram->cells[cell] == 0)
      continue;
    fc_write_uint(buf, cell);
    fc_write_uint(buf, histogram->cells[cell]);
  }
}

static inline void write_lease(struct fc_buf *buf, const enum fc_lease_state *lease) {
  fc_write_uint(buf, *lease);
}

static inline void write_outcome(struct fc_buf *buf, const enum fc_put_outcome *outcome) {
  fc_write_uint(buf, *outcome);
}

/* A code is positive on the wire. */
static inline void write_code(struct fc_buf *buf, const int *code) {
  fc_write_uint(buf, (uint32_t) - *code);
}

#endif
