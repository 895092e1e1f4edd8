/* msgpack_reader.h - msgpack's heads, read from bytes that are borrowed and hostile.
 *
 * Not proto/wire/reader.h: its symbols are local in libfcache.a, which this extension links, and it
 * knows neither exts nor exceptions. The discipline is the same: nothing outside the bytes is read,
 * and no head is believed that announces more than the bytes that are left could hold.
 *
 * A read that fails raises DecodeError and returns false; the reader is then not used any more. */
#ifndef FCACHED_PY_READER_H
#define FCACHED_PY_READER_H

#include <Python.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "glue/py_errors.h"
#include "value_format.h"

struct reader {
  const uint8_t *at;
  const uint8_t *end; /* of the innermost ext, or of the bytes */
  const uint8_t *start;
  const uint8_t *limit; /* the end of all bytes */
  uint64_t owed;        /* elements that the open containers announced, not begun yet */
  unsigned depth;       /* of containers around what is next */
};

/* Raises DecodeError: "not a stored value: `what` (at byte N)". */
void reader_raise(const struct reader *reader, const char *what);

/* The same, and always false, which the compiler sees. */
static inline bool reader_fail(const struct reader *reader, const char *what) {
  reader_raise(reader, what);
  return false;
}

static inline size_t reader_left(const struct reader *reader) {
  return (size_t)(reader->end - reader->at);
}

/* Borrows `size` bytes from the buffer. */
static inline bool reader_bytes(struct reader *reader, uint64_t size, const uint8_t **bytes) {
  if (reader_left(reader) < size)
    return reader_fail(reader, "the bytes end too early");
  *bytes = reader->at;
  reader->at += size;
  return true;
}

static inline bool reader_byte(struct reader *reader, uint8_t *byte) {
  if (reader->at == reader->end)
    return reader_fail(reader, "the bytes end too early");
  *byte = *reader->at++;
  return true;
}

/* A big-endian number of `width` bytes, 1 to 8. */
static inline bool reader_number(struct reader *reader, unsigned width, uint64_t *number) {
  const uint8_t *bytes;

  if (!reader_bytes(reader, width, &bytes))
    return false;
  *number = 0;
  for (unsigned i = 0; i < width; i++)
    *number = *number << 8 | bytes[i];
  return true;
}

/* What follows the first byte of a str. */
static inline bool reader_str_size(struct reader *reader, uint8_t first, uint64_t *size) {
  if (first >= MP_FIXSTR && first < MP_NIL) {
    *size = (uint64_t)first - MP_FIXSTR;
    return true;
  }
  if (first >= MP_STR8 && first <= MP_STR32)
    return reader_number(reader, 1u << (first - MP_STR8), size);
  return reader_fail(reader, "a str was expected");
}

/* A str's bytes, not checked for UTF-8. */
static inline bool reader_str(struct reader *reader, const uint8_t **bytes, uint64_t *size) {
  uint8_t first;

  return reader_byte(reader, &first) && reader_str_size(reader, first, size) &&
         reader_bytes(reader, *size, bytes);
}

/* `each`: the fewest bytes that an element has. */
static inline bool reader_count(struct reader *reader, uint64_t count, unsigned each) {
  return count * each <= reader_left(reader) ||
         reader_fail(reader, "more elements are announced than bytes are left");
}

static inline bool reader_array(struct reader *reader, uint64_t *count) {
  uint8_t first;

  if (!reader_byte(reader, &first))
    return false;
  if (first >= MP_FIXARRAY && first < MP_FIXSTR)
    *count = (uint64_t)first - MP_FIXARRAY;
  else if (first != MP_ARRAY16 && first != MP_ARRAY32)
    return reader_fail(reader, "an array was expected");
  else if (!reader_number(reader, first == MP_ARRAY16 ? 2 : 4, count))
    return false;
  return reader_count(reader, *count, 1);
}

static inline bool reader_map(struct reader *reader, uint64_t *count) {
  uint8_t first;

  if (!reader_byte(reader, &first))
    return false;
  if (first >= MP_FIXMAP && first < MP_FIXARRAY)
    *count = (uint64_t)first - MP_FIXMAP;
  else if (first != MP_MAP16 && first != MP_MAP32)
    return reader_fail(reader, "a map was expected");
  else if (!reader_number(reader, first == MP_MAP16 ? 2 : 4, count))
    return false;
  return reader_count(reader, *count, 2);
}

/* Whether a bin comes next. */
static inline bool reader_at_bin(const struct reader *reader) {
  return reader->at < reader->end && *reader->at >= MP_BIN8 && *reader->at <= MP_BIN32;
}

static inline bool reader_bin(struct reader *reader, const uint8_t **bytes, uint64_t *size) {
  uint8_t first;

  if (!reader_at_bin(reader))
    return reader_fail(reader, "a bin was expected");
  first = *reader->at++;
  return reader_number(reader, 1u << (first - MP_BIN8), size) && reader_bytes(reader, *size, bytes);
}

/* What follows the first byte of an ext: its type and the size of what it holds. */
static inline bool reader_ext(struct reader *reader, uint8_t first, uint8_t *type, uint64_t *size) {
  if (first >= MP_FIXEXT1 && first <= MP_FIXEXT16)
    *size = (uint64_t)1 << (first - MP_FIXEXT1);
  else if (!reader_number(reader, 1u << (first - MP_EXT8), size))
    return false;
  return reader_byte(reader, type) &&
         (*size <= reader_left(reader) || reader_fail(reader, "the bytes end too early"));
}

/* A container of `count` elements begins. Each element of each open container has a byte at least,
 * so that what a container announces inside others is less than what they leave: memory for the
 * elements of all of them stays in proportion to the bytes, however they nest. */
static inline bool reader_enter(struct reader *reader, uint64_t count) {
  if (reader->depth >= MAX_DEPTH)
    return reader_fail(reader, "it nests too deep");
  reader->depth++;
  reader->owed += count;
  return reader->owed <= (uint64_t)(reader->limit - reader->at) ||
         reader_fail(reader, "more elements are announced than bytes are left");
}

/* One of its elements begins. */
static inline void reader_element(struct reader *reader) {
  reader->owed--;
}

static inline void reader_leave(struct reader *reader) {
  reader->depth--;
}

#endif
