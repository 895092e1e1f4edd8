/* region_layout.h - the layout of the region: the memory that the daemon writes and its clients
 * read. docs/region.md explains it byte by byte, with the steps of the readers and the writer. A
 * changed layout needs another FC_REGION_LAYOUT.
 *
 * The region has offsets from its own start, and no pointers. Numbers are in the byte order of the
 * machine. A field that two processes may touch at the same time is atomic, and each access has an
 * explicit order. A reader does not trust the bytes: it loads each offset and size once, then
 * checks it.
 *
 *   header   one page
 *   buckets  n_buckets of them: by the key's digest
 *   arena    blocks, each at a multiple of FC_REGION_UNIT: entries, and pieces of
 *            values
 *
 * It is made of several memory files, which a process maps side by side into one range of
 * addresses: the index, which is the header and the buckets, and n_segments segments, which are the
 * arena. So the memory of a region can be given back in parts. */
#ifndef FC_PROTO_REGION_LAYOUT_H
#define FC_PROTO_REGION_LAYOUT_H

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/limits.h"

#define FC_REGION_MAGIC UINT64_C(0x314e4f4947455246) /* "FREGION1", little-endian */
#define FC_REGION_LAYOUT 2u
#define FC_REGION_PAGE 4096u
#define FC_REGION_UNIT 16u        /* blocks begin at its multiples */
#define FC_REGION_PIECES_MAX 16u  /* of one value */
#define FC_REGION_CHAIN_MAX 1024u /* entries of a bucket that a reader looks at */
#define FC_REGION_SEGMENTS_MAX 64u
#define FC_REGION_SEGMENT_UNIT 65536u /* of arena_offset and segment_bytes: every page size */
#define FC_REGION_FDS_MAX (1u + FC_REGION_SEGMENTS_MAX) /* the index, then the segments */
#define FC_REGION_PASSED_MAX (FC_REGION_FDS_MAX + 1u)   /* and the ring, beside one message */

/* Values of `retired`: the daemon ends, or it serves from another region, which it hands out. */
#define FC_REGION_ENDED 1u
#define FC_REGION_REPLACED 2u

struct fc_region_header {
  /* constant for clients */
  uint64_t magic;
  uint32_t layout;
  uint32_t max_value; /* largest value, bytes */
  uint64_t size;      /* of the region, bytes */
  uint64_t boot_id;
  uint64_t buckets_offset, n_buckets; /* n_buckets is below 2^32 */
  uint64_t arena_offset, arena_size;
  uint64_t segment_bytes; /* of each segment except the last, which has the rest of the arena */
  uint32_t n_segments;

  /* The latest calibration of the processor's time stamp counter: see tsc_clock.h. All zero: none.
   * The daemon writes it again while it has clients, so these words are atomic. */
  _Atomic uint32_t clock_sequence; /* a seqlock over the others: odd while the daemon writes them */
  _Atomic uint64_t clock_ticks, clock_ns; /* counter and CLOCK_MONOTONIC at one moment */
  _Atomic uint64_t clock_factor; /* nanoseconds of 2^32 ticks. 0: no calibration is valid */
  uint8_t reserved_1[24];

  /* 0, then one of FC_REGION_ENDED and FC_REGION_REPLACED: the region serves no more hits. */
  _Alignas(64) _Atomic uint32_t retired;
  /* The futex word of a robust mutex that the daemon's main thread always holds. It is that
   * thread's id while it lives. When it ends, the kernel sets FUTEX_OWNER_DIED and clears the id.
   * The rest of the mutex follows. */
  _Alignas(64) _Atomic uint32_t owner;
  uint8_t mutex_rest[60];
};
static_assert(offsetof(struct fc_region_header, segment_bytes) == 64, "layout 2");
static_assert(offsetof(struct fc_region_header, n_segments) == 72, "layout 2");
static_assert(offsetof(struct fc_region_header, clock_sequence) == 76, "layout 2");
static_assert(offsetof(struct fc_region_header, clock_ticks) == 80, "layout 2");
static_assert(offsetof(struct fc_region_header, retired) == 128, "layout 2");
static_assert(offsetof(struct fc_region_header, owner) == 192, "layout 2");
static_assert(sizeof(struct fc_region_header) == 256, "layout 2");
static_assert(sizeof(_Atomic uint32_t) == 4 && sizeof(_Atomic uint64_t) == 8, "plain words");
static_assert(ATOMIC_INT_LOCK_FREE == 2 && ATOMIC_LLONG_LOCK_FREE == 2, "shared without a lock");

