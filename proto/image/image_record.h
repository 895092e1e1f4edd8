/* image_record.h - one entry in an image: its head, which has a checksum of its own, and its value,
 * whose checksum is in the head. docs/image.md shows the bytes.
 *
 *   head     fixed fields, op, view
 *   value    value_size bytes
 *   padding  zeros up to a multiple of IMAGE_UNIT
 *
 * The checksum of the head begins with the image's salt, which is random and in no client's hands.
 * So no bytes that a client stored as a value look like a head. All functions are pure, and accept
 * any bytes. */
#ifndef FC_PROTO_IMAGE_RECORD_H
#define FC_PROTO_IMAGE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/key.h"
#include "proto/limits.h"

/* This version, and the oldest and the newest that this code reads: a newer one may only add fields
 * at the ends of the fixed parts, which state their sizes. */
#define IMAGE_VERSION 1u
#define IMAGE_VERSION_MIN 1u
#define IMAGE_VERSION_MAX 2u

#define IMAGE_UNIT 16u        /* blocks begin at multiples of it */
#define IMAGE_MAGIC_AT 8u     /* in each block, behind its checksum: 4 bytes */
#define IMAGE_FIXED_BYTES 88u /* fixed fields of a record, of this version */
#define IMAGE_FIXED_MIN 88u   /* of the oldest */
#define IMAGE_FIXED_MAX 1024u /* of any */
#define IMAGE_HEAD_MAX (IMAGE_FIXED_MAX + 2u * FC_NAME_MAX)

struct image_record {
  uint64_t name_space; /* id of the namespace: the seed of its digests */
  struct fc_key key;   /* its names point into the head */
  uint32_t value_size;
  uint32_t value_checksum; /* see image_value_checksum */
  uint32_t origin;         /* number of the process that put it */
  uint64_t compute_ns;
  uint64_t stamp;       /* of the last use: unique, and the LRU order in numbers */
  uint64_t last_use_ns; /* by the clock of the daemon that wrote the image */
  uint64_t hits;
};

/* Writes the head. Returns its size. The names have at most FC_NAME_MAX bytes each. */
size_t image_record_encode(const struct image_record *record, uint64_t salt,
                           uint8_t head[IMAGE_HEAD_MAX]);

enum image_head {
  IMAGE_HEAD_NONE = 0, /* no head begins there */
  IMAGE_HEAD_WHOLE,    /* *record and *head_bytes are set */
  IMAGE_HEAD_PART,     /* perhaps the beginning of one, which needs more bytes to be checked */
};

/* Reads the head at `data`. The names are borrowed. */
enum image_head image_record_decode(const uint8_t *data, size_t size, uint64_t salt,
                                    struct image_record *record, size_t *head_bytes);

/* Returns the bytes of a record with its padding. */
static inline uint64_t image_record_bytes(size_t head_bytes, uint32_t value_size) {
  return (head_bytes + (uint64_t)value_size + IMAGE_UNIT - 1) & ~(uint64_t)(IMAGE_UNIT - 1);
}

/* Returns the checksum of a value, as in the region: the low half of its XXH3-64, seeded by the
 * digest of its key. */
uint32_t image_value_checksum(const void *value, size_t size, uint64_t digest);

#endif
