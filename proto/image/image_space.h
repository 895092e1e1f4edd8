/* image_space.h - a namespace in an image's preamble (IMAGE_SPACE), and a list of clears
 * (IMAGE_CLEARS). docs/image.md shows the bytes. All functions are pure, and accept any bytes. */
#ifndef FC_PROTO_IMAGE_SPACE_H
#define FC_PROTO_IMAGE_SPACE_H

#include "proto/image/image_preamble.h"

#define IMAGE_CLEARS_MAX 16u                            /* that a reader keeps: the newest */
#define IMAGE_SPACE_BYTES_MAX (1304u + FC_MANIFEST_MAX) /* of a namespace in a preamble */

/* A clear, by the hashes of its names. */
struct image_clear {
  uint64_t generation;
  bool any_view, any_op;
  struct fc_hash view, op; /* zero if any */
};
struct image_clears {
  uint64_t floor, newest; /* generations, see clear_log.h */
  uint32_t n;
  struct image_clear clears[IMAGE_CLEARS_MAX]; /* oldest first */
};

/* Numbers of a namespace, by their place. A newer version adds numbers at the end. */
enum image_space_number {
  IMAGE_SPACE_ID, /* the seed of its digests; not 0 */
  IMAGE_SPACE_SERIAL,
  IMAGE_SPACE_MAX_ENTRIES, /* 0: no limit, as the next */
  IMAGE_SPACE_MAX_BYTES,
  IMAGE_SPACE_LAST_USE_NS,
  IMAGE_SPACE_LEASE_NS,
  IMAGE_SPACE_RELEASED,                             /* order in which the last clients left */
  IMAGE_SPACE_FLAGS,                                /* enum image_space_flag */
  IMAGE_SPACE_OWNER,                                /* uid */
  IMAGE_SPACE_EVICTIONS,                            /* of 5 causes, see enum evict_cause */
  IMAGE_SPACE_COUNTERS = IMAGE_SPACE_EVICTIONS + 5, /* in the order of struct counters */
  IMAGE_SPACE_NUMBERS = IMAGE_SPACE_COUNTERS + 14,
};
enum image_space_flag { IMAGE_SPACE_CLAIMED = 1, IMAGE_SPACE_HAS_OWNER = 2 };

struct image_space {
  struct fc_str name;     /* borrowed when it was read, as the next; a valid name */
  struct fc_str manifest; /* without data: none */
  uint64_t numbers[IMAGE_SPACE_NUMBERS];
  struct image_clears clears;
};

/* Adds an item to a preamble. */
void image_space_encode(struct fc_buf *buf, const struct image_space *space);
void image_clears_encode(struct fc_buf *buf, const struct image_clears *clears);

/* Read an item of that tag. Return false if it is none. */
bool image_space_decode(const struct image_item *item, struct image_space *space);
bool image_clears_decode(const struct image_item *item, struct image_clears *clears);

#endif
