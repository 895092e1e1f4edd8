#include "proto/image/image_space.h"

#include <assert.h>

#include "proto/image/image_bytes.h"

/* A namespace: the sizes of its parts, then the parts: numbers, clears, name, manifest. */
enum {
  AT_N_NUMBERS = 0,
  AT_CLEARS_BYTES = 4,
  AT_NAME_SIZE = 8,
  AT_MANIFEST_SIZE = 12,
  SPACE_HEAD = 16,
};
/* Clears: floor, newest, the size of one clear, their number; then the clears. */
enum { AT_CLEAR_BYTES = 16, AT_N_CLEARS = 20, CLEARS_HEAD = 24 };
enum { AT_CLEAR_FLAGS = 8, AT_CLEAR_VIEW = 16, AT_CLEAR_OP = 32, CLEAR_BYTES = 48 };
enum { FLAG_ANY_VIEW = 1, FLAG_ANY_OP = 2 };

static_assert(8 + SPACE_HEAD + IMAGE_SPACE_NUMBERS * 8 + CLEARS_HEAD +
                      IMAGE_CLEARS_MAX * CLEAR_BYTES + FC_NAME_MAX + FC_MANIFEST_MAX + 7 <=
                  IMAGE_SPACE_BYTES_MAX,
              "an item's head, all parts, and the padding");

/* ---- clears ---- */

static size_t write_clears(const struct image_clears *clears,
                           uint8_t bytes[CLEARS_HEAD + IMAGE_CLEARS_MAX * CLEAR_BYTES]) {
  uint32_t n = clears->n < IMAGE_CLEARS_MAX ? clears->n : IMAGE_CLEARS_MAX;
  image_put64(bytes, clears->floor);
  image_put64(bytes + 8, clears->newest);
  image_put32(bytes + AT_CLEAR_BYTES, CLEAR_BYTES);
  image_put32(bytes + AT_N_CLEARS, n);
  for (uint32_t i = 0; i < n; i++) {
    const struct image_clear *clear = &clears->clears[i];
    uint8_t *at = bytes + CLEARS_HEAD + (size_t)i * CLEAR_BYTES;
    image_put64(at, clear->generation);
    image_put64(at + AT_CLEAR_FLAGS,
                (clear->any_view ? FLAG_ANY_VIEW : 0u) | (clear->any_op ? FLAG_ANY_OP : 0u));
    memcpy(at + AT_CLEAR_VIEW, clear->view.bytes, FC_HASH_SIZE);
    memcpy(at + AT_CLEAR_OP, clear->op.bytes, FC_HASH_SIZE);
  }
  return CLEARS_HEAD + (size_t)n * CLEAR_BYTES;
}

static void read_clear(const uint8_t *at, struct image_clear *clear) {
  uint64_t flags = image_get64(at + AT_CLEAR_FLAGS);
  *clear = (struct image_clear){.generation = image_get64(at),
                                .any_view = (flags & FLAG_ANY_VIEW) != 0,
                                .any_op = (flags & FLAG_ANY_OP) != 0};
  memcpy(clear->view.bytes, at + AT_CLEAR_VIEW, FC_HASH_SIZE);
  memcpy(clear->op.bytes, at + AT_CLEAR_OP, FC_HASH_SIZE);
}

/* Keeps the newest, and raises the floor to the others: a log may call more puts stale. */
static bool read_clears(const uint8_t *data, size_t size, struct image_clears *clears) {
  *clears = (struct image_clears){0};
  if (size < CLEARS_HEAD)
    return false;
  uint64_t each = image_get32(data + AT_CLEAR_BYTES), n = image_get32(data + AT_N_CLEARS);
  if (each < CLEAR_BYTES || n * each > size - CLEARS_HEAD)
    return false;
  clears->floor = image_get64(data);
  clears->newest = image_get64(data + 8);
  uint64_t skipped = n > IMAGE_CLEARS_MAX ? n - IMAGE_CLEARS_MAX : 0;
  if (skipped > 0)
    clears->floor = image_get64(data + CLEARS_HEAD + (skipped - 1) * each);
  for (uint64_t i = skipped; i < n; i++)
    read_clear(data + CLEARS_HEAD + i * each, &clears->clears[clears->n++]);
  return true;
}

void image_clears_encode(struct fc_buf *buf, const struct image_clears *clears) {
  uint8_t bytes[CLEARS_HEAD + IMAGE_CLEARS_MAX * CLEAR_BYTES];
  image_preamble_item(buf, IMAGE_CLEARS, bytes, write_clears(clears, bytes));
}

bool image_clears_decode(const struct image_item *item, struct image_clears *clears) {
  return item->tag == IMAGE_CLEARS && read_clears(item->data, item->size, clears);
}

/* ---- namespaces ---- */

void image_space_encode(struct fc_buf *buf, const struct image_space *space) {
  uint8_t head[SPACE_HEAD + IMAGE_SPACE_NUMBERS * 8];
  uint8_t clears[CLEARS_HEAD + IMAGE_CLEARS_MAX * CLEAR_BYTES];
  size_t clears_bytes = write_clears(&space->clears, clears);
  image_put32(head + AT_N_NUMBERS, IMAGE_SPACE_NUMBERS);
  image_put32(head + AT_CLEARS_BYTES, (uint32_t)clears_bytes);
  image_put32(head + AT_NAME_SIZE, space->name.size);
  image_put32(head + AT_MANIFEST_SIZE, space->manifest.size);
  for (size_t i = 0; i < IMAGE_SPACE_NUMBERS; i++)
    image_put64(head + SPACE_HEAD + i * 8, space->numbers[i]);
  size_t start = buf->size;
  image_preamble_item(buf, IMAGE_SPACE, head, sizeof head);
  (void)fc_buf_append(buf, clears, clears_bytes); /* a failure is in buf->failed */
  (void)fc_buf_append(buf, space->name.data, space->name.size);
  (void)fc_buf_append(buf, space->manifest.data, space->manifest.size);
  static const uint8_t zeros[8];
  size_t size = buf->size - start - 8;
  (void)fc_buf_append(buf, zeros, (8 - size % 8) % 8);
  if (!buf->failed)
    image_put32(buf->data + start + 4, (uint32_t)size);
}

bool image_space_decode(const struct image_item *item, struct image_space *space) {
  *space = (struct image_space){0};
  if (item->tag != IMAGE_SPACE || item->size < SPACE_HEAD)
    return false;
  uint64_t n = image_get32(item->data + AT_N_NUMBERS);
  uint64_t clears_bytes = image_get32(item->data + AT_CLEARS_BYTES);
  uint64_t name_size = image_get32(item->data + AT_NAME_SIZE);
  uint64_t manifest_size = image_get32(item->data + AT_MANIFEST_SIZE);
  if (SPACE_HEAD + n * 8 + clears_bytes + name_size + manifest_size > item->size)
    return false;
  struct image_item numbers = {.data = item->data + SPACE_HEAD, .size = (uint32_t)n * 8};
  (void)image_item_numbers(&numbers, space->numbers, IMAGE_SPACE_NUMBERS);
  const uint8_t *at = item->data + SPACE_HEAD + n * 8;
  if (!read_clears(at, clears_bytes, &space->clears))
    return false;
  at += clears_bytes;
  space->name = (struct fc_str){(const char *)at, (uint32_t)name_size};
  if (manifest_size > 0)
    space->manifest = (struct fc_str){(const char *)at + name_size, (uint32_t)manifest_size};
  return fc_name_valid(space->name) && space->numbers[IMAGE_SPACE_ID] != 0 &&
         (manifest_size == 0 || fc_manifest_valid(space->manifest));
}
