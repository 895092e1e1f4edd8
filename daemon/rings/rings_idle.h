/* rings_idle.h - rings without news: they leave the list that evictions and requests look
 * through, and those that had grown give their memory back.
 *
 * A client that speaks version 5 or later is shown what becomes of its ring by the state in
 * the ring's header, and looks at that before it writes a record.
 *
 * Asleep: where more than RINGS_AWAKE are awake, a new ring, and one after SLEEP_NS without
 * news. The client's next hit is followed by a ping, and that request wakes the ring
 * (rings_drain). So the hit counts as one that was a message, and the order is exact. The ring
 * leaves the list one look after the client was shown it.
 *
 * Revoked: a ring that had grown, after REVOKE_NS without news; after SLEEP_NS where a client
 * was refused a ring or a larger one. The client's next hit asks for another ring. The memory
 * of the slots goes back to the system one look after the client was shown it.
 *
 * The rings of other clients never grow, and fall asleep only where more than RINGS_TOGETHER are
 * awake. Their first hits then come into the order at the next look.
 *
 * What a client does that has looked at the state before it changed and is stopped (SIGSTOP, or no
 * CPU) before its record is published: see rings_idle.c. No record is lost.
 * One thread; no loop. */
#ifndef FC_DAEMON_RINGS_IDLE_H
#define FC_DAEMON_RINGS_IDLE_H

#include "daemon/rings/rings.h"

/* For each sweep: wakes what has news, then looks for idle rings, unless that was done a moment
 * ago. `now_ns` is CLOCK_MONOTONIC. */
void rings_idle_look(struct rings *rings, uint64_t now_ns);

/* A new ring, which is counted and in no list: into that where it belongs. */
void rings_begin(struct rings *rings, struct client_ring *client);

/* Back into the list of those that are looked at, before it is read. Idempotent. */
void rings_wake(struct rings *rings, struct client_ring *client);
/* The same for all that have news. */
void rings_wake_all(struct rings *rings);

#endif
