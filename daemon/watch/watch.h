/* watch.h - the events that watchers see: selects each event by the watchers' filters, encodes it
 * once for all of them (event_ring.h), and counts the lost events of each watcher.
 *
 * A watcher that falls behind by the whole ring lapses: all its unread events are lost, and so is
 * each further one, until it takes again. Then it sees how many, and continues with the newest. So
 *
 *   events that it took + events that it lost = events that it selected,
 *
 * in their order, and a watcher that has stopped costs a comparison and a counter an event. The
 * ring never waits for a watcher.
 *
 * BOUNDED. WATCH_MAX watchers, of which a user may have its share (USER_WATCHERS). The memory is
 * that of this struct, and of the ring while there is a watcher (watch_bytes_max).
 *
 * One thread. */
#ifndef FC_DAEMON_WATCH_H
#define FC_DAEMON_WATCH_H

#include "daemon/base/users.h"
#include "daemon/watch/event_ring.h"
#include "proto/limits.h"
#include "proto/wire/message.h"

#define WATCH_MAX 8u
/* An encoded event: four names, a hash and numbers. */
#define WATCH_EVENT_MAX (4u * (FC_NAME_MAX + 3u) + 128u)

struct watcher {
  bool in_use;
  uint32_t bit;         /* of the ring's readers */
  struct fc_watch wish; /* its names point into `names` */
  uint64_t cursor;
  uint64_t unread; /* events from the cursor on */
  uint64_t lost;   /* since it took last; above 0: it has lapsed, and has no unread ones */
  struct user *user;
  void *owner;       /* the caller's */
  uint64_t until_ns; /* the caller's: it waits for an event until then; 0: it does not wait */
  char names[4][FC_NAME_MAX];
};

/* Zero to start. The struct must not move. */
struct watch {
  uint32_t kinds;    /* bits: some watcher wants these events, */
  uint32_t detailed; /* and some watcher has to look at each of these: see watch_lose */
  uint32_t n;        /* watchers */
  uint64_t lost;     /* events, of all watchers so far */
  bool stopping;     /* the caller's: no watcher waits any more */
  struct fc_buf buf; /* of the event that is being encoded */
  struct event_ring ring;
  struct watcher watchers[WATCH_MAX];
};

/* Returns the most memory that the watchers take. */
size_t watch_bytes_max(void);

/* Ends without watchers. */
void watch_deinit(struct watch *watch);

/* Makes a watcher, which sees the events from now on, or gives an existing one (*watcher not NULL)
 * another filter, and drops its unread events. Copies the names. Returns 0, FC_EREFUSED with
 * WATCH_MAX watchers or without a share of them, or FC_ENOMEM. After an error *watcher is
 * unchanged. */
int watch_begin(struct watch *watch, const struct fc_watch *wish, struct user *user,
                struct watcher **watcher);
/* NULL is allowed. */
void watch_end(struct watch *watch, struct watcher *watcher);

/* Returns whether some watcher may want an event of that kind: the only cost without watchers. */
static inline bool watch_wants(const struct watch *watch, enum fc_event_kind kind) {
  return __builtin_expect((watch->kinds & 1u << kind) != 0, 0);
}

/* Adds an event in two steps. The first counts it for the watchers that have lapsed, and returns
 * the others that select it. If there are some, the second encodes the event for them. The first
 * reads kind, names and count. The caller may fill in the rest between them. `time_ns` 0: now. */
uint32_t watch_select(struct watch *watch, const struct fc_event *event);
void watch_append(struct watch *watch, struct fc_event *event, uint32_t readers);

/* Does both steps. */
static inline void watch_add(struct watch *watch, struct fc_event *event) {
  uint32_t readers = watch_select(watch, event);
  if (readers != 0)
    watch_append(watch, event, readers);
}

/* Returns true if all watchers of the kind have lapsed and select it by nothing else. Then this is
 * the same as watch_add of `n` events, and the events need not be made. */
static inline bool watch_only_loses(const struct watch *watch, enum fc_event_kind kind) {
  return (watch->detailed & 1u << kind) == 0;
}
void watch_lose(struct watch *watch, enum fc_event_kind kind, uint64_t n);

/* Returns whether watch_take has something. */
static inline bool watch_has_news(const struct watcher *watcher) {
  return watcher->unread > 0 || watcher->lost > 0;
}

/* Moves the watcher's oldest events to `rows` (fc_encode_event), up to `max_bytes`, which is at
 * least 2 * WATCH_EVENT_MAX. The first is of kind FC_EVENT_LOST if it has lost some. Returns their
 * number. If memory is out, rows->failed is set, and the events are gone. */
uint32_t watch_take(struct watch *watch, struct watcher *watcher, struct fc_buf *rows,
                    size_t max_bytes);

/* Aborts unless the counts agree with the ring. For tests. */
void watch_check(const struct watch *watch);

#endif
