/* msgpack_reader.h - reads stored values with proto/wire/msgpack.h and raises DecodeError.
 *
 * The reader borrows the bytes and never reads outside them. It rejects a head that announces more
 * elements than bytes are left. A function that fails raises and returns false. The reader is not
 * used after that. */
#ifndef FCACHED_PY_READER_H
#define FCACHED_PY_READER_H

#include <Python.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "glue/py_errors.h"
#include "proto/wire/msgpack.h"
#include "value_format.h"

struct block_room;

struct reader {
  const uint8_t *at;
  const uint8_t *end; /* of the innermost ext, or of the bytes */
  const uint8_t *start;
  const uint8_t *limit; /* the end of all bytes */
  uint64_t pending;     /* elements that the open containers announced and that did not begin yet */
  unsigned depth;       /* containers around the next value */
  struct block_room *room; /* for arrays; its buffer, if it owns one, has the bytes */
};

/* Compares the 8 bytes at two addresses. */
static inline bool same_word(const uint8_t *a, const uint8_t *b) {
  uint64_t x, y;

  memcpy(&x, a, sizeof x);
  memcpy(&y, b, sizeof y);
  return x == y;
}

/* Compares two texts of the same size. Most are names of a few bytes, for which a call of memcmp
 * takes longer. */
static inline bool same_text(const void *a, const void *b, size_t size) {
  const uint8_t *left = a, *right = b;

  if (size < 8) {
    for (size_t i = 0; i < size; i++) {
      if (left[i] != right[i])
        return false;
    }
    return true;
  }
  for (size_t i = 0; i + 8 < size; i += 8) {
    if (!same_word(left + i, right + i))
      return false;
  }
  return same_word(left + size - 8, right + size - 8); /* may repeat some bytes */
}

/* Raises DecodeError: "not a stored value: `what` (at byte N)". */
void reader_raise(const struct reader *reader, const char *what);

/* Raises DecodeError and returns false. */
static inline bool reader_fail(const struct reader *reader, const char *what) {
  reader_raise(reader, what);
  return false;
}

/* Raises DecodeError unless the result is MP_OK. `other` is the text for another type of value. */
static inline bool reader_check(const struct reader *reader, enum mp_result result,
                                const char *other) {
  if (result == MP_OK)
    return true;
  return reader_fail(reader, result == MP_CUT ? "the bytes end too early"
                             : result == MP_TOO_MANY
                                 ? "more elements are announced than bytes are left"
                                 : other);
}

static inline size_t reader_left(const struct reader *reader) {
  return (size_t)(reader->end - reader->at);
}

/* Points *bytes into the reader's bytes. */
static inline bool reader_bytes(struct reader *reader, uint64_t size, const uint8_t **bytes) {
  return reader_check(reader, mp_read_bytes(&reader->at, reader->end, size, bytes), NULL);
}

static inline bool reader_byte(struct reader *reader, uint8_t *byte) {
  return reader_check(reader, mp_read_byte(&reader->at, reader->end, byte), NULL);
}

/* Reads a big-endian number of `width` bytes, 1 to 8. */
static inline bool reader_number(struct reader *reader, unsigned width, uint64_t *number) {
  return reader_check(reader, mp_read_number(&reader->at, reader->end, width, number), NULL);
}

/* Reads the rest of a str's head, whose first byte is `first`. */
static inline bool reader_str_size(struct reader *reader, uint8_t first, uint64_t *size) {
  return reader_check(reader, mp_read_str_size(&reader->at, reader->end, first, size),
                      "a str was expected");
}

/* Reads a str. Its bytes are not checked for UTF-8. */
static inline bool reader_str(struct reader *reader, const uint8_t **bytes, uint64_t *size) {
  uint8_t first;
  return reader_byte(reader, &first) && reader_str_size(reader, first, size) &&
         reader_bytes(reader, *size, bytes);
}

/* Skips a str in its short form if it is this one. Returns false with the reader unchanged if not.
 */
static inline bool reader_skip_str(struct reader *reader, const char *text, size_t size) {
  if (size > MP_NIL - MP_FIXSTR - 1 || reader_left(reader) <= size ||
      *reader->at != MP_FIXSTR + size || !same_text(text, reader->at + 1, size))
    return false;
  reader->at += 1 + size;
  return true;
}

static inline bool reader_array(struct reader *reader, uint64_t *count) {
  return reader_check(reader, mp_read_array(&reader->at, reader->end, count),
                      "an array was expected");
}

static inline bool reader_map(struct reader *reader, uint64_t *count) {
  return reader_check(reader, mp_read_map(&reader->at, reader->end, count), "a map was expected");
}

/* Returns whether the next value is a bin. */
static inline bool reader_at_bin(const struct reader *reader) {
  return reader->at < reader->end && *reader->at >= MP_BIN8 && *reader->at <= MP_BIN32;
}

static inline bool reader_bin(struct reader *reader, const uint8_t **bytes, uint64_t *size) {
  uint8_t first;
  if (!reader_at_bin(reader))
    return reader_fail(reader, "a bin was expected");
  return reader_byte(reader, &first) &&
         reader_check(reader, mp_read_bin_size(&reader->at, reader->end, first, size), NULL) &&
         reader_bytes(reader, *size, bytes);
}

/* Reads the rest of an ext's head, whose first byte is `first`: its type and its content's size. */
static inline bool reader_ext(struct reader *reader, uint8_t first, uint8_t *type, uint64_t *size) {
  return reader_check(reader, mp_read_ext_head(&reader->at, reader->end, first, type, size),
                      "an ext was expected") &&
         (*size <= reader_left(reader) || reader_fail(reader, "the bytes end too early"));
}

/* Begins a container of `count` elements. Each element of each open container has at least a byte,
 * so the elements that nested containers announce together must fit into the bytes that are left.
 * That bounds the memory for all of them. */
static inline bool reader_enter(struct reader *reader, uint64_t count) {
  if (reader->depth >= MAX_DEPTH)
    return reader_fail(reader, "it nests too deep");
  reader->depth++;
  reader->pending += count;
  return reader->pending <= (uint64_t)(reader->limit - reader->at) ||
         reader_check(reader, MP_TOO_MANY, NULL);
}

/* Begins one element of a container. */
static inline void reader_element(struct reader *reader) {
  reader->pending--;
}

/* Ends a container. */
static inline void reader_leave(struct reader *reader) {
  reader->depth--;
}

#endif
