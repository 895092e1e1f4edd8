/* Heads of msgpack, and the growth of the buffer. */
#include "msgpack_writer.h"

#include <stdlib.h>

#include "glue/py_errors.h"

enum { FIRST_ROOM = 256 };

bool writer_grow(struct fcache_value *out, size_t size) {
  size_t capacity = out->capacity ? out->capacity : FIRST_ROOM;
  void *data;

  while (capacity - out->size < size && capacity <= PTRDIFF_MAX / 2)
    capacity *= 2;
  data = capacity - out->size < size ? NULL : realloc(out->data, capacity);
  if (!data) {
    (void)PyErr_NoMemory();
    return false;
  }
  out->data = data;
  out->capacity = capacity;
  return true;
}

bool writer_number(struct fcache_value *out, uint8_t first, uint64_t number, unsigned width) {
  uint8_t *room = writer_room(out, 1 + (size_t)width);

  if (!room)
    return false;
  *room = first;
  for (unsigned i = width; i > 0; i--, number >>= 8)
    room[i] = (uint8_t)number;
  return true;
}

bool writer_unsigned(struct fcache_value *out, uint64_t number) {
  if (number < MP_FIXMAP)
    return writer_byte(out, (uint8_t)number);
  if (number <= UINT8_MAX)
    return writer_number(out, MP_UINT8, number, 1);
  if (number <= UINT16_MAX)
    return writer_number(out, MP_UINT16, number, 2);
  if (number <= UINT32_MAX)
    return writer_number(out, MP_UINT32, number, 4);
  return writer_number(out, MP_UINT64, number, 8);
}

bool writer_signed(struct fcache_value *out, int64_t number) {
  if (number >= 0)
    return writer_unsigned(out, (uint64_t)number);
  if (number >= -32)
    return writer_byte(out, (uint8_t)number);
  if (number >= INT8_MIN)
    return writer_number(out, MP_INT8, (uint64_t)number, 1);
  if (number >= INT16_MIN)
    return writer_number(out, MP_INT16, (uint64_t)number, 2);
  if (number >= INT32_MIN)
    return writer_number(out, MP_INT32, (uint64_t)number, 4);
  return writer_number(out, MP_INT64, (uint64_t)number, 8);
}

/* Heads of 16 and 32 bits; `first16` is followed by the first byte of the form of 32. */
static bool wide_head(struct fcache_value *out, uint8_t first16, size_t size) {
  if (size <= UINT16_MAX)
    return writer_number(out, first16, size, 2);
  if (size <= UINT32_MAX)
    return writer_number(out, (uint8_t)(first16 + 1), size, 4);
  PyErr_SetString(errors_encode, "one str, bytes, array or container has more than 2**32 - 1 bytes "
                                 "or elements, which msgpack cannot hold");
  return false;
}

bool writer_str_head(struct fcache_value *out, size_t size) {
  if (size < 32)
    return writer_byte(out, (uint8_t)(MP_FIXSTR + size));
  return size <= UINT8_MAX ? writer_number(out, MP_STR8, size, 1) : wide_head(out, MP_STR16, size);
}

bool writer_bin_head(struct fcache_value *out, size_t size) {
  return size <= UINT8_MAX ? writer_number(out, MP_BIN8, size, 1)
                           : wide_head(out, MP_BIN8 + 1, size);
}

bool writer_array_head(struct fcache_value *out, size_t size) {
  return size < 16 ? writer_byte(out, (uint8_t)(MP_FIXARRAY + size))
                   : wide_head(out, MP_ARRAY16, size);
}

bool writer_map_head(struct fcache_value *out, size_t size) {
  return size < 16 ? writer_byte(out, (uint8_t)(MP_FIXMAP + size)) : wide_head(out, MP_MAP16, size);
}

bool writer_str(struct fcache_value *out, const char *text, size_t size) {
  return writer_str_head(out, size) && writer_bytes(out, text, size);
}

bool writer_bin(struct fcache_value *out, const void *data, size_t size) {
  return writer_bin_head(out, size) && writer_bytes(out, data, size);
}

bool writer_ext(struct fcache_value *out, enum ext_type type, const void *data, size_t size) {
  bool headed =
      size <= UINT8_MAX ? writer_number(out, MP_EXT8, size, 1) : wide_head(out, MP_EXT8 + 1, size);

  return headed && writer_byte(out, (uint8_t)type) && writer_bytes(out, data, size);
}

bool writer_ext_begin(struct fcache_value *out, enum ext_type type, size_t *start) {
  *start = out->size;
  return writer_number(out, MP_EXT32, 0, 4) && writer_byte(out, (uint8_t)type);
}

bool writer_ext_end(struct fcache_value *out, size_t start) {
  uint8_t *head = (uint8_t *)out->data + start;
  size_t size = out->size - start - 6;

  if (size > UINT32_MAX) {
    PyErr_SetString(errors_encode, "a tuple, array or object takes more than 2**32 - 1 bytes, "
                                   "which msgpack cannot hold");
    return false;
  }
  for (unsigned i = 4; i > 0; i--, size >>= 8)
    head[i] = (uint8_t)size;
  return true;
}
