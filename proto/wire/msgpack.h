/* msgpack.h - the heads of MessagePack values: their first bytes, their reading and their writing.
 *
 * Inline functions over bytes. They do not allocate and have no error policy: reader.h and writer.h
 * add the protocol's, the Python package adds its exceptions. The msgpack-c library is not used:
 * its unpacker allocates 24 bytes for each element that an array announces before it has seen one,
 * so a hostile message of five bytes would cost gigabytes.
 *
 * A reading function takes the position `*at` and the end of the bytes, never reads behind the end,
 * and moves `*at` behind what it has read. */
#ifndef FC_PROTO_MSGPACK_H
#define FC_PROTO_MSGPACK_H

#include <stddef.h>
#include <stdint.h>

/* First bytes of the MessagePack specification. */
enum {
  MP_FIXMAP = 0x80,   /* to 8f */
  MP_FIXARRAY = 0x90, /* to 9f */
  MP_FIXSTR = 0xa0,   /* to bf */
  MP_NIL = 0xc0,
  MP_UNUSED = 0xc1, /* begins no value */
  MP_FALSE = 0xc2,
  MP_TRUE = 0xc3,
  MP_BIN8 = 0xc4,
  MP_BIN32 = 0xc6,
  MP_EXT8 = 0xc7,
  MP_EXT32 = 0xc9,
  MP_FLOAT32 = 0xca,
  MP_FLOAT64 = 0xcb,
  MP_UINT8 = 0xcc,
  MP_UINT16 = 0xcd,
  MP_UINT32 = 0xce,
  MP_UINT64 = 0xcf,
  MP_INT8 = 0xd0,
  MP_INT16 = 0xd1,
  MP_INT32 = 0xd2,
  MP_INT64 = 0xd3,
  MP_FIXEXT1 = 0xd4,
  MP_FIXEXT16 = 0xd8,
  MP_STR8 = 0xd9,
  MP_STR16 = 0xda,
  MP_STR32 = 0xdb,
  MP_ARRAY16 = 0xdc,
  MP_ARRAY32 = 0xdd,
  MP_MAP16 = 0xde,
  MP_MAP32 = 0xdf,
  MP_NEGATIVE_FIXINT = 0xe0,
};

/* ---- reading ---- */

enum mp_result {
  MP_OK = 0,
  MP_CUT,      /* the bytes end too early */
  MP_OTHER,    /* another type of value comes next */
  MP_TOO_MANY, /* more elements are announced than bytes are left */
};

static inline enum mp_result mp_read_byte(const uint8_t **at, const uint8_t *end, uint8_t *byte) {
  if (*at == end)
    return MP_CUT;
  *byte = *(*at)++;
  return MP_OK;
}

/* Points *bytes at the next `size` bytes. */
static inline enum mp_result mp_read_bytes(const uint8_t **at, const uint8_t *end, uint64_t size,
                                           const uint8_t **bytes) {
  if ((size_t)(end - *at) < size)
    return MP_CUT;
  *bytes = *at;
  *at += size;
  return MP_OK;
}

/* Returns the big-endian number of `width` bytes, 1 to 8. The compiler makes one load of each of
 * the usual widths. */
static inline uint64_t mp_number(const uint8_t *bytes, unsigned width) {
  uint64_t number = 0;
  if (width == 1)
    return bytes[0];
  if (width == 2)
    return (uint64_t)bytes[0] << 8 | bytes[1];
  if (width == 4)
    return (uint64_t)bytes[0] << 24 | (uint64_t)bytes[1] << 16 | (uint64_t)bytes[2] << 8 | bytes[3];
  for (unsigned i = 0; i < width; i++)
    number = number << 8 | bytes[i];
  return number;
}

/* Reads a big-endian number of `width` bytes, 1 to 8. */
static inline enum mp_result mp_read_number(const uint8_t **at, const uint8_t *end, unsigned width,
                                            uint64_t *number) {
  const uint8_t *bytes;
  if (mp_read_bytes(at, end, width, &bytes) != MP_OK)
    return MP_CUT;
  *number = mp_number(bytes, width);
  return MP_OK;
}

/* Reads the rest of a str's head, whose first byte is `first`. */
static inline enum mp_result mp_read_str_size(const uint8_t **at, const uint8_t *end, uint8_t first,
                                              uint64_t *size) {
  if (first >= MP_FIXSTR && first < MP_NIL) {
    *size = (uint64_t)first - MP_FIXSTR;
    return MP_OK;
  }
  if (first >= MP_STR8 && first <= MP_STR32)
    return mp_read_number(at, end, 1u << (first - MP_STR8), size);
  return MP_OTHER;
}

/* Reads the rest of a bin's head, whose first byte is `first`. */
static inline enum mp_result mp_read_bin_size(const uint8_t **at, const uint8_t *end, uint8_t first,
                                              uint64_t *size) {
  if (first >= MP_BIN8 && first <= MP_BIN32)
    return mp_read_number(at, end, 1u << (first - MP_BIN8), size);
  return MP_OTHER;
}

