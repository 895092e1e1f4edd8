/* image_input.h - opens an image for a command: a file by its path, or stdin, which may be a pipe.
 * Errors are reported with the name of the file. */
#ifndef FC_CTL_IMAGE_INPUT_H
#define FC_CTL_IMAGE_INPUT_H

#include "proto/image/image_reader.h"

struct image_input {
  const char *name; /* of the file, for texts: its path, or "stdin" */
  int fd;
  bool is_regular;
  struct image_reader reader;
};

/* Opens the image. `path` NULL: stdin. Values above FC_VALUE_MAX_CEILING are skipped and counted.
 * Returns an exit status. Call image_input_close in any case. */
int image_input_open(struct image_input *input, const char *path);
void image_input_close(struct image_input *input); /* idempotent */

/* Reads the next records: see image_reader_next. Returns their number, 0 at the end, or a negative
 * number after an error, which is reported. */
int image_input_next(struct image_input *input, struct image_read batch[IMAGE_BATCH]);

/* Returns whether the image has its end: otherwise it was cut. Call it behind the last record. */
static inline bool image_input_is_complete(const struct image_input *input) {
  return input->reader.has_last;
}

#endif
