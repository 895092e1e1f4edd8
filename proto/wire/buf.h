/* buf.h - a growing buffer of bytes, which the encoders append to.
 *
 * Zero it to start; fc_buf_free at the end. An allocation that fails sets
 * `failed`, and everything appended after is dropped: check once. Appending
 * moves `data` where it must grow: keep offsets, not pointers. */
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

/* Frees and zeroes; a zeroed buffer is allowed. */
void fc_buf_free(struct fc_buf *buf);

/* Empty and not failed again; keeps the memory. */
void fc_buf_reset(struct fc_buf *buf);

/* Makes room for `more` bytes after `size`. 0 or FC_ENOMEM. */
int fc_buf_reserve(struct fc_buf *buf, size_t more);

/* Copies `size` bytes to the end. 0 or FC_ENOMEM. `data` may be NULL where `size` is 0.
 * Inline, as an encoder appends a few bytes at a time: where the compiler knows their number, the
 * copy is one instruction. */
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
