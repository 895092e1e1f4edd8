/* image_preamble.h - what an image says about its cache: once before the records, and once more,
 * newer, behind them. Either one suffices to read the records. docs/image.md shows the bytes.
 *
 *   fixed fields   struct image_info; the first is a checksum of the whole preamble
 *   items          tag, size, bytes: each a multiple of 8 bytes. Unknown tags are skipped
 *
 * The last IMAGE_END_BYTES of the file lead to the second preamble. All functions are pure, and
 * accept any bytes. */
#ifndef FC_PROTO_IMAGE_PREAMBLE_H
#define FC_PROTO_IMAGE_PREAMBLE_H

#include "proto/image/image_record.h"
#include "proto/wire/buf.h"

#define IMAGE_PREAMBLE_MIN 128u        /* fixed fields, of this version */
#define IMAGE_PREAMBLE_MAX (64u << 20) /* 1,250 namespaces with manifests take 22 MB */
#define IMAGE_END_BYTES 32u

struct image_info {
  uint64_t salt;     /* of the checksums of the records' heads */
  uint64_t cache_id; /* random, for the cache's life */
  uint64_t last_stamp, generation;
  uint64_t clock_ns, wall_ns; /* the daemon's clock, and the time of day in ns */
  uint64_t max_bytes;
  uint64_t records;    /* in the file; 0 in the first preamble */
  uint64_t charge;     /* of all entries, as the daemon counts them in max_bytes */
  uint64_t records_at; /* offset of the first record in the file */
  bool is_last;        /* this is the second preamble */
  /* set by image_preamble_open */
  uint32_t version;
  uint64_t bytes; /* of the preamble; a multiple of IMAGE_UNIT */
};

enum image_tag {
  IMAGE_BOOTS = 1, /* numbers: boot ids of the cache's daemons, newest last */
  IMAGE_TOTALS,    /* numbers: the daemon's counters, in the order of struct totals */
  IMAGE_STORE,     /* numbers: evictions by cause */
  IMAGE_SPACE,     /* a namespace, see struct image_space */
  IMAGE_CLEARS,    /* clears of all namespaces: struct image_clears */
};

/* ---- writing ---- */

/* Begins a preamble at the end of `buf`. image_preamble_finish completes it: the buffer must not be
 * used for anything else between. A failed allocation is in buf->failed. */
void image_preamble_begin(struct fc_buf *buf, const struct image_info *info);
void image_preamble_numbers(struct fc_buf *buf, enum image_tag tag, const uint64_t *numbers,
                            size_t n);
void image_preamble_item(struct fc_buf *buf, enum image_tag tag, const void *data, size_t size);
void image_preamble_finish(struct fc_buf *buf, size_t start);

/* Writes the end of a file whose second preamble is at `offset`. */
void image_end_encode(uint64_t salt, uint64_t offset, uint8_t end[IMAGE_END_BYTES]);

/* ---- reading ---- */

struct image_item {
  uint32_t tag;
  const uint8_t *data; /* borrowed */
  uint32_t size;
};

struct image_preamble {
  struct image_info info;
  /* private */
  const uint8_t *data;
  size_t at;
};

/* Returns the size of the preamble that begins with these IMAGE_UNIT * 2 bytes, or 0 if that is
 * none. The size is at most IMAGE_PREAMBLE_MAX. */
uint64_t image_preamble_bytes(const uint8_t *data);

/* Reads a whole preamble. Returns 0, FC_EINVAL if it is damaged, or FC_EVERSION if its version,
 * which is set, cannot be read. `data` stays in use. */
int image_preamble_open(struct image_preamble *preamble, const uint8_t *data, size_t size);

/* Returns true and the next item, or false at the end. */
bool image_preamble_next(struct image_preamble *preamble, struct image_item *item);

/* Reads up to `max` numbers of an item. Returns how many there are; the rest is zeroed. */
size_t image_item_numbers(const struct image_item *item, uint64_t *numbers, size_t max);

/* Reads the end of a file. Returns true with the offset of the second preamble. */
bool image_end_decode(const uint8_t end[IMAGE_END_BYTES], uint64_t *offset);

/* Returns true if a preamble with that salt begins at these IMAGE_UNIT * 2 bytes: there the records
 * end. */
bool image_is_preamble(const uint8_t *data, uint64_t salt);

#endif
