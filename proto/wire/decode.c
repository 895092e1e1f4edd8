#include "proto/wire/decode.h"

#include <string.h>

#include "proto/errors.h"
#include "proto/wire/message.h"

uint32_t fc_decode_open(struct fc_cursor *cursor, uint32_t *type, uint32_t *id) {
  uint32_t elements = fc_cursor_array(cursor);

  if (elements < 2)
    fc_cursor_fail(cursor, FC_EPROTOCOL);
  *type = fc_cursor_u32(cursor);
  *id = fc_cursor_u32(cursor);
  return cursor->error ? 0 : elements - 2;
}

int fc_decode_close(struct fc_cursor *cursor, uint32_t fields, uint32_t known) {
  if (fields < known)
    fc_cursor_fail(cursor, FC_EPROTOCOL);
  else
    fc_cursor_skip(cursor, fields - known);
  if (!cursor->error && fc_cursor_left(cursor))
    fc_cursor_fail(cursor, FC_EPROTOCOL);
  return cursor->error;
}

struct fc_str fc_decode_name(struct fc_cursor *cursor) {
  struct fc_str name = fc_cursor_str(cursor);

  if (!cursor->error && !fc_name_valid(name))
    fc_cursor_fail(cursor, FC_ENAME);
  return name;
}

struct fc_str fc_decode_name_or_nil(struct fc_cursor *cursor) {
  return fc_cursor_nil(cursor) ? (struct fc_str){NULL, 0} : fc_decode_name(cursor);
}

struct fc_str fc_decode_manifest_or_nil(struct fc_cursor *cursor, int error) {
  struct fc_str manifest = {NULL, 0};

  if (fc_cursor_nil(cursor))
    return manifest;
  manifest = fc_cursor_str(cursor);
  if (!cursor->error && !fc_manifest_valid(manifest))
    fc_cursor_fail(cursor, error);
  return manifest;
}

struct fc_hash fc_decode_hash(struct fc_cursor *cursor) {
  struct fc_hash hash = {{0}};
  uint32_t size;
  const uint8_t *bytes = fc_cursor_bin(cursor, &size);

  if (size == sizeof hash.bytes)
    memcpy(hash.bytes, bytes, sizeof hash.bytes);
  else
    fc_cursor_fail(cursor, FC_EPROTOCOL);
  return hash;
}

void fc_decode_bins(struct fc_cursor *cursor, struct fc_bins *bins) {
  uint32_t n = fc_cursor_array(cursor), size;

  bins->at = cursor->at;
  bins->n = n;
  for (uint32_t i = 0; i < n && !cursor->error; i++)
    if (!fc_cursor_nil(cursor))
      (void)fc_cursor_bin(cursor, &size); /* its error sticks */
  bins->size = (size_t)(cursor->at - bins->at);
}

void fc_decode_checked_bins(struct fc_cursor *cursor, struct fc_bins *bins) {
  bins->n = fc_cursor_array(cursor);
  bins->at = cursor->at;
  bins->size = fc_cursor_left(cursor);
  cursor->at = cursor->end;
}

void fc_bins_next(struct fc_bins *bins, const uint8_t **data, uint32_t *size) {
  struct fc_cursor cursor = fc_cursor_init(bins->at, bins->size);

  *data = NULL;
  *size = 0;
  if (!fc_cursor_nil(&cursor))
    *data = fc_cursor_bin(&cursor, size);
  bins->at = cursor.at;
  bins->size = fc_cursor_left(&cursor);
  bins->n--;
}
