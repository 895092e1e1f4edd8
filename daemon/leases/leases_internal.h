/* leases_internal.h - shared by the files of the lease table: leases.c has the rules,
 * leases_table.c finds the leases, leases_waits.c keeps the waits and the queue of due ones,
 * leases_deadlock.c has the wait-for graph and the grace of waits that close a cycle,
 * leases_adopted.c keeps leases over a restart of the daemon. */
#ifndef FC_DAEMON_LEASES_INTERNAL_H
#define FC_DAEMON_LEASES_INTERNAL_H

#include "daemon/leases/leases.h"

/* ---- leases.c ---- */

/* Ends a lease and all its waits. */
void leases_end(struct leases *leases, struct lease *lease, enum lease_end wait_end,
                uint64_t now_ns);

/* The lease has a new owner, so its waits become waits for another process: sets their edges and
 * graces, and ends those of helpers of the owner. */
void leases_wait_for_new_owner(struct leases *leases, struct lease *lease, uint64_t now_ns);

/* ---- leases_table.c ---- */

/* Makes a lease of the request's key, which has none. It can be found from now on and has no owner
 * yet. All other leases have one. Returns NULL if memory is out. */
struct lease *leases_make(struct leases *leases, const struct lease_request *request,
                          uint64_t end_ns);

/* Gives a lease without an owner to the client, with a new serial: the last of all leases, and of
 * the client's. */
void leases_own(struct leases *leases, struct lease *lease, struct lease_client *client,
                uint64_t now_ns);

/* Makes the lease one without an owner. */
void leases_disown(struct leases *leases, struct lease *lease);

/* Removes a lease that has neither owner nor waits: its key is free. Due waits may keep its memory.
 */
void leases_drop(struct leases *leases, struct lease *lease);

/* Drops one reference. The last one frees the lease. */
void leases_release(struct leases *leases, struct lease *lease);

/* Allocates and frees memory that leases->bytes counts. Returns NULL if memory is out, or beyond
 * the bound. */
void *leases_alloc(struct leases *leases, size_t bytes);
void leases_free(struct leases *leases, void *memory, size_t bytes);

/* ---- leases_waits.c ---- */

/* Begins a wait of the client for the lease, without an edge. Returns NULL if memory is out. */
struct lease_wait *leases_wait(struct leases *leases, struct lease_client *waiter,
                               struct lease *lease, const struct lease_request *request,
                               uint64_t term_ns, uint64_t now_ns, uint64_t until_ns);

/* Makes the wait due: it is its client's last due wait, and the client is queued. */
void leases_end_wait(struct leases *leases, struct lease_wait *wait, enum lease_end end,
                     uint64_t now_ns);

/* End all waits for a lease, or of a client, in the order of their requests. */
void leases_end_waits_for(struct leases *leases, struct lease *lease, enum lease_end end,
                          uint64_t now_ns);
void leases_end_waits_of(struct leases *leases, struct lease_client *client, enum lease_end end,
                         uint64_t now_ns);

/* Frees the client's due waits, and removes it from the queue. */
void leases_forget_due(struct leases *leases, struct lease_client *client);

/* ---- leases_adopted.c ---- */

/* Ends the client's leases and keeps their records, after leases_stop. */
void leases_leave_records(struct leases *leases, struct lease_client *client, uint64_t now_ns);

/* Returns whether the client has told its handle. */
bool leases_has_handle(const struct lease_client *client);

/* Returns whether `owner` is an absent one of the client's process that cannot connect again. */
bool leases_is_left_behind(const struct lease_client *owner, const struct lease_client *client);

/* Gives the client a lease of its own process, with the rest of its term. Returns LEASE_GRANTED, or
 * LEASE_NONE if the client holds too many. */
enum lease_answer leases_take_over(struct leases *leases, struct lease *lease,
                                   struct lease_client *client, uint64_t now_ns);

/* ---- leases_deadlock.c ---- */

#define LEASES_EDGE_BYTES 64u /* of an edge, which a wait may need */

/* Counts the wait in the edge from its process to the process of the lease's owner. Without memory,
 * or beyond the bound on edges, the wait has no edge. */
void leases_edge_add(struct lease_wait *wait);

/* Undoes that. Idempotent. */
void leases_edge_remove(struct lease_wait *wait);

/* Returns whether `process` was created for a computation of `of`, directly or through other
 * helpers. Returns false where the chain between them is too long to be searched. */
bool leases_is_helper(const struct lease_process *process, const struct lease_process *of);

/* Finds the processes that `start` (may be NULL) waits for, directly or through others. */
void leases_search(struct leases *leases, struct lease_process *start);

/* Sets when a wait ends that begins, or whose lease has a new owner: at the requested time, or when
 * its grace ends if it closes a cycle, or may be part of one through other nodes. The latest search
 * was from the owner's process. */
void leases_set_grace(struct leases *leases, struct lease_wait *wait, uint64_t now_ns);

/* Ends a wait whose `until` has passed, or extends it to the requested time if only its grace is
 * over and its cycle is gone. A wait for another node gets its next grace instead. Subtracts the
 * steps of its search from *steps. With none left, it does not search and assumes that the cycle
 * exists. */
void leases_wait_over(struct leases *leases, struct lease_wait *wait, uint32_t *steps,
                      uint64_t now_ns);

/* Records how long a lease took that a put ends, while it has its owner. */
void leases_record_duration(const struct lease *lease, uint64_t now_ns);

#endif
