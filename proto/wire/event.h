/* event.h - one event of the stream that a watcher receives: its kinds, and what its fields mean.
 */
#ifndef FC_PROTO_EVENT_H
#define FC_PROTO_EVENT_H

#include "proto/key.h"

/* What an event reports. Its bit in fc_watch.kinds is 1 << kind. */
enum fc_event_kind {
  FC_EVENT_LOST = 0, /* `count` events were lost here, because the watcher was too slow */
  FC_EVENT_HIT = 1,
  FC_EVENT_MISS = 2,
  FC_EVENT_PUT = 3,
  FC_EVENT_EVICTION = 4,
  FC_EVENT_CLEAR = 5,
  FC_EVENT_DELETE = 6,
  FC_EVENT_LEASE = 7,
  FC_EVENT_KINDS
};
/* `detail` of an event, by its kind. */
enum fc_hit_detail {
  FC_HIT_REGION = 0, /* the client read the region, and reported the hit later */
  FC_HIT_MESSAGE = 1,
  FC_HIT_AFTER_WAIT = 2, /* a get that waited for another client's put */
  FC_HIT_TIER = 3,       /* by message: the first one on a value that came from the tier */
};
enum fc_miss_detail { /* the first three are fc_lease_state */
                      FC_MISS_PLAIN = 0,
                      FC_MISS_GRANTED = 1,
                      FC_MISS_TAKEN = 2,
                      FC_MISS_WAITS = 3, /* the get waits for another client's put */
};
enum fc_put_detail { /* the first three are fc_put_outcome */
                     FC_PUT_STORED = 0,
                     FC_PUT_KEPT = 1,
                     FC_PUT_STALE = 2,
                     FC_PUT_TOO_BIG = 3,
                     FC_PUT_FAILED = 4, /* no memory */
};
enum fc_eviction_detail {
  FC_EVICTION_ENTRIES = 0,   /* the namespace's max_entries */
  FC_EVICTION_BYTES = 1,     /* the daemon's max_bytes */
  FC_EVICTION_OWN_BYTES = 2, /* the namespace's max_bytes */
  FC_EVICTION_FORCED = 3,    /* no limit, but a new entry found no hole */
  FC_EVICTION_CHAIN = 4,     /* too many entries in a bucket */
};
enum fc_lease_detail {
  FC_LEASE_BEGINS = 0, /* granted, or handed over to a client that waited */
  FC_LEASE_PUT = 1,    /* ended: the value was put */
  FC_LEASE_ENDED = 2, /* ended without a value: given up, cleared, deleted, or its client is gone */
  FC_LEASE_EXPIRED = 3,
};
/* One event. Fields that do not concern its kind are none or 0. */
struct fc_event {
  uint32_t kind;    /* an fc_event_kind. A later version may send others: skip them */
  uint64_t time_ns; /* CLOCK_REALTIME */
  struct fc_str name_space;
  struct fc_key key; /* of a clear: view and op alone */
  bool has_prompt;
  uint64_t bytes;   /* of the value */
  uint64_t cost_ns; /* hit: saved; put, eviction: the time of the computation; lease that ends: how
                       long it was held */
  struct fc_str client;
  uint32_t detail; /* see above */
  uint64_t count;  /* lost: events; clear, delete: entries; eviction: hits of the entry */
};

#endif
