#include "array_head.h"

enum { SLOT_BITS = 5, MIN_BYTES = 8 }; /* a head has more than 8 bytes */

static struct array_head heads[1 << SLOT_BITS];

/* Returns the slot for a content of `size` bytes, at least MIN_BYTES. */
static struct array_head *slot_of(const uint8_t *content, size_t size) {
  uint32_t mixed = ((uint32_t)size + content[3]) * 2654435769u; /* [3]: the kind of the dtype */

  return &heads[mixed >> (32 - SLOT_BITS)];
}

const struct array_head *array_head_find(const struct reader *reader) {
  size_t size = reader_left(reader);
  const struct array_head *head;

  if (size < MIN_BYTES)
    return NULL;
  head = slot_of(reader->at, size);
  return head->size && size == head->size + head->data_size &&
                 same_text(head->bytes, reader->at, head->size)
             ? head
             : NULL;
}

void array_head_keep(const uint8_t *content, const uint8_t *data, size_t data_size,
                     const struct plain *plain, const struct array_shape *shape) {
  size_t size = (size_t)(data - content);
  struct array_head *head;

  if (size < MIN_BYTES || size > ARRAY_HEAD_BYTES || shape->n > ARRAY_HEAD_DIMS)
    return;
  head = slot_of(content, size + data_size);
  head->size = (uint8_t)size;
  head->n = (uint8_t)shape->n;
  head->fortran = shape->fortran;
  head->data_size = data_size;
  head->plain = plain;
  memcpy(head->bytes, content, size);
  for (int i = 0; i < shape->n; i++)
    head->dims[i] = shape->dims[i];
}
