/* export_file.h - writes an image (proto/image/) of one namespace to a stream, entry by entry. The
 * records' stamps number the entries from 1 on, the least recently used first. */
#ifndef FC_CTL_EXPORT_FILE_H
#define FC_CTL_EXPORT_FILE_H

#include <stdio.h>

#include "client/ctl/transfer/export_source.h"
#include "proto/image/image_preamble.h"
#include "proto/image/image_space.h"

struct export_file {
  FILE *out; /* borrowed */
  struct image_info info;
  struct image_space space; /* borrows name and manifest */
  uint64_t offset;          /* written so far */
  uint64_t value_bytes;
  int error; /* errno of the write that failed, or ENOMEM; 0: none */
};

/* Writes the beginning of the image. `name` and `manifest` (without data: none) stay in use.
 * Returns false with file->error. */
bool export_file_begin(struct export_file *file, FILE *out, struct fc_str name,
                       struct fc_str manifest, uint64_t max_bytes);

/* Writes one entry. An export_fn: `arg` is the struct export_file. */
bool export_file_add(void *arg, const struct export_entry *entry);

/* Writes the end of the image, and flushes. */
bool export_file_end(struct export_file *file);

#endif
