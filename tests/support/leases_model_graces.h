/* leases_model_graces.h - how long a wait of the model lasts: which processes depend on each other,
 * and the grace of a wait that closes a cycle, or that waits for the remote client. */
#ifndef FC_TESTS_LEASES_MODEL_GRACES_H
#define FC_TESTS_LEASES_MODEL_GRACES_H

#include "tests/support/leases_model.h"

static inline uint64_t model_sum(uint64_t a, uint64_t b) {
  return a + b < a ? UINT64_MAX : a + b;
}

static inline uint64_t model_least(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

/* Which waits are edges: all, or those that closed no cycle. */
enum model_edges { ALL_WAITS, LONG_WAITS };

/* Returns whether a client of process `from` waits for a lease of process `to`. */
bool leases_model_waits_for(const struct leases_model *model, enum model_edges edges, uint32_t from,
                            uint32_t to);
/* Returns whether process `from` waits for process `to`, or `to` is its helper. */
bool leases_model_depends(const struct leases_model *model, enum model_edges edges, uint32_t from,
                          uint32_t to);
/* Returns whether an edge from `from` to `to` closes a cycle of processes. */
bool leases_model_closes_cycle(const struct leases_model *model, enum model_edges edges,
                               uint32_t from, uint32_t to);

/* Returns whether `process` is a helper of `of`, directly or through others. */
bool leases_model_helps(const struct leases_model *model, uint32_t process, uint32_t of);

/* The client is about to own one lease more. */
void leases_model_begin_to_hold(struct leases_model *model, uint32_t client, uint64_t now_ns);

/* The lease of the key ends with a put: graces are as long as computations take. */
void leases_model_record_duration(struct leases_model *model, uint32_t key, uint64_t now_ns);

/* The wait begins, or its lease has a new owner: sets when it ends. */
void leases_model_set_grace(struct leases_model *model, struct model_wait *wait, uint64_t now_ns);

/* The end of the wait has come. Returns true if it has a later one now. */
bool leases_model_renews_wait(struct leases_model *model, struct model_wait *wait, uint64_t now_ns);

#endif
