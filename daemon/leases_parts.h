/* leases_parts.h - what the files of the lease table share: leases.c has the rules, leases_table.c
 * keeps the leases and finds them, leases_waits.c keeps the waits and what of them is due,
 * leases_circles.c knows which processes wait for which. Nobody else's business. */
#ifndef FC_DAEMON_LEASES_PARTS_H
#define FC_DAEMON_LEASES_PARTS_H

#include "daemon/leases.h"

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
void lease_release(struct lease *lease);

/* ---- leases_waits.c ---- */

/* The holder waits for the lease from now on. False: out of memory, or its process waits for too
 * many others. */
bool leases_wait(struct leases *leases, struct lease_holder *holder, struct lease *lease,
                 const struct lease_request *request, uint64_t term_ns, uint64_t now_ns,
                 uint64_t until_ns);

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

/* The wait counts for its process's edge to the process of the lease's owner. False: out of memory,
 * or there are too many edges. */
bool leases_edge_add(struct lease_wait *wait);

/* It counts no more, if it did. */
void leases_edge_remove(struct lease_wait *wait);

/* Finds the processes that `start` waits for, directly or through others. */
void leases_search(struct leases *leases, struct lease_process *start);

/* Did the latest search, which began at `start`, find the process? Then a wait of that process for
 * `start` closes a circle. True where the search was too long to tell. */
bool leases_found(const struct leases *leases, const struct lease_process *process,
                  const struct lease_process *start);

#endif
