/* ring_merge.h - reads several rings as one: promotes and counts their hits in the order in which
 * they were served. The records have that time (end_ns), of a clock that all processes share.
 *
 * The order is exact up to 4,096 unread slots. With more, several clients run at full speed, and
 * up to 32 hits of one client are applied together: comparing each hit would double the cost of a
 * record.
 *
 * The order within a ring never changes: only its next record is compared with those of the other
 * rings. So a client that lies about the time moves only its own hits among those of others, to
 * places where it could have made them. One thread. */
#ifndef FC_DAEMON_RING_MERGE_H
#define FC_DAEMON_RING_MERGE_H

#include "daemon/rings/client_ring.h"

/* What to do with a hit while the trace is behind (trace_is_behind). */
enum trace_backpressure {
  TRACE_LEAVE_RECORD, /* leave the record in its ring, not counted */
  TRACE_WRITE_NOW,    /* count the hit and write its line; a full trace loses and counts the line */
};

/* Reads the rings of `list`, linked by next_in_batch and without errors, up to their loaded heads,
 * until about `budget` records are read, or with TRACE_LEAVE_RECORD until the trace is behind. Adds
 * to `reading`. A malformed record sets the error of its ring; the others are read on. */
void ring_merge_read(struct client_ring *list, struct trace *trace,
                     const struct client_clock *clock, enum trace_backpressure backpressure,
                     uint64_t budget, struct ring_reading *reading);

#endif
