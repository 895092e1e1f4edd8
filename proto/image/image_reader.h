/* image_reader.h - reads an image from a file, record by record, with all checksums verified.
 *
 * It reads the file in parts and maps nothing, because a mapped file that another process cuts
 * raises SIGBUS. Damaged records are counted and skipped. A damaged preamble is replaced by the
 * other one. The descriptor is borrowed, and stays open. One thread. */
#ifndef FC_PROTO_IMAGE_READER_H
#define FC_PROTO_IMAGE_READER_H

#include "proto/image/image_scan.h"

#define IMAGE_BATCH 32u

struct image_reader {
  /* read by the caller */
  struct image_info info;   /* of the second preamble, or of the first if that one is damaged */
  bool has_first, has_last; /* these preambles are intact */
  uint64_t file_bytes;      /* UINT64_MAX for a stream */
  uint64_t records;         /* intact ones so far */
  uint64_t damaged;         /* records with a wrong value, and places with damaged heads */
  uint64_t too_large;       /* records whose value exceeds max_value: skipped */
  int error;                /* errno of a failed read, which ended the records; 0: none */
  /* May be set by the caller after the open. Called for each that `damaged` counts: its offset in
   * the file, and the record if its head is intact, borrowed. */
  void (*on_damage)(void *arg, uint64_t offset, const struct image_record *record);
  void *on_damage_arg;
  /* private */
  int fd;
  uint32_t max_value;
  bool is_stream, heads_only, ended, eof;
  struct image_scan scan;
  struct fc_buf preamble; /* the bytes of `info` */
  uint8_t *buffer;        /* owned; file offset `offset` on */
  size_t capacity, size, at;
  uint64_t offset;
};

/* One record. Its names and value are borrowed until the next call. */
struct image_read {
  struct image_record record;
  const uint8_t *value; /* NULL if only heads are read */
  uint64_t digest;      /* of the key in its namespace */
};

/* Opens the image in `fd`, a regular file. Values above `max_value` are skipped. Returns 0, or
 *   FC_EINVAL    no preamble is intact: nothing can be read
 *   FC_EVERSION  info.version is not readable
 *   FC_EREFUSED  the file cannot be read: `error`
 *   FC_ENOMEM */
int image_reader_open(struct image_reader *reader, int fd, uint32_t max_value);

/* Opens the image that `fd`, a pipe for example, gives from now on. It is read once: do not rewind.
 * The first preamble must be intact. `info` and `has_last` are those of the second one when the
 * records have ended. Otherwise as image_reader_open. */
int image_reader_open_stream(struct image_reader *reader, int fd, uint32_t max_value);

/* Idempotent, also after a failed open. */
void image_reader_close(struct image_reader *reader);

/* Starts again at the first record, with all counts at 0. `heads_only`: verifies no values. */
void image_reader_rewind(struct image_reader *reader, bool heads_only);

/* Returns the items of the preamble. */
void image_reader_items(const struct image_reader *reader, struct image_preamble *items);

/* Reads up to IMAGE_BATCH records. Returns their number, 0 at the end of the records, or FC_ENOMEM.
 */
int image_reader_next(struct image_reader *reader, struct image_read batch[IMAGE_BATCH]);

#endif
