/* libFuzzer: an image. The reader must end, count the damaged records, and stay within its bytes.
 *
 * The checksums of the first preamble and of each head are made right before the image is read.
 * Otherwise a changed byte would only ever end in a wrong checksum. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xxhash.h>

#include "proto/image/image_bytes.h"
#include "proto/image/image_reader.h"
#include "proto/image/image_space.h"

#define SEED UINT64_C(0x6661636865643031) /* of a preamble's checksum */
#define MAX_VALUE 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mend_preamble(uint8_t *image, size_t size) {
  uint64_t bytes = size < IMAGE_PREAMBLE_MIN ? 0 : image_preamble_bytes(image);
  if (bytes != 0 && bytes <= size)
    image_put64(image, XXH3_64bits_withSeed(image + 8, bytes - 8, SEED));
}

static void mend_heads(uint8_t *image, size_t size) {
  uint64_t salt = size < IMAGE_PREAMBLE_MIN ? 0 : image_get64(image + 24);
  for (size_t at = 0; size - at >= IMAGE_FIXED_BYTES; at += IMAGE_UNIT) {
    size_t bytes = (size_t)image_get16(image + at + 12) + image[at + 14] + image[at + 15];
    if (image_get32(image + at + IMAGE_MAGIC_AT) == 0x43455246u && bytes >= IMAGE_FIXED_BYTES &&
        bytes <= size - at)
      image_put64(image + at, XXH3_64bits_withSeed(image + at + 8, bytes - 8, salt));
  }
}

static void read_items(const struct image_reader *reader) {
  struct image_preamble items;
  struct image_item item;
  struct image_space space;
  struct image_clears clears;
  uint64_t numbers[8];
  image_reader_items(reader, &items);
  while (image_preamble_next(&items, &item)) {
    (void)image_item_numbers(&item, numbers, 8);
    if (image_space_decode(&item, &space) && !fc_name_valid(space.name))
      abort();
    if (image_clears_decode(&item, &clears) && clears.n > IMAGE_CLEARS_MAX)
      abort();
  }
}

static void read_records(struct image_reader *reader, bool heads_only) {
  struct image_read batch[IMAGE_BATCH];
  int n;
  image_reader_rewind(reader, heads_only);
  while ((n = image_reader_next(reader, batch)) > 0)
    for (int i = 0; i < n; i++)
      if (!heads_only && (batch[i].record.value_size > MAX_VALUE ||
                          image_value_checksum(batch[i].value, batch[i].record.value_size,
                                               batch[i].digest) != batch[i].record.value_checksum))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static int fd = -1;
  struct image_reader reader;
  uint8_t *image = malloc(size + 1);
  if (fd < 0)
    fd = memfd_create("fuzz", MFD_CLOEXEC);
  if (image == NULL || fd < 0 || ftruncate(fd, 0) < 0)
    abort();
  if (size > 0)
    memcpy(image, data, size);
  mend_preamble(image, size);
  mend_heads(image, size);
  if (pwrite(fd, image, size, 0) != (ssize_t)size)
    abort();
  if (image_reader_open(&reader, fd, MAX_VALUE) == 0) {
    read_items(&reader);
    read_records(&reader, true);
    read_records(&reader, false);
  }
  image_reader_close(&reader);
  free(image);
  return 0;
}
