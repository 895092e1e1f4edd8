/* image_builder.h - an image in memory, whose records follow from their numbers. A failure ends the
 * test. */
#ifndef FC_TESTS_IMAGE_BUILDER_H
#define FC_TESTS_IMAGE_BUILDER_H

#include "proto/image/image_preamble.h"
#include "proto/image/image_space.h"

#define BUILT_SALT UINT64_C(0x123456789abcdef1)
#define BUILT_SPACE UINT64_C(77) /* id of its namespace, "ns" */
#define BUILT_RECORDS_MAX 4096u

struct built_image {
  struct fc_buf bytes;
  uint64_t records_at, last_at; /* offsets of the first record and of the second preamble */
  uint32_t n;
  uint64_t starts[BUILT_RECORDS_MAX + 1]; /* offsets of the records, and of their end */
  uint64_t sizes[BUILT_RECORDS_MAX];      /* of the records without their padding */
};

/* Begins an image with its first preamble. */
void built_begin(struct built_image *image);
/* Adds record number n = image->n, with a value of that size. */
void built_add(struct built_image *image, uint32_t value_size);
/* Adds the second preamble and the end. */
void built_finish(struct built_image *image);
void built_free(struct built_image *image);

/* Builds an image of about `bytes` bytes, with values of 0 to `value_max` bytes. */
void built_make(struct built_image *image, uint64_t bytes, uint32_t value_max);

/* Returns the number of a record, checked against everything that built_add wrote. */
uint32_t built_number(const struct image_record *record, const uint8_t *value);

/* Writes bytes to a new memory file and returns its descriptor. */
int built_file(const void *bytes, size_t size);

#endif
