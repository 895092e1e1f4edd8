/* leases_internal.h - what the files of the lease table share: leases.c has the rules,
 * leases_table.c keeps the leases and finds them, leases_waits.c keeps the waits and what of them
 * is due, leases_circles.c knows which processes wait for which, leases_grace.c how long a wait in
 * a circle may last. Nobody else's business. */
#ifndef FC_DAEMON_LEASES_PARTS_H
#define FC_DAEMON_LEASES_PARTS_H

#include "daemon/leases/leases.h"

/* ---- leases_table.c ---- */

/* The key's lease, or NULL. */
struct lease *leases_find(const struct leases *leases, const struct namespace *ns, uint64_t digest,
                          const struct fc_key *key);

/* A new lease of the request's key, which has none: it is found from now on, and nobody's yet.
 * Every other lease is owned. NULL: out of memory. */
struct lease *leases_make(struct leases *leases, const struct lease_request *request,
                          uint64_t end_ns);

/* Nobody's becomes the holder's, with a new serial: the last of all, and of what the holder has. */
void leases_own(struct leases *leases, struct lease *lease, struct lease_holder *holder,
                uint64_t now_ns);

/* Nobody's any more. */
void leases_disown(struct leases *leases, struct lease *lease);

/* Nobody's, for which nobody waits, is found no more; it lives on for the due waits of its key. */
void leases_drop(struct leases *leases, struct lease *lease);

/* One who looks at it less. It may be gone after. */
void leases_release(struct leases *leases, struct lease *lease);

/* Allocates and frees what counts in leases->bytes. NULL: out of memory, or past the bound. */
void *leases_alloc(struct leases *leases, size_t bytes);
void leases_free(struct leases *leases, void *what, size_t bytes);

/* ---- leases_waits.c ---- */

/* Begins a wait of the holder for the lease, without an edge. Returns NULL if memory is out. */
struct lease_wait *leases_wait(struct leases *leases, struct lease_holder *holder,
                               struct lease *lease, const struct lease_request *request,
                               uint64_t term_ns, uint64_t now_ns, uint64_t until_ns);

/* The wait becomes due: its holder's last, and the holder is queued. */
void leases_end_wait(struct leases *leases, struct lease_wait *wait, enum lease_end end,
                     uint64_t now_ns);

/* All waits for a lease, or of a holder, in the order of their asking. */
void leases_end_waits_for(struct leases *leases, struct lease *lease, enum lease_end end,
                          uint64_t now_ns);
void leases_end_waits_of(struct leases *leases, struct lease_holder *holder, enum lease_end end,
                         uint64_t now_ns);

/* Nothing of the holder's is due, and it is in no queue. */
void leases_forget_due(struct leases *leases, struct lease_holder *holder);

/* ---- leases_circles.c ---- */

#define LEASES_EDGE_BYTES 64u /* of an edge, which a wait may need */

/* Counts the wait for its process's edge to the process of the lease's owner. Without memory, and
 * past the bound on edges, the wait has none. */
void leases_edge_add(struct lease_wait *wait);

/* It counts no more, if it did. */
void leases_edge_remove(struct lease_wait *wait);

/* Returns whether `process` was created for a computation of `of`, directly or through other
 * helpers. False where the way between them is too long to be searched. */
bool leases_is_helper(const struct lease_process *process, const struct lease_process *of);

/* Finds the processes that `start` waits for, directly or through others; it may be NULL. */
void leases_search(struct leases *leases, struct lease_process *start);

/* After a search from the process of the owner of the lease that it waits for: returns whether the
 * wait closes a circle. True too where a bound kept the search from the answer, or the wait from an
 * edge. */
bool leases_closes_circle(const struct leases *leases, const struct lease_wait *wait);

/* Adds the time since then to the delays of the processes that the latest search found from `start`
 * on, and none of it twice. */
void leases_add_delay(const struct leases *leases, struct lease_process *start, uint64_t since_ns,
                      uint64_t now_ns);

/* ---- leases_grace.c ---- */

/* Sets the time of a wait that begins, or whose lease has a new owner: what was asked for, and a
 * grace at most if it closes a circle. */
void leases_set_grace(struct leases *leases, struct lease_wait *wait, bool closes_circle,
                      uint64_t now_ns);

/* Learns from a lease that a put ends, while it has its owner still. */
void leases_learn(const struct lease *lease, uint64_t now_ns);

/* The time of the wait has come. Ends it, or lets it go on if it had a grace only, and its circle
 * is gone. Takes what it searches from `steps`; with none left, it takes the circle for granted. */
void leases_wait_over(struct leases *leases, struct lease_wait *wait, uint32_t *steps,
                      uint64_t now_ns);

#endif
