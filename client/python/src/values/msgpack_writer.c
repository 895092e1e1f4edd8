#include "msgpack_writer.h"

#include <stdlib.h>

#include "glue/py_errors.h"

enum { FIRST_ROOM = 256 };

bool writer_grow(struct fcache_value *out, size_t size) {
  size_t capacity = out->capacity ? out->capacity : FIRST_ROOM;
  while (capacity - out->size < size && capacity <= PTRDIFF_MAX / 2)
    capacity *= 2;
  void *data = capacity - out->size < size ? NULL : realloc(out->data, capacity);
  if (!data) {
    (void)PyErr_NoMemory();
    return false;
  }
  out->data = data;
  out->capacity = capacity;
  return true;
}

/* Returns room for a head. The writer gives its unused end back with head_end. */
static uint8_t *head_begin(struct fcache_value *out) {
  return writer_room(out, MP_HEAD_MAX);
}

static bool head_end(struct fcache_value *out, size_t size) {
  out->size -= MP_HEAD_MAX - size;
  return true;
}

bool writer_number(struct fcache_value *out, uint8_t first, uint64_t number, unsigned width) {
  uint8_t *head = head_begin(out);
  return head && head_end(out, mp_write_number(head, first, number, width));
}

bool writer_unsigned(struct fcache_value *out, uint64_t number) {
  uint8_t *head = head_begin(out);
  return head && head_end(out, mp_write_uint(head, number));
}

bool writer_signed(struct fcache_value *out, int64_t number) {
  uint8_t *head = head_begin(out);
  return head && head_end(out, mp_write_int(head, number));
}

/* Returns room for the head of `size` bytes or elements. Raises if msgpack has no head for it. */
static uint8_t *size_begin(struct fcache_value *out, size_t size) {
  if (size <= UINT32_MAX)
    return head_begin(out);
  PyErr_SetString(errors_encode, "one str, bytes, array or container has more than 2**32 - 1 bytes "
                                 "or elements, which msgpack cannot hold");
  return NULL;
}

bool writer_str_head(struct fcache_value *out, size_t size) {
  uint8_t *head = size_begin(out, size);
  return head && head_end(out, mp_write_str_head(head, (uint32_t)size));
}

bool writer_bin_head(struct fcache_value *out, size_t size) {
  uint8_t *head = size_begin(out, size);
  return head && head_end(out, mp_write_bin_head(head, (uint32_t)size));
}

bool writer_array_head(struct fcache_value *out, size_t size) {
  uint8_t *head = size_begin(out, size);
  return head && head_end(out, mp_write_array_head(head, (uint32_t)size));
}

bool writer_map_head(struct fcache_value *out, size_t size) {
  uint8_t *head = size_begin(out, size);
  return head && head_end(out, mp_write_map_head(head, (uint32_t)size));
}

bool writer_str(struct fcache_value *out, const char *text, size_t size) {
  return writer_str_head(out, size) && writer_bytes(out, text, size);
}

bool writer_bin(struct fcache_value *out, const void *data, size_t size) {
  return writer_bin_head(out, size) && writer_bytes(out, data, size);
}

bool writer_ext(struct fcache_value *out, enum ext_type type, const void *data, size_t size) {
  uint8_t *head = size_begin(out, size);
  return head && head_end(out, mp_write_size(head, MP_EXT8, MP_EXT8 + 1, (uint32_t)size)) &&
         writer_byte(out, (uint8_t)type) && writer_bytes(out, data, size);
}

bool writer_ext_begin(struct fcache_value *out, enum ext_type type, size_t *start) {
  *start = out->size;
  return writer_number(out, MP_EXT32, 0, 4) && writer_byte(out, (uint8_t)type);
}

bool writer_ext_end(struct fcache_value *out, size_t start) {
  size_t size = out->size - start - 6; /* without the head and the type */
  if (size > UINT32_MAX) {
    PyErr_SetString(errors_encode, "a tuple, array or object takes more than 2**32 - 1 bytes, "
                                   "which msgpack cannot hold");
    return false;
  }
  (void)mp_write_number((uint8_t *)out->data + start, MP_EXT32, size, 4);
  return true;
}
