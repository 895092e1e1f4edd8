#include "proto/wire/pieces.h"

#include <stdint.h>

void fc_pieces_init(struct fc_pieces *pieces, struct iovec *list) {
  *pieces = (struct fc_pieces){.list = list};
}

static void end_stretch(struct fc_pieces *pieces, const struct fc_buf *buf) {
  size_t size = buf->size - pieces->stretch_start;
  if (size == 0)
    return;
  pieces->list[pieces->n++] = (struct iovec){.iov_base = NULL, .iov_len = size};
  pieces->stretch_start = buf->size;
}

void fc_pieces_add(struct fc_pieces *pieces, const struct fc_buf *buf, const void *value,
                   size_t size) {
  if (size == 0)
    return;
  end_stretch(pieces, buf);
  /* struct iovec has no const; a write does not change the bytes */
  pieces->list[pieces->n++] = (struct iovec){(void *)(uintptr_t)value, size};
  pieces->outside_bytes += size;
}

void fc_pieces_finish(struct fc_pieces *pieces, const struct fc_buf *buf) {
  end_stretch(pieces, buf);
  size_t at = 0;
  for (size_t i = 0; i < pieces->n; i++) {
    if (pieces->list[i].iov_base != NULL)
      continue;
    pieces->list[i].iov_base = buf->data + at;
    at += pieces->list[i].iov_len;
  }
}
