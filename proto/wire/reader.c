#include "proto/wire/reader.h"

#include <string.h>

#include "proto/errors.h"

/* First bytes of the msgpack specification. */
enum {
  FIXMAP = 0x80, /* to 8f */
  FIXARRAY = 0x90,
  FIXSTR = 0xa0, /* to bf */
  NIL = 0xc0,
  UNUSED = 0xc1,
  FALSE_ = 0xc2,
  TRUE_ = 0xc3,
  BIN8 = 0xc4,
  BIN16 = 0xc5,
  BIN32 = 0xc6,
  EXT8 = 0xc7,
  EXT16 = 0xc8,
  EXT32 = 0xc9,
  FLOAT32 = 0xca,
  FLOAT64 = 0xcb,
  UINT8 = 0xcc,
  UINT16 = 0xcd,
  UINT32 = 0xce,
  UINT64 = 0xcf,
  INT8 = 0xd0,
  INT16 = 0xd1,
  INT32 = 0xd2,
  INT64 = 0xd3,
  FIXEXT1 = 0xd4,
  FIXEXT16 = 0xd8,
  STR8 = 0xd9,
  STR16 = 0xda,
  STR32 = 0xdb,
  ARRAY16 = 0xdc,
  ARRAY32 = 0xdd,
  MAP16 = 0xde,
  MAP32 = 0xdf,
  NEGATIVE_FIXINT = 0xe0,
};

struct fc_cursor fc_cursor_init(const uint8_t *data, size_t size) {
  return (struct fc_cursor){.at = data, .end = data + size};
}

void fc_cursor_fail(struct fc_cursor *cursor, int error) {
  if (!cursor->error)
    cursor->error = error;
  cursor->at = cursor->end;
}

size_t fc_cursor_left(const struct fc_cursor *cursor) {
  return (size_t)(cursor->end - cursor->at);
}

/* The first byte of the next value; UNUSED, which no reader takes, past the end. */
static uint8_t take_first(struct fc_cursor *cursor) {
  return cursor->at < cursor->end ? *cursor->at++ : (uint8_t)UNUSED;
}

/* A big-endian number of `width` bytes, 1 to 8. */
static uint64_t take_number(struct fc_cursor *cursor, size_t width) {
  uint64_t number = 0;

  if (fc_cursor_left(cursor) < width) {
    fc_cursor_fail(cursor, FC_EPROTOCOL);
    return 0;
  }
  for (size_t i = 0; i < width; i++)
    number = number << 8 | cursor->at[i];
  cursor->at += width;
  return number;
}

static const uint8_t *take_bytes(struct fc_cursor *cursor, uint64_t size) {
  const uint8_t *bytes = cursor->at;

  if (fc_cursor_left(cursor) < size) {
    fc_cursor_fail(cursor, FC_EPROTOCOL);
    return NULL;
  }
  cursor->at += size;
  return bytes;
}

bool fc_cursor_nil(struct fc_cursor *cursor) {
  if (cursor->at == cursor->end || *cursor->at != NIL)
    return false;
  cursor->at++;
  return true;
}

bool fc_cursor_bool(struct fc_cursor *cursor) {
  uint8_t first = take_first(cursor);

  if (first != TRUE_ && first != FALSE_)
    fc_cursor_fail(cursor, FC_EPROTOCOL);
  return first == TRUE_;
}

/* An integer of either sign: *negative says that the number is to be read as two's complement. */
static uint64_t take_integer(struct fc_cursor *cursor, bool *negative) {
  uint8_t first = take_first(cursor);
  uint64_t number;

  *negative = false;
  if (first < FIXMAP)
    return first;
  if (first >= UINT8 && first <= UINT64)
    return take_number(cursor, (size_t)1 << (first - UINT8));
  if (first >= INT8 && first <= INT64) {
    unsigned bits = 8u << (first - INT8);

    number = take_number(cursor, bits / 8);
    *negative = number >> (bits - 1) & 1;
    return *negative && bits < 64 ? number | UINT64_MAX << bits : number;
  }
  if (first >= NEGATIVE_FIXINT) {
    *negative = true;
    return first | UINT64_MAX << 8;
  }
  fc_cursor_fail(cursor, FC_EPROTOCOL);
  return 0;
}

uint64_t fc_cursor_u64(struct fc_cursor *cursor) {
  bool negative;
  uint64_t number = take_integer(cursor, &negative);

  if (!negative)
    return number;
  fc_cursor_fail(cursor, FC_EPROTOCOL);
  return 0;
}

uint32_t fc_cursor_u32(struct fc_cursor *cursor) {
  uint64_t number = fc_cursor_u64(cursor);

  if (number <= UINT32_MAX)
    return (uint32_t)number;
  fc_cursor_fail(cursor, FC_EPROTOCOL);
  return 0;
}

int64_t fc_cursor_i64(struct fc_cursor *cursor) {
  bool negative;
  uint64_t number = take_integer(cursor, &negative);

  if (negative || number <= INT64_MAX)
    return (int64_t)number;
  fc_cursor_fail(cursor, FC_EPROTOCOL);
  return 0;
}

double fc_cursor_real(struct fc_cursor *cursor) {
  uint8_t first = take_first(cursor);

  if (first == FLOAT32) {
    uint32_t bits = (uint32_t)take_number(cursor, 4);
    float number;

    memcpy(&number, &bits, sizeof number);
    return (double)number;
  }
  if (first == FLOAT64) {
    uint64_t bits = take_number(cursor, 8);
    double number;

    memcpy(&number, &bits, sizeof number);
    return number;
  }
  fc_cursor_fail(cursor, FC_EPROTOCOL);
  return 0;
}