#define FC_REGION_TID_MASK 0x3fffffffu /* FUTEX_TID_MASK: of `owner` */

/* A seqlock over the chain of entries, their content included. */
struct fc_region_bucket {
  _Atomic uint64_t sequence; /* odd while the writer changes the chain; never reset */
  _Atomic uint64_t first;    /* offset of an entry; 0: none */
};
static_assert(sizeof(struct fc_region_bucket) == 16, "layout 2");

/* The head of an entry's first block. The op and the view follow, then zeros to a multiple of 8
 * bytes, and then the value. If n_pieces > 0, so many fc_region_piece follow instead of the value,
 * which is their bytes in order. */
struct fc_region_entry {
  _Atomic uint64_t next;       /* in the bucket's chain: offset of an entry; 0: none */
  _Atomic uint64_t name_space; /* the namespace's id: its digests' seed, never used twice */
  _Atomic uint64_t prompt[2];  /* the 16 bytes of the hash */
  _Atomic uint64_t numbers;    /* top_k, and from bit 32 on the value's size */
  _Atomic uint64_t shape;      /* bits 0-7 op's size, 8-15 view's size, 16-31 n_pieces, 32-63
                                  checksum: low half of the value's XXH3-64 seeded by the key's
                                  digest */
  _Atomic uint64_t compute_ns;
  _Atomic uint64_t origin; /* low 32 bits of the number of the process that put it, which is the id
                              of that process's first client. The upper half is the daemon's */
};
static_assert(sizeof(struct fc_region_entry) == 64, "layout 2");

struct fc_region_piece {
  _Atomic uint64_t offset;
  _Atomic uint64_t extent; /* low 32 bits: its bytes, a multiple of FC_REGION_UNIT except in the
                              last piece. The upper half is the daemon's */
};
static_assert(sizeof(struct fc_region_piece) == 16, "layout 2");

static inline uint32_t fc_region_op_size(uint64_t shape) {
  return (uint32_t)(shape & 0xff);
}
static inline uint32_t fc_region_view_size(uint64_t shape) {
  return (uint32_t)(shape >> 8 & 0xff);
}
static inline uint32_t fc_region_n_pieces(uint64_t shape) {
  return (uint32_t)(shape >> 16 & 0xffff);
}
static inline uint32_t fc_region_checksum_of(uint64_t shape) {
  return (uint32_t)(shape >> 32);
}
static inline uint64_t fc_region_shape(uint32_t op_size, uint32_t view_size, uint32_t n_pieces,
                                       uint32_t checksum) {
  return (uint64_t)checksum << 32 | n_pieces << 16 | view_size << 8 | op_size;
}

/* Returns the bytes of a segment, which is one of the header's n_segments. */
static inline uint64_t fc_region_segment_size(uint64_t arena_size, uint64_t segment_bytes,
                                              uint32_t segment) {
  uint64_t left = arena_size - segment * segment_bytes;
  return left < segment_bytes ? left : segment_bytes;
}

/* Returns the bytes of the names with their padding. */
static inline uint32_t fc_region_names_bytes(uint32_t op_size, uint32_t view_size) {
  return (op_size + view_size + 7u) & ~7u;
}

/* Returns the bucket of a digest: its upper half, spread over the buckets. */
static inline uint64_t fc_region_bucket_of(uint64_t digest, uint64_t n_buckets) {
  return (digest >> 32) * n_buckets >> 32;
}

#endif
