/* event_stream.h - the events of a daemon, for fcachectl watch. As admin.h: each call returns 0 or
 * a negative code, FC_EVERSION if the daemon is too old, and admin_error() has the text. After
 * FC_EUNAVAILABLE, call admin_reconnect and event_stream_begin again: the events in between are not
 * known. One thread. */
#ifndef FC_CLIENT_EVENT_STREAM_H
#define FC_CLIENT_EVENT_STREAM_H

#include "client/lib/admin/admin.h"

/* Selects the events from now on. A second call selects others. FC_EREFUSED if there are as many
 * watchers as the daemon takes. */
int event_stream_begin(struct admin *admin, const struct fc_watch *wish);

/* Called with one event, which is valid during the call. It must not use `admin`. One of kind
 * FC_EVENT_LOST says how many were lost at its place. Ignore unknown kinds. */
typedef void event_stream_fn(void *arg, const struct fc_event *event);

/* Waits for events, at most `wait_ms`, and calls `fn` for each that has come. Returns
 * EVENT_STREAM_INTERRUPTED after a signal: the next call continues the wait. */
#define EVENT_STREAM_INTERRUPTED 1
int event_stream_next(struct admin *admin, uint32_t wait_ms, event_stream_fn *fn, void *arg);

#endif
