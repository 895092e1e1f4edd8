/* times.h - durations of requests, and expensive entries: the requests of fcachectl latency and
 * slowest. As admin.h: each call returns 0 or a negative code, FC_EVERSION if the daemon is too
 * old, and admin_error() has the text. One thread.
 *
 * For an exporter: admin_latency gives a cumulative histogram for each kind. Of a row,
 * `histogram.count` and `histogram.sum_ns` are exact, and fc_histogram_count_to(&row->histogram,
 * bound_ns) is the number of durations up to a bound, such as 1,000,000 for le="0.001". It is exact
 * to 3.1% of the bound (proto/histogram.h). All three fall only at a restart of the daemon and at a
 * reset. */
#ifndef FC_CLIENT_TIMES_H
#define FC_CLIENT_TIMES_H

#include "client/lib/admin/admin.h"
#include "proto/limits.h"
#include "proto/wire/message.h"

/* Called with one row. Its strings are valid during the call, which must not use `admin`. */
typedef void admin_latency_fn(void *arg, const struct fc_latency_entry *kind);
typedef void admin_slow_fn(void *arg, const struct fc_slow_entry *request);

/* Gives all kinds, in the daemon's order. *period_ns is the time since its start, or since the last
 * reset. `reset` empties them afterwards, and the slowest requests too, for administrators. */
int admin_latency(struct admin *admin, bool reset, uint64_t *period_ns, admin_latency_fn *fn,
                  void *arg);

/* Gives at most `limit` (at least 1) of the slowest requests of the last minutes, the slowest
 * first. *period_ns is the time for which they are kept. `reset` forgets them afterwards. */
int admin_slowest(struct admin *admin, uint32_t limit, bool reset, uint64_t *period_ns,
                  admin_slow_fn *fn, void *arg);

/* The most expensive entries, by the time of their computation. Zero to start, with `limit` (at
 * least 1) and an array of as many elements, which stays the caller's. */
struct admin_costly {
  struct admin_costly_entry {
    struct fc_list_entry entry; /* its names are in `names` */
    char names[3][FC_NAME_MAX];
  } * entries;
  uint32_t limit;
  uint32_t n;              /* the result: entries, the most expensive first */
  uint64_t min_compute_ns; /* an entry below it is none of them */
};

/* Finds them, page by page: the daemon looks at all entries, a few thousand a request. */
int admin_costly(struct admin *admin, const struct fc_select *select, struct admin_costly *costly);

#endif
