/* field_read.h - the decoding and the check of each kind of field in message_fields.h. The reader
 * keeps the error: FC_EPROTOCOL, FC_ENAME for an invalid name, or FC_EINVAL for an invalid
 * argument. Internal to proto/wire. */
#ifndef FC_PROTO_FIELD_READ_H
#define FC_PROTO_FIELD_READ_H

#include <limits.h>
#include <string.h>

#include "proto/errors.h"
#include "proto/limits.h"
#include "proto/wire/message.h"
#include "proto/wire/reader.h"

#define FC_TOKEN_MAX 64u /* bytes of a list's cursor */

/* Fails with `error` if the field violates a rule; an earlier error stays. */
static inline void read_require(struct fc_reader *reader, bool rule, int error) {
  if (!rule)
    fc_reader_fail(reader, error);
}

static inline void read_u32(struct fc_reader *reader, uint32_t *number) {
  *number = fc_read_u32(reader);
}

static inline void read_u64(struct fc_reader *reader, uint64_t *number) {
  *number = fc_read_u64(reader);
}

static inline void read_i64(struct fc_reader *reader, int64_t *number) {
  *number = fc_read_i64(reader);
}

static inline void read_i64_or_nil(struct fc_reader *reader, bool *has, int64_t *number) {
  *has = !fc_read_nil(reader);
  *number = *has ? fc_read_i64(reader) : 0;
}

static inline void read_u64_or_nil(struct fc_reader *reader, bool *has, uint64_t *number) {
  *has = !fc_read_nil(reader);
  *number = *has ? fc_read_u64(reader) : 0;
}

/* 0 means no limit. */
static inline void read_limit_or_nil(struct fc_reader *reader, uint64_t *limit) {
  bool has;
  read_u64_or_nil(reader, &has, limit);
}

static inline void read_boolean(struct fc_reader *reader, bool *value) {
  *value = fc_read_bool(reader);
}

static inline void read_text(struct fc_reader *reader, struct fc_str *text) {
  *text = fc_read_str(reader);
}

static inline void read_name(struct fc_reader *reader, struct fc_str *name) {
  *name = fc_read_str(reader);
  read_require(reader, fc_name_valid(*name), FC_ENAME);
}

static inline void read_name_or_nil(struct fc_reader *reader, struct fc_str *name) {
  if (!fc_read_nil(reader))
    read_name(reader, name);
}

static inline void read_manifest(struct fc_reader *reader, struct fc_str *manifest, int error) {
  if (fc_read_nil(reader))
    return;
  *manifest = fc_read_str(reader);
  read_require(reader, fc_manifest_valid(*manifest), error);
}

static inline void read_manifest_or_nil(struct fc_reader *reader, struct fc_str *manifest) {
  read_manifest(reader, manifest, FC_EINVAL);
}

static inline void read_kept_manifest(struct fc_reader *reader, struct fc_str *manifest) {
  read_manifest(reader, manifest, FC_EPROTOCOL);
}

static inline bool path_valid(struct fc_str path) {
  return path.size >= 1 && path.size <= FC_PATH_MAX && !memchr(path.data, '\0', path.size);
}

static inline void read_path_or_nil(struct fc_reader *reader, struct fc_str *path) {
  if (fc_read_nil(reader))
    return;
  *path = fc_read_str(reader);
  read_require(reader, path_valid(*path), FC_EPROTOCOL);
}

static inline void read_list_order(struct fc_reader *reader, uint32_t *order) {
  *order = fc_read_u32(reader);
  read_require(reader, *order <= FC_ORDER_PLACE, FC_EPROTOCOL);
}

static inline void read_trace_action(struct fc_reader *reader, uint32_t *action) {
  *action = fc_read_u32(reader);
  read_require(reader, *action <= FC_TRACE_OFF, FC_EPROTOCOL);
}

static inline void read_snapshot_action(struct fc_reader *reader, uint32_t *action) {
  *action = fc_read_u32(reader);
  read_require(reader, *action <= FC_SNAPSHOT_START, FC_EPROTOCOL);
}

static inline void read_usage_by(struct fc_reader *reader, uint32_t *by) {
  *by = fc_read_u32(reader);
  read_require(reader, *by <= FC_USAGE_CLIENT, FC_EPROTOCOL);
}

static inline void read_trace_path(struct fc_reader *reader, uint32_t action, struct fc_str *path) {
  if (!fc_read_nil(reader))
    *path = fc_read_str(reader);
  read_require(reader, action == FC_TRACE_ON ? path_valid(*path) : path->data == NULL, FC_EINVAL);
}

static inline void read_hash(struct fc_reader *reader, struct fc_hash *hash) {
  uint32_t size;
  const uint8_t *bytes = fc_read_bin(reader, &size);
  if (size == FC_HASH_SIZE)
    memcpy(hash->bytes, bytes, FC_HASH_SIZE);
  else
    fc_reader_fail(reader, FC_EPROTOCOL);
}

static inline void read_hash_or_nil(struct fc_reader *reader, bool *has, struct fc_hash *hash) {
  *has = !fc_read_nil(reader);
  if (*has)
    read_hash(reader, hash);
}

static inline void read_hashes(struct fc_reader *reader, const uint8_t **prompts, uint32_t *n) {
  uint32_t size;
  *prompts = fc_read_bin(reader, &size);
  *n = size / FC_HASH_SIZE;
  read_require(reader, size > 0 && size % FC_HASH_SIZE == 0, FC_EPROTOCOL);
}