struct fc_str fc_cursor_str(struct fc_cursor *cursor) {
  uint8_t first = take_first(cursor);
  uint32_t size = 0;
  const uint8_t *bytes;

  if (first >= FIXSTR && first < NIL)
    size = first - FIXSTR;
  else if (first >= STR8 && first <= STR32)
    size = (uint32_t)take_number(cursor, (size_t)1 << (first - STR8));
  else
    fc_cursor_fail(cursor, FC_EPROTOCOL);
  bytes = take_bytes(cursor, size);
  return cursor->error ? (struct fc_str){NULL, 0} : (struct fc_str){(const char *)bytes, size};
}

uint32_t fc_cursor_bin_head(struct fc_cursor *cursor) {
  uint8_t first = take_first(cursor);

  if (first >= BIN8 && first <= BIN32)
    return (uint32_t)take_number(cursor, (size_t)1 << (first - BIN8));
  fc_cursor_fail(cursor, FC_EPROTOCOL);
  return 0;
}

const uint8_t *fc_cursor_bin(struct fc_cursor *cursor, uint32_t *size) {
  const uint8_t *bytes;

  *size = fc_cursor_bin_head(cursor);
  bytes = take_bytes(cursor, *size);
  if (!cursor->error)
    return bytes;
  *size = 0;
  return NULL;
}

/* `each`: the fewest bytes that an element has. */
static uint32_t checked_count(struct fc_cursor *cursor, uint64_t count, uint32_t each) {
  if (count * each <= fc_cursor_left(cursor))
    return (uint32_t)count;
  fc_cursor_fail(cursor, FC_EPROTOCOL);
  return 0;
}

uint32_t fc_cursor_array(struct fc_cursor *cursor) {
  uint8_t first = take_first(cursor);

  if (first >= FIXARRAY && first < FIXSTR)
    return checked_count(cursor, first - FIXARRAY, 1);
  if (first == ARRAY16 || first == ARRAY32)
    return checked_count(cursor, take_number(cursor, first == ARRAY16 ? 2 : 4), 1);
  fc_cursor_fail(cursor, FC_EPROTOCOL);
  return 0;
}

uint32_t fc_cursor_map(struct fc_cursor *cursor) {
  uint8_t first = take_first(cursor);

  if (first >= FIXMAP && first < FIXARRAY)
    return checked_count(cursor, first - FIXMAP, 2);
  if (first == MAP16 || first == MAP32)
    return checked_count(cursor, take_number(cursor, first == MAP16 ? 2 : 4), 2);
  fc_cursor_fail(cursor, FC_EPROTOCOL);
  return 0;
}

/* Passes over one value but not its elements, whose number it returns. */
static uint64_t skip_head(struct fc_cursor *cursor) {
  uint8_t first = take_first(cursor);

  if (first < FIXMAP || first >= NEGATIVE_FIXINT)
    return 0;
  if (first < FIXARRAY)
    return 2u * (uint32_t)(first - FIXMAP);
  if (first < FIXSTR)
    return (uint32_t)(first - FIXARRAY);
  if (first < NIL)
    (void)take_bytes(cursor, (uint64_t)(first - FIXSTR)); /* an error sticks, here and below */
  else if (first == UNUSED)
    fc_cursor_fail(cursor, FC_EPROTOCOL);
  else if (first >= BIN8 && first <= BIN32)
    (void)take_bytes(cursor, take_number(cursor, (size_t)1 << (first - BIN8)));
  else if (first >= EXT8 && first <= EXT32) /* one byte of type and the bytes */
    (void)take_bytes(cursor, 1 + take_number(cursor, (size_t)1 << (first - EXT8)));
  else if (first == FLOAT32 || first == FLOAT64)
    (void)take_bytes(cursor, first == FLOAT32 ? 4 : 8);
  else if (first >= UINT8 && first <= UINT64)
    (void)take_bytes(cursor, (uint64_t)1 << (first - UINT8));
  else if (first >= INT8 && first <= INT64)
    (void)take_bytes(cursor, (uint64_t)1 << (first - INT8));
  else if (first >= FIXEXT1 && first <= FIXEXT16)
    (void)take_bytes(cursor, 1 + ((uint64_t)1 << (first - FIXEXT1)));
  else if (first >= STR8 && first <= STR32)
    (void)take_bytes(cursor, take_number(cursor, (size_t)1 << (first - STR8)));
  else if (first == ARRAY16 || first == ARRAY32)
    return take_number(cursor, first == ARRAY16 ? 2 : 4);
  else if (first == MAP16 || first == MAP32)
    return 2 * take_number(cursor, first == MAP16 ? 2 : 4);
  return 0;
}

void fc_cursor_skip(struct fc_cursor *cursor, uint32_t n) {
  uint64_t pending = n; /* values still to pass, at any depth: each has a byte at least */

  while (pending && !cursor->error) {
    if (pending > fc_cursor_left(cursor))
      fc_cursor_fail(cursor, FC_EPROTOCOL);
    else
      pending += skip_head(cursor) - 1;
  }
}

enum fc_kind fc_cursor_kind(const struct fc_cursor *cursor) {
  uint8_t first;

  if (cursor->at == cursor->end)
    return FC_KIND_END;
  first = *cursor->at;
  if (first < FIXMAP || (first >= UINT8 && first <= INT64) || first >= NEGATIVE_FIXINT)
    return FC_KIND_INTEGER;
  if (first == FLOAT32 || first == FLOAT64)
    return FC_KIND_REAL;
  if ((first >= FIXSTR && first < NIL) || (first >= STR8 && first <= STR32))
    return FC_KIND_STR;
  return FC_KIND_OTHER;
}
