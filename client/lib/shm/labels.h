/* labels.h - the names that a handle uses again and again: op, view and probe together,
 * found by their content, with the first half of their keys' digests.
 *
 * As many as a ring can have at a time; a new one takes the place of the one that was
 * made longest ago. Private memory, no I/O. One thread. */
#ifndef FC_CLIENT_CONTEXT_H
#define FC_CLIENT_CONTEXT_H

#include <stdbool.h>

#include "proto/key.h"
#include "proto/limits.h"
#include "proto/shm/ring_layout.h"

struct context {
  uint64_t serial; /* another for other names, never 0 once it is used */
  uint64_t digest; /* fc_key_digest_names */
  uint8_t op_size, view_size, probe_size;
  uint8_t index;                  /* its place in the table, and in a ring */
  uint8_t names[3 * FC_NAME_MAX]; /* op, view and probe behind one another */
};

/* Zero to start. */
struct contexts {
  uint64_t seed;    /* of the digests: the namespace's id */
  uint64_t serials; /* given out */
  uint8_t latest;   /* index that was found last */
  struct context list[FC_RING_CONTEXTS];
};

/* The context of valid names (as fc_name_valid says, the probe may be none); makes it where it is
 * new. Valid until the next call. */
const struct context *context_find(struct contexts *contexts, const struct fc_key *key,
                                   struct fc_str probe);

/* Digests are made with this seed from now on: nothing that was known holds. */
void context_reseed(struct contexts *contexts, uint64_t seed);

static inline uint32_t context_names_size(const struct context *context) {
  return (uint32_t)context->op_size + context->view_size + context->probe_size;
}

#endif