#define read_given_up_op read_name_or_nil

static inline void read_given_up_view(struct fc_reader *reader, struct fc_str op,
                                      struct fc_str *view) {
  if (op.data)
    read_name(reader, view);
  else
    read_require(reader, fc_read_nil(reader), FC_EPROTOCOL);
}

static inline void read_given_up_prompts(struct fc_reader *reader, struct fc_str op,
                                         const uint8_t **prompts, uint32_t *n) {
  if (op.data)
    read_hashes(reader, prompts, n);
  else
    read_require(reader, fc_read_nil(reader), FC_EPROTOCOL);
}

/* A limit of 0 would give pages without end. */
static inline void read_page_limit(struct fc_reader *reader, uint32_t *limit) {
  *limit = fc_read_u32(reader);
  read_require(reader, *limit > 0, FC_EINVAL);
}

static inline void read_token(struct fc_reader *reader, const uint8_t **token, uint32_t *size) {
  *token = fc_read_bin(reader, size);
  read_require(reader, *size <= FC_TOKEN_MAX, FC_EPROTOCOL);
}

static inline void read_value_or_nil(struct fc_reader *reader, const uint8_t **value,
                                     uint32_t *size) {
  if (!fc_read_nil(reader))
    *value = fc_read_bin(reader, size);
}

static inline void read_sent_value(struct fc_reader *reader, bool *withheld, const uint8_t **value,
                                   uint32_t *size) {
  *withheld = fc_read_nil(reader);
  if (!*withheld)
    *value = fc_read_bin(reader, size);
}

/* Checks a list of bins and nils to its end. */
static inline void read_bins(struct fc_reader *reader, struct fc_bins *bins) {
  uint32_t size;
  bins->n = fc_read_array(reader);
  bins->at = reader->at;
  for (uint32_t i = 0; i < bins->n && !reader->error; i++)
    if (!fc_read_nil(reader))
      (void)fc_read_bin(reader, &size); /* the reader keeps the error */
  bins->size = (size_t)(reader->at - bins->at);
}

/* Reads one value for each of `n` prompts. Skips values that were checked before: the size
 * is then that of all bytes that are left. */
static inline void read_sent_values(struct fc_reader *reader, struct fc_bins *values, uint32_t n) {
  if (reader->values_checked) {
    values->n = fc_read_array(reader);
    values->at = reader->at;
    values->size = fc_reader_left(reader);
    reader->at = reader->end;
  } else {
    read_bins(reader, values);
  }
  read_require(reader, values->n == n, FC_EPROTOCOL);
}

static inline void read_found_values(struct fc_reader *reader, struct fc_bins *values,
                                     uint32_t first) {
  read_bins(reader, values);
  read_require(reader, values->n <= UINT32_MAX - first, FC_EPROTOCOL);
}

static inline void read_lease(struct fc_reader *reader, enum fc_lease_state *lease) {
  uint32_t number = fc_read_u32(reader);
  read_require(reader, number <= FC_LEASE_TAKEN, FC_EPROTOCOL);
  *lease = (enum fc_lease_state)number;
}

/* Reads one state for each nil among the values. */
static inline void read_lease_states(struct fc_reader *reader, const uint8_t **leases, uint32_t *n,
                                     struct fc_bins values) {
  uint32_t nils = 0, size;
  *leases = fc_read_bin(reader, n);
  for (uint32_t i = 0; i < *n; i++)
    read_require(reader, (*leases)[i] <= FC_LEASE_TAKEN, FC_EPROTOCOL);
  while (values.n > 0) {
    const uint8_t *data;
    fc_bins_next(&values, &data, &size);
    nils += data == NULL;
  }
  read_require(reader, *n == nils, FC_EPROTOCOL);
}

/* Cells rise, so none comes twice. The sum of their counts is that of the histogram. */
static inline void read_cells(struct fc_reader *reader, struct fc_histogram *histogram) {
  uint32_t n = fc_read_array(reader);
  uint64_t least = 0;
  read_require(reader, n % 2 == 0, FC_EPROTOCOL);
  for (uint32_t i = 0; i < n / 2 && !reader->error; i++) {
    uint64_t cell = fc_read_u64(reader), count = fc_read_u64(reader);
    read_require(reader, cell >= least && cell < FC_HISTOGRAM_CELLS, FC_EPROTOCOL);
    read_require(reader, count <= UINT64_MAX - histogram->count, FC_EPROTOCOL);
    if (reader->error)
      return;
    histogram->cells[cell] = count;
    histogram->count += count;
    least = cell + 1;
  }
}

#define read_waited read_boolean

static inline void read_outcome(struct fc_reader *reader, enum fc_put_outcome *outcome) {
  uint32_t number = fc_read_u32(reader);
  read_require(reader, number <= FC_STALE, FC_EPROTOCOL);
  *outcome = (enum fc_put_outcome)number;
}

/* A code is positive on the wire. */
static inline void read_code(struct fc_reader *reader, int *code) {
  uint32_t number = fc_read_u32(reader);
  read_require(reader, number > 0 && number <= INT_MAX, FC_EPROTOCOL);
  *code = -(int)(number & INT_MAX);
}

#endif
