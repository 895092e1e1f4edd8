/* buf.h - a growing buffer of bytes, to which the encoders append.
 *
 * Zero it to start, and call fc_buf_free at the end. A failed allocation sets `failed`, and later
 * bytes are dropped, so one check at the end suffices. Appending may move `data`: keep offsets, not
 * pointers. */
#ifndef FC_PROTO_BUF_H
#define FC_PROTO_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct fc_buf {
  uint8_t *data;
  size_t size, capacity;
  bool failed;
};

/* Frees the memory and zeroes the buffer. A zeroed buffer is allowed. */
void fc_buf_free(struct fc_buf *buf);

/* Empties the buffer and clears `failed`. Keeps the memory. */
void fc_buf_reset(struct fc_buf *buf);

/* Makes room for `more` bytes after `size`. Returns 0 or FC_ENOMEM. */
int fc_buf_reserve(struct fc_buf *buf, size_t more);

/* Copies `size` bytes to the end. Returns 0 or FC_ENOMEM. `data` may be NULL if `size` is 0.
 * Inline, because a copy of a constant size is then one instruction. */
static inline int fc_buf_append(struct fc_buf *buf, const void *data, size_t size) {
  if (buf->failed || buf->capacity - buf->size < size) {
    int error = fc_buf_reserve(buf, size);
    if (error)
      return error;
  }
  if (size) { /* memcpy must not see the NULL of an empty buffer */
    memcpy(buf->data + buf->size, data, size);
    buf->size += size;
  }
  return 0;
}

#endif
