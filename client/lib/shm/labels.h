/* labels.h - sets of the names that a handle uses repeatedly: op, view and probe.
 *
 * A set holds the first half of its keys' digests, and an index under which the ring's records
 * refer to it. The table has as many sets as a ring. A new set replaces the one that was made
 * first. Private memory, no I/O. One thread. */
#ifndef FC_CLIENT_LABELS_H
#define FC_CLIENT_LABELS_H

#include <stdbool.h>

#include "client/lib/shm/region_reader.h"
#include "proto/key.h"
#include "proto/limits.h"
#include "proto/shm/ring_layout.h"

struct labels {
  uint64_t serial; /* differs for different names; never 0 in a used set */
  uint64_t digest; /* fc_key_digest_names */
  uint8_t op_size, view_size, probe_size;
  uint8_t index;                     /* in the table, and in the ring */
  uint8_t names[REGION_NAMES_BYTES]; /* op and view: see region_key */
  uint8_t probe[FC_NAME_MAX];
};

/* Zero to start. */
struct labels_table {
  uint64_t seed;        /* of the digests: the namespace's id */
  uint64_t last_serial; /* the one that was assigned last */
  uint8_t latest;       /* index of the set that was found last */
  struct labels list[FC_RING_CONTEXTS];
};

/* Returns the set of the key's names and `probe`, and makes it if it is new. The names must be
 * valid (fc_name_valid); `probe` may be empty. The result is valid until the next call. */
const struct labels *labels_find(struct labels_table *table, const struct fc_key *key,
                                 struct fc_str probe);

/* Drops all sets, and makes digests with this seed from now on. */
void labels_reseed(struct labels_table *table, uint64_t seed);

/* Returns the key with these names. Valid as long as the labels. */
static inline struct region_key labels_key(const struct labels *labels, uint64_t name_space,
                                           const struct fc_hash *prompt, uint32_t top_k) {
  uint64_t digest = fc_key_digest_finish(labels->digest, prompt, top_k);
  return region_key_of(digest, name_space, prompt, top_k, labels->names, labels->op_size,
                       labels->view_size);
}

/* Returns the bytes of all three names. */
static inline uint32_t labels_names_size(const struct labels *labels) {
  return (uint32_t)labels->op_size + labels->view_size + labels->probe_size;
}

#endif
