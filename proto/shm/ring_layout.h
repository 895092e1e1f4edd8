/* ring_layout.h - the layout of a ring: the memory in which a client records the hits that
 * it served itself from the region, for the daemon to count, trace and order.
 *
 * A ring belongs to one connection: one writer (the client), one reader (the
 * daemon). `head` counts the slots ever written, `tail` those ever read; slot i
 * stands at slots[i % n_slots]. The client fills slots, then stores `head` with
 * release order; the daemon loads it with acquire order, and stores `tail` with
 * release order when it is done with the slots. A record that takes several slots
 * is published whole.
 *
 * The daemon makes, allocates and seals the memory; it trusts nothing in it: it
 * keeps its own tail, loads head once, and copies a slot before it looks at it. */
#ifndef FC_PROTO_RING_H
#define FC_PROTO_RING_H

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
#define FC_RING_CONTEXTS 16u /* that may be in use at a time */

struct fc_ring_header {
  uint64_t magic;
  uint32_t n_slots; /* a power of two, FC_RING_SLOTS_MIN to FC_RING_SLOTS_MAX */
  uint32_t reserved;
  uint8_t reserved_1[48];
  /* written by the client */
  _Alignas(64) _Atomic uint64_t head;
  _Atomic uint64_t unrecorded; /* hits that this client served and could not record, here or before
                                  on another ring: rises, may start above 0 */
  /* written by the daemon */
  _Alignas(64) _Atomic uint64_t tail;
  _Atomic uint32_t state; /* FC_RING_* bits of enum fc_ring_state: of a client that speaks version
                             5 or later alone, which looks at it before it writes a record */
  uint8_t reserved_2[52];
};
static_assert(offsetof(struct fc_ring_header, head) == 64, "two sides, two cache lines");
static_assert(offsetof(struct fc_ring_header, tail) == 128, "two sides, two cache lines");
static_assert(offsetof(struct fc_ring_header, state) == 136,
              "in the line of what the daemon writes");
static_assert(sizeof(struct fc_ring_header) == 192, "slots begin on a cache line");

enum fc_ring_state {
  FC_RING_ASLEEP = 1,  /* the daemon looks at this ring seldom: a ping follows the next record */
  FC_RING_REVOKED = 2, /* no record is to be written any more: the client asks for another ring */
  FC_RING_ENDED = 4,   /* likewise, because the connection has ended */
};

enum fc_ring_kind {
  FC_RING_HIT = 1,     /* one slot: struct fc_ring_hit */
  FC_RING_CONTEXT = 2, /* as many slots as it needs: struct fc_ring_context and the names */
};

#define FC_RING_UNRECORDED                                                                         \
  1u /* flag of a hit: promotes the entry, and is not counted or traced                            \
      */

struct fc_ring_hit {
  uint8_t kind;
  uint8_t context; /* below FC_RING_CONTEXTS, and defined before */
  uint16_t flags;
  uint32_t top_k;
  uint64_t digest; /* of the key: fc_key_digest with the namespace's id as its seed */
  uint8_t prompt[FC_HASH_SIZE];
  uint64_t end_ns;     /* CLOCK_MONOTONIC, when the hit was served */
  uint64_t wall_ns;    /* how long that took */
  uint64_t compute_ns; /* of the entry, as the client saw it */
  uint64_t origin;     /* of the entry likewise, whole: who put it, and a hint by which the daemon
                          finds it, as it is in the region */
};
static_assert(sizeof(struct fc_ring_hit) == FC_RING_SLOT, "one hit, one slot");

/* From here on `index` stands for this op, view and probe. The names follow behind one another,
 * without padding, over as many slots as they need. */
struct fc_ring_context {
  uint8_t kind;
  uint8_t index; /* below FC_RING_CONTEXTS */
  uint8_t op_size, view_size;
  uint8_t probe_size; /* 0: no probe */
  uint8_t reserved[3];
};
static_assert(sizeof(struct fc_ring_context) == 8, "the names begin at byte 8");
#define FC_RING_CONTEXT_BYTES_MAX (8u + 3u * FC_NAME_MAX)

#define FC_RING_RECORD_SLOTS_MAX 14u /* that are published at once: a context and its hit */
static_assert(FC_RING_RECORD_SLOTS_MAX ==
                  (FC_RING_CONTEXT_BYTES_MAX + FC_RING_SLOT - 1) / FC_RING_SLOT + 1,
              "the longest context, and a hit");

/* Slots that a context with so many bytes of names takes. */
static inline uint32_t fc_ring_context_slots(uint32_t names_size) {
  return (8u + names_size + FC_RING_SLOT - 1) / FC_RING_SLOT;
}

/* Of the whole mapping, in bytes. */
static inline uint64_t fc_ring_bytes(uint32_t n_slots) {
  return sizeof(struct fc_ring_header) + (uint64_t)n_slots * FC_RING_SLOT;
}

#endif
