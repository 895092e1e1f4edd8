/* ring_layout.h - the layout of a ring: the memory in which a client records the hits that it
 * served from the region. The daemon counts, traces and orders them.
 *
 * A ring belongs to one connection. The client is its writer, the daemon its reader. `head` counts
 * the slots ever written, `tail` those ever read. Slot i is slots[i % n_slots]. The client fills
 * slots, then stores `head` with release order. The daemon loads it with acquire order, and stores
 * `tail` with release order after it has read the slots. One store publishes all slots of a record.
 *
 * The daemon makes, allocates and seals the memory, and does not trust its bytes: it keeps its own
 * tail, loads `head` once, and copies a slot before it checks it. */
#ifndef FC_PROTO_RING_LAYOUT_H
#define FC_PROTO_RING_LAYOUT_H

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/key.h"
#include "proto/limits.h"

#define FC_RING_MAGIC UINT64_C(0x31474e4952434346) /* "FCCRING1", little-endian */
#define FC_RING_SLOT 64u                           /* bytes */
#define FC_RING_SLOTS_MIN 512u
#define FC_RING_SLOTS_MAX 32768u
#define FC_RING_CONTEXTS 16u /* in use at a time */

struct fc_ring_header {
  uint64_t magic;
  uint32_t n_slots; /* a power of two, FC_RING_SLOTS_MIN to FC_RING_SLOTS_MAX */
  uint32_t reserved;
  uint8_t reserved_1[48];
  /* written by the client */
  _Alignas(64) _Atomic uint64_t head;
  _Atomic uint64_t unrecorded; /* hits that the client served and could not record, here or on an
                                  earlier ring. It only rises, and may start above 0 */
  /* written by the daemon */
  _Alignas(64) _Atomic uint64_t tail;
  _Atomic uint32_t state; /* bits of enum fc_ring_state, from version 5 on. The client loads it
                             before it writes a record */
  uint8_t reserved_2[52];
};
static_assert(offsetof(struct fc_ring_header, head) == 64, "two sides, two cache lines");
static_assert(offsetof(struct fc_ring_header, tail) == 128, "two sides, two cache lines");
static_assert(offsetof(struct fc_ring_header, state) == 136, "with the other field of the daemon");
static_assert(sizeof(struct fc_ring_header) == 192, "slots begin on a cache line");

enum fc_ring_state {
  FC_RING_ASLEEP = 1,  /* the client sends a ping after the next record */
  FC_RING_REVOKED = 2, /* the client writes no more records, and requests another ring */
  FC_RING_ENDED = 4,   /* the client writes no more records: the connection has ended */
};

enum fc_ring_kind {
  FC_RING_HIT = 1,     /* one slot: struct fc_ring_hit */
  FC_RING_CONTEXT = 2, /* as many slots as it needs: struct fc_ring_context and the names */
};

#define FC_RING_UNRECORDED                                                                         \
  1u /* flag of a hit: it promotes the entry, and is not counted or traced */

struct fc_ring_hit {
  uint8_t kind;
  uint8_t context; /* below FC_RING_CONTEXTS, and defined before */
  uint16_t flags;
  uint32_t top_k;
  uint64_t digest; /* of the key: fc_key_digest with the namespace's id as its seed */
  uint8_t prompt[FC_HASH_SIZE];
  uint64_t end_ns;     /* CLOCK_MONOTONIC, when the hit was served */
  uint64_t wall_ns;    /* time of the lookup */
  uint64_t compute_ns; /* of the entry in the region */
  uint64_t origin; /* of the entry in the region: the process that put it, and the daemon's hint */
};
static_assert(sizeof(struct fc_ring_hit) == FC_RING_SLOT, "one hit, one slot");

/* Defines the op, view and probe that `index` means in later hits. The names follow without
 * padding, over as many slots as they need. */
struct fc_ring_context {
  uint8_t kind;
  uint8_t index; /* below FC_RING_CONTEXTS */
  uint8_t op_size, view_size;
  uint8_t probe_size; /* 0: no probe */
  uint8_t reserved[3];
};
static_assert(sizeof(struct fc_ring_context) == 8, "the names begin at byte 8");
#define FC_RING_CONTEXT_BYTES_MAX (8u + 3u * FC_NAME_MAX)

#define FC_RING_RECORD_SLOTS_MAX 14u /* published at once: a context and its hit */
static_assert(FC_RING_RECORD_SLOTS_MAX ==
                  (FC_RING_CONTEXT_BYTES_MAX + FC_RING_SLOT - 1) / FC_RING_SLOT + 1,
              "the longest context, and a hit");

/* Returns the slots of a context with `names_size` bytes of names. */
static inline uint32_t fc_ring_context_slots(uint32_t names_size) {
  return (8u + names_size + FC_RING_SLOT - 1) / FC_RING_SLOT;
}

/* Returns the size of the whole mapping in bytes. */
static inline uint64_t fc_ring_bytes(uint32_t n_slots) {
  return sizeof(struct fc_ring_header) + (uint64_t)n_slots * FC_RING_SLOT;
}

#endif
