/* ring_merge.h - several rings read as if they were one: their hits are promoted and
 * counted in the order in which they were served, as the records tell it (end_ns, a
 * clock that all clients of a machine share).
 *
 * Where many thousands wait to be read, which takes several clients at full speed, the
 * clients' hits alternate by up to 32: which of them came first says little then, and
 * finding out would double the cost of a record.
 *
 * The order within a ring is never changed: its next record alone is compared with the
 * others'. So a client that lies about the time moves its own hits among those of the
 * others, as it might have made them at another time, and changes nothing else.
 * One thread; no loop. */
#ifndef FC_DAEMON_RING_MERGE_H
#define FC_DAEMON_RING_MERGE_H

#include "daemon/rings/client_ring.h"

/* Reads the rings of `list`, which are linked by `also`, none of them bad, up to the heads that
 * were looked at, or until `budget` records are read; adds to the records and hits of `reading`.
 * Lines that the trace has no room for are owed (RING_OWE_LINE), or all is left where it is from
 * there on (RING_LEAVE_IT). A ring may turn out bad; the others are read all the same. */
void ring_merge_read(struct client_ring *list, struct trace *trace,
                     const struct client_clock *clock, enum ring_when_behind how, uint64_t budget,
                     struct ring_reading *reading);

#endif
