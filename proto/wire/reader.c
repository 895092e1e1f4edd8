#include "proto/wire/reader.h"

#include <string.h>

#include "proto/errors.h"

void fc_reader_fail(struct fc_reader *reader, int error) {
  if (!reader->error)
    reader->error = error;
  reader->at = reader->end;
}

/* Returns the result's number or size, and 0 after a failure. */
static uint64_t checked(struct fc_reader *reader, enum mp_result result, uint64_t number) {
  if (result == MP_OK)
    return number;
  fc_reader_fail(reader, FC_EPROTOCOL);
  return 0;
}

/* Returns the first byte of the next value. Behind the end it returns MP_UNUSED, which begins no
 * value. */
static uint8_t read_first(struct fc_reader *reader) {
  return reader->at < reader->end ? *reader->at++ : (uint8_t)MP_UNUSED;
}

static uint64_t read_number(struct fc_reader *reader, unsigned width) {
  uint64_t number = 0;
  enum mp_result result = mp_read_number(&reader->at, reader->end, width, &number);
  return checked(reader, result, number);
}

static const uint8_t *read_bytes(struct fc_reader *reader, uint64_t size) {
  const uint8_t *bytes = NULL;
  if (mp_read_bytes(&reader->at, reader->end, size, &bytes) != MP_OK)
    fc_reader_fail(reader, FC_EPROTOCOL);
  return bytes;
}

bool fc_read_bool(struct fc_reader *reader) {
  uint8_t first = read_first(reader);
  if (first != MP_TRUE && first != MP_FALSE)
    fc_reader_fail(reader, FC_EPROTOCOL);
  return first == MP_TRUE;
}

/* Reads an integer of either sign. A number with *negative set is in two's complement. */
static uint64_t read_integer(struct fc_reader *reader, bool *negative) {
  uint8_t first = read_first(reader);
  *negative = false;
  if (first < MP_FIXMAP)
    return first;
  if (first >= MP_UINT8 && first <= MP_UINT64)
    return read_number(reader, 1u << (first - MP_UINT8));
  if (first >= MP_INT8 && first <= MP_INT64) {
    unsigned bits = 8u << (first - MP_INT8);
    uint64_t number = read_number(reader, bits / 8);
    *negative = number >> (bits - 1) & 1;
    return *negative && bits < 64 ? number | UINT64_MAX << bits : number;
  }
  if (first >= MP_NEGATIVE_FIXINT) {
    *negative = true;
    return first | UINT64_MAX << 8;
  }
  fc_reader_fail(reader, FC_EPROTOCOL);
  return 0;
}

uint64_t fc_read_u64(struct fc_reader *reader) {
  bool negative;
  uint64_t number = read_integer(reader, &negative);
  return checked(reader, negative ? MP_OTHER : MP_OK, number);
}

uint32_t fc_read_u32(struct fc_reader *reader) {
  uint64_t number = fc_read_u64(reader);
  return (uint32_t)checked(reader, number > UINT32_MAX ? MP_OTHER : MP_OK, number);
}

int64_t fc_read_i64(struct fc_reader *reader) {
  bool negative;
  uint64_t number = read_integer(reader, &negative);
  return (int64_t)checked(reader, !negative && number > INT64_MAX ? MP_OTHER : MP_OK, number);
}

double fc_read_real(struct fc_reader *reader) {
  uint8_t first = read_first(reader);
  double number = 0;
  if (first == MP_FLOAT32) {
    uint32_t bits = (uint32_t)read_number(reader, 4);
    float narrow;
    memcpy(&narrow, &bits, sizeof narrow);
    number = (double)narrow;
  } else if (first == MP_FLOAT64) {
    uint64_t bits = read_number(reader, 8);
    memcpy(&number, &bits, sizeof number);
  } else {
    fc_reader_fail(reader, FC_EPROTOCOL);
  }
  return number;
}

struct fc_str fc_read_str(struct fc_reader *reader) {
  uint64_t size = 0;
  uint8_t first = read_first(reader);
  enum mp_result result = mp_read_str_size(&reader->at, reader->end, first, &size);
  const uint8_t *bytes = read_bytes(reader, checked(reader, result, size));
  return reader->error ? (struct fc_str){NULL, 0}
                       : (struct fc_str){(const char *)bytes, (uint32_t)size};
}

