/* msgpack_writer.h - appends msgpack to a caller's buffer, with proto/wire/msgpack.h.
 *
 * A function that fails raises and returns false: MemoryError, or EncodeError for a size that
 * msgpack has no head for. Every number has its shortest form. The head of an ext that holds
 * msgpack is always an ext 32, because it is written before its size is known. */
#ifndef FCACHED_PY_WRITER_H
#define FCACHED_PY_WRITER_H

#include <Python.h>
#include <fcache.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "proto/wire/msgpack.h"
#include "value_format.h"

/* Makes room for `size` bytes more. */
bool writer_grow(struct fcache_value *out, size_t size);

/* Returns room for `size` bytes at the end, which now count. NULL on failure. */
static inline uint8_t *writer_room(struct fcache_value *out, size_t size) {
  if (size > out->capacity - out->size && !writer_grow(out, size))
    return NULL;
  uint8_t *room = (uint8_t *)out->data + out->size;
  out->size += size;
  return room;
}

static inline bool writer_byte(struct fcache_value *out, uint8_t byte) {
  uint8_t *room = writer_room(out, 1);
  if (room)
    *room = byte;
  return room != NULL;
}

static inline bool writer_bytes(struct fcache_value *out, const void *data, size_t size) {
  uint8_t *room = writer_room(out, size);
  if (room && size)
    memcpy(room, data, size);
  return room != NULL;
}

/* Writes a first byte and a big-endian number of `width` bytes. */
bool writer_number(struct fcache_value *out, uint8_t first, uint64_t number, unsigned width);

bool writer_unsigned(struct fcache_value *out, uint64_t number);
bool writer_signed(struct fcache_value *out, int64_t number);

/* Write a head for `size` bytes or elements, which the caller writes next. */
bool writer_str_head(struct fcache_value *out, size_t size);
bool writer_bin_head(struct fcache_value *out, size_t size);
bool writer_array_head(struct fcache_value *out, size_t size);
bool writer_map_head(struct fcache_value *out, size_t size);

bool writer_str(struct fcache_value *out, const char *text, size_t size);
bool writer_bin(struct fcache_value *out, const void *data, size_t size);
bool writer_ext(struct fcache_value *out, enum ext_type type, const void *data, size_t size);

/* Begins an ext that holds msgpack. *start is for writer_ext_end, after its content. */
bool writer_ext_begin(struct fcache_value *out, enum ext_type type, size_t *start);
bool writer_ext_end(struct fcache_value *out, size_t start);

#endif