/* Reads the rest of an ext's head, whose first byte is `first`: its type and its content's size. */
static inline enum mp_result mp_read_ext_head(const uint8_t **at, const uint8_t *end, uint8_t first,
                                              uint8_t *type, uint64_t *size) {
  if (first >= MP_FIXEXT1 && first <= MP_FIXEXT16)
    *size = (uint64_t)1 << (first - MP_FIXEXT1);
  else if (first < MP_EXT8 || first > MP_EXT32)
    return MP_OTHER;
  else if (mp_read_number(at, end, 1u << (first - MP_EXT8), size) != MP_OK)
    return MP_CUT;
  return mp_read_byte(at, end, type);
}

/* Reads the head of an array or a map: `fix` and `wide` are the first bytes of its short form and
 * of its form with 16 bits. An element has at least `each` bytes, so a loop over *count elements is
 * bounded by the bytes that are left. */
static inline enum mp_result mp_read_count(const uint8_t **at, const uint8_t *end, uint8_t fix,
                                           uint8_t wide, unsigned each, uint64_t *count) {
  uint8_t first;
  if (mp_read_byte(at, end, &first) != MP_OK)
    return MP_CUT;
  if (first >= fix && first < fix + 16)
    *count = (uint64_t)first - fix;
  else if (first != wide && first != wide + 1)
    return MP_OTHER;
  else if (mp_read_number(at, end, first == wide ? 2 : 4, count) != MP_OK)
    return MP_CUT;
  return *count * each <= (size_t)(end - *at) ? MP_OK : MP_TOO_MANY;
}

static inline enum mp_result mp_read_array(const uint8_t **at, const uint8_t *end,
                                           uint64_t *count) {
  return mp_read_count(at, end, MP_FIXARRAY, MP_ARRAY16, 1, count);
}

/* *count is the number of pairs. */
static inline enum mp_result mp_read_map(const uint8_t **at, const uint8_t *end, uint64_t *count) {
  return mp_read_count(at, end, MP_FIXMAP, MP_MAP16, 2, count);
}

/* ---- writing ---- */

#define MP_HEAD_MAX 9u /* bytes of the longest head, and of the longest number */

/* Each writes the shortest form to `head`, of MP_HEAD_MAX bytes, and returns its size. Str, bin,
 * array and map heads take sizes below 2^32. */

/* Writes `first` and a big-endian number of `width` bytes. */
static inline size_t mp_write_number(uint8_t *head, uint8_t first, uint64_t number,
                                     unsigned width) {
  head[0] = first;
  for (unsigned i = width; i > 0; i--, number >>= 8)
    head[i] = (uint8_t)number;
  return 1 + (size_t)width;
}

static inline size_t mp_write_uint(uint8_t *head, uint64_t number) {
  if (number < MP_FIXMAP) {
    head[0] = (uint8_t)number;
    return 1;
  }
  if (number <= UINT8_MAX)
    return mp_write_number(head, MP_UINT8, number, 1);
  if (number <= UINT16_MAX)
    return mp_write_number(head, MP_UINT16, number, 2);
  if (number <= UINT32_MAX)
    return mp_write_number(head, MP_UINT32, number, 4);
  return mp_write_number(head, MP_UINT64, number, 8);
}

static inline size_t mp_write_int(uint8_t *head, int64_t number) {
  if (number >= 0)
    return mp_write_uint(head, (uint64_t)number);
  if (number >= -32) {
    head[0] = (uint8_t)number;
    return 1;
  }
  if (number >= INT8_MIN)
    return mp_write_number(head, MP_INT8, (uint64_t)number, 1);
  if (number >= INT16_MIN)
    return mp_write_number(head, MP_INT16, (uint64_t)number, 2);
  if (number >= INT32_MIN)
    return mp_write_number(head, MP_INT32, (uint64_t)number, 4);
  return mp_write_number(head, MP_INT64, (uint64_t)number, 8);
}

/* Writes a size: with 8 bits where `first8` is not 0 and it fits, else with 16 or 32 bits, whose
 * first bytes are `first16` and the next one. */
static inline size_t mp_write_size(uint8_t *head, uint8_t first8, uint8_t first16, uint32_t size) {
  if (first8 && size <= UINT8_MAX)
    return mp_write_number(head, first8, size, 1);
  if (size <= UINT16_MAX)
    return mp_write_number(head, first16, size, 2);
  return mp_write_number(head, (uint8_t)(first16 + 1), size, 4);
}

static inline size_t mp_write_str_head(uint8_t *head, uint32_t size) {
  if (size >= 32)
    return mp_write_size(head, MP_STR8, MP_STR16, size);
  head[0] = (uint8_t)(MP_FIXSTR | size);
  return 1;
}

static inline size_t mp_write_bin_head(uint8_t *head, uint32_t size) {
  return mp_write_size(head, MP_BIN8, MP_BIN8 + 1, size);
}

static inline size_t mp_write_array_head(uint8_t *head, uint32_t count) {
  if (count >= 16)
    return mp_write_size(head, 0, MP_ARRAY16, count);
  head[0] = (uint8_t)(MP_FIXARRAY | count);
  return 1;
}

static inline size_t mp_write_map_head(uint8_t *head, uint32_t count) {
  if (count >= 16)
    return mp_write_size(head, 0, MP_MAP16, count);
  head[0] = (uint8_t)(MP_FIXMAP | count);
  return 1;
}

#endif
