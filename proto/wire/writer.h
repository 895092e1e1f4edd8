/* writer.h - a writer of MessagePack for the protocol: each function appends one value to a buffer,
 * in its shortest form. A failed allocation sets the buffer's `failed`; see buf.h. */
#ifndef FC_PROTO_WRITER_H
#define FC_PROTO_WRITER_H

#include "proto/key.h"
#include "proto/wire/buf.h"
#include "proto/wire/msgpack.h"

/* Returns the end of the buffer, with room for a head and `size` bytes; NULL after a failure. */
static inline uint8_t *fc_write_room(struct fc_buf *buf, size_t size) {
  if (buf->failed || buf->capacity - buf->size < MP_HEAD_MAX + size) {
    if (fc_buf_reserve(buf, MP_HEAD_MAX + size) != 0)
      return NULL;
  }
  return buf->data + buf->size;
}

#define FC_WRITE_HEAD(buf, write, argument)                                                        \
  do {                                                                                             \
    uint8_t *room_ = fc_write_room((buf), 0);                                                      \
    if (room_)                                                                                     \
      (buf)->size += write(room_, (argument));                                                     \
  } while (0)

static inline void fc_write_uint(struct fc_buf *buf, uint64_t number) {
  FC_WRITE_HEAD(buf, mp_write_uint, number);
}

static inline void fc_write_int(struct fc_buf *buf, int64_t number) {
  FC_WRITE_HEAD(buf, mp_write_int, number);
}

static inline void fc_write_bin_head(struct fc_buf *buf, uint32_t size) {
  FC_WRITE_HEAD(buf, mp_write_bin_head, size);
}

static inline void fc_write_array_head(struct fc_buf *buf, uint32_t count) {
  FC_WRITE_HEAD(buf, mp_write_array_head, count);
}

static inline void fc_write_map_head(struct fc_buf *buf, uint32_t count) {
  FC_WRITE_HEAD(buf, mp_write_map_head, count);
}

static inline void fc_write_first_byte(struct fc_buf *buf, uint8_t first) {
  uint8_t *room = fc_write_room(buf, 0);
  if (room) {
    *room = first;
    buf->size++;
  }
}

static inline void fc_write_nil(struct fc_buf *buf) {
  fc_write_first_byte(buf, MP_NIL);
}

static inline void fc_write_bool(struct fc_buf *buf, bool value) {
  fc_write_first_byte(buf, value ? MP_TRUE : MP_FALSE);
}

/* Writes a float 64. */
static inline void fc_write_real(struct fc_buf *buf, double number) {
  uint64_t bits;
  uint8_t *room = fc_write_room(buf, 0);
  memcpy(&bits, &number, sizeof bits);
  if (room)
    buf->size += mp_write_number(room, MP_FLOAT64, bits, 8);
}

static inline void fc_write_str(struct fc_buf *buf, struct fc_str str) {
  uint8_t *room = fc_write_room(buf, str.size);
  if (!room)
    return;
  size_t head = mp_write_str_head(room, str.size);
  if (str.size) /* memcpy must not see a NULL */
    memcpy(room + head, str.data, str.size);
  buf->size += head + str.size;
}

static inline void fc_write_bin(struct fc_buf *buf, const void *data, uint32_t size) {
  uint8_t *room = fc_write_room(buf, size);
  if (!room)
    return;
  size_t head = mp_write_bin_head(room, size);
  if (size) /* memcpy must not see a NULL */
    memcpy(room + head, data, size);
  buf->size += head + size;
}

#endif