uint32_t fc_read_bin_head(struct fc_reader *reader) {
  uint64_t size = 0;
  uint8_t first = read_first(reader);
  enum mp_result result = mp_read_bin_size(&reader->at, reader->end, first, &size);
  return (uint32_t)checked(reader, result, size);
}

const uint8_t *fc_read_bin(struct fc_reader *reader, uint32_t *size) {
  *size = fc_read_bin_head(reader);
  const uint8_t *bytes = read_bytes(reader, *size);
  if (!reader->error)
    return bytes;
  *size = 0;
  return NULL;
}

uint32_t fc_read_array(struct fc_reader *reader) {
  uint64_t count = 0;
  enum mp_result result = mp_read_array(&reader->at, reader->end, &count);
  return (uint32_t)checked(reader, result, count);
}

uint32_t fc_read_map(struct fc_reader *reader) {
  uint64_t count = 0;
  enum mp_result result = mp_read_map(&reader->at, reader->end, &count);
  return (uint32_t)checked(reader, result, count);
}

/* Returns the bytes of a number or a fixext behind its first byte, 0 for other values. */
static uint64_t fixed_bytes(uint8_t first) {
  if (first == MP_FLOAT32 || first == MP_FLOAT64)
    return first == MP_FLOAT32 ? 4 : 8;
  if (first >= MP_UINT8 && first <= MP_UINT64)
    return (uint64_t)1 << (first - MP_UINT8);
  if (first >= MP_INT8 && first <= MP_INT64)
    return (uint64_t)1 << (first - MP_INT8);
  if (first >= MP_FIXEXT1 && first <= MP_FIXEXT16)
    return 1 + ((uint64_t)1 << (first - MP_FIXEXT1));
  return 0;
}

/* Passes one value without its elements, and returns their number. */
static uint64_t skip_head(struct fc_reader *reader) {
  uint8_t first = read_first(reader);
  if (first < MP_FIXMAP || first >= MP_NEGATIVE_FIXINT)
    return 0;
  if (first < MP_FIXARRAY)
    return 2u * (uint32_t)(first - MP_FIXMAP);
  if (first < MP_FIXSTR)
    return (uint32_t)(first - MP_FIXARRAY);
  if (first < MP_NIL)
    (void)read_bytes(reader, (uint64_t)first - MP_FIXSTR); /* the reader keeps the error */
  else if (first == MP_UNUSED)
    fc_reader_fail(reader, FC_EPROTOCOL);
  else if (first >= MP_BIN8 && first <= MP_BIN32)
    (void)read_bytes(reader, read_number(reader, 1u << (first - MP_BIN8)));
  else if (first >= MP_EXT8 && first <= MP_EXT32) /* the type has a byte */
    (void)read_bytes(reader, 1 + read_number(reader, 1u << (first - MP_EXT8)));
  else if (first >= MP_STR8 && first <= MP_STR32)
    (void)read_bytes(reader, read_number(reader, 1u << (first - MP_STR8)));
  else if (first == MP_ARRAY16 || first == MP_ARRAY32)
    return read_number(reader, first == MP_ARRAY16 ? 2 : 4);
  else if (first == MP_MAP16 || first == MP_MAP32)
    return 2 * read_number(reader, first == MP_MAP16 ? 2 : 4);
  else
    (void)read_bytes(reader, fixed_bytes(first));
  return 0;
}

void fc_read_skip(struct fc_reader *reader, uint64_t n) {
  uint64_t pending = n; /* values to pass, at any depth: each has at least a byte */
  while (pending && !reader->error) {
    if (pending > fc_reader_left(reader))
      fc_reader_fail(reader, FC_EPROTOCOL);
    else
      pending += skip_head(reader) - 1;
  }
}

enum fc_value_type fc_reader_type(const struct fc_reader *reader) {
  if (reader->at == reader->end)
    return FC_TYPE_END;
  uint8_t first = *reader->at;
  if (first < MP_FIXMAP || (first >= MP_UINT8 && first <= MP_INT64) || first >= MP_NEGATIVE_FIXINT)
    return FC_TYPE_INTEGER;
  if (first == MP_FLOAT32 || first == MP_FLOAT64)
    return FC_TYPE_REAL;
  if ((first >= MP_FIXSTR && first < MP_NIL) || (first >= MP_STR8 && first <= MP_STR32))
    return FC_TYPE_STR;
  return FC_TYPE_OTHER;
}
