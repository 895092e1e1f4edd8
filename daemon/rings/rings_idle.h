/* rings_idle.h - the lists of awake and asleep rings: rings without news leave the list that
 * requests and evictions walk, and rings that had grown give their memory back.
 *
 * A client that speaks protocol version 5 or later reads the state in its ring's header before it
 * writes a record. It is shown a state at one look for idle rings, and the daemon acts at the next.
 *
 * Asleep: a new ring where more than RINGS_AWAKE are awake, and one after a second without news.
 * Only the timer looks at it. After its next hit the client sends a ping, and that request wakes
 * the ring (rings_drain). So the hit counts like one that was a message, and the order stays exact.
 *
 * Revoked: a ring that had grown, after 5 seconds without news, or after one if a client was
 * refused a ring or a larger one. The memory of its slots goes back to the system. The client asks
 * for another ring at its next hit.
 *
 * Rings of older clients never grow, and fall asleep only where more than RINGS_TOGETHER are awake.
 * Their first hits after that come into the order at the next look. One thread. */
#ifndef FC_DAEMON_RINGS_IDLE_H
#define FC_DAEMON_RINGS_IDLE_H

#include "daemon/rings/rings.h"

/* Wakes asleep rings with news, then looks for idle rings, unless the last look was less than 80 ms
 * ago. `now_ns` is CLOCK_MONOTONIC. */
void rings_idle_look(struct rings *rings, uint64_t now_ns);

/* Lists a ring that is counted in rings->n and in no list: as awake, or where it belongs. */
void rings_add_awake(struct rings *rings, struct client_ring *client);
void rings_add(struct rings *rings, struct client_ring *client);
void rings_remove_awake(struct rings *rings, struct client_ring *client);

/* Makes the ring awake, and shows that to its client. Idempotent. */
void rings_wake(struct rings *rings, struct client_ring *client);
/* The same for all rings that have news. */
void rings_wake_all(struct rings *rings);

#endif
