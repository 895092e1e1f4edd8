#include "proto/wire/buf.h"

#include <stdlib.h>

#include "proto/errors.h"

#define FIRST_CAPACITY 256u

void fc_buf_free(struct fc_buf *buf) {
  free(buf->data);
  *buf = (struct fc_buf){0};
}

void fc_buf_reset(struct fc_buf *buf) {
  buf->size = 0;
  buf->failed = false;
}

/* Doubling keeps the cost of n appends at O(n). */
static int buf_grow(struct fc_buf *buf, size_t more) {
  size_t capacity = buf->capacity < FIRST_CAPACITY ? FIRST_CAPACITY : buf->capacity;
  uint8_t *data;

  if (more > SIZE_MAX / 2 - buf->size) {
    buf->failed = true;
    return FC_ENOMEM;
  }
  while (capacity - buf->size < more)
    capacity *= 2;
  data = realloc(buf->data, capacity);
  if (!data) {
    buf->failed = true;
    return FC_ENOMEM;
  }
  buf->data = data;
  buf->capacity = capacity;
  return 0;
}

int fc_buf_reserve(struct fc_buf *buf, size_t more) {
  if (buf->failed)
    return FC_ENOMEM;
  return buf->capacity - buf->size >= more ? 0 : buf_grow(buf, more);
}
