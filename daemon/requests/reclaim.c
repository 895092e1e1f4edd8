#include "daemon/requests/reclaim.h"

#include "daemon/requests/handlers.h"
#include "daemon/store/store.h"

#define SLOW_BYTES_PER_S 655360u /* a reader at this pace or above is not slow */
/* Entries that have left the store may take this part of max_bytes: those of slow readers, and
 * those of any reader. */
#define SLOW_PART 8u
#define ANY_PART 2u

static uint64_t unlisted_limit(const struct dispatch *dispatch, unsigned part) {
  uint64_t limit = dispatch->store->max_bytes / part;
  return dispatch->unlisted_limit_bytes < limit ? dispatch->unlisted_limit_bytes : limit;
}

static uint64_t pace_of(const struct session *session, uint64_t now_ns) {
  return session->sink->pace(session->sink, now_ns);
}

static bool holds_entries(const struct session *session, bool unlisted_only) {
  return session->sink->holds_entries(session->sink, unlisted_only);
}

/* Releases the session's entries now. Its connection ends in the next turn, because the store is in
 * the middle of a call. */
static void drop(struct dispatch *dispatch, struct session *session) {
  dispatch_count_dropped(dispatch, session,
                         "it read a value too slowly while others needed its memory");
  session->sink->abort(session->sink);
}

static struct session *slowest_reader(const struct dispatch *dispatch, uint64_t now_ns) {
  struct session *slowest = NULL;
  uint64_t least = UINT64_MAX;
  for (struct session *session = dispatch->first_session; session != NULL;
       session = session->next) {
    if (!holds_entries(session, true))
      continue;
    uint64_t pace = pace_of(session, now_ns);
    if (slowest != NULL && pace >= least)
      continue;
    slowest = session;
    least = pace;
  }
  return slowest;
}

/* A fast reader finishes soon. It is dropped only above the bound for all readers. */
static void reclaim_unlisted(struct dispatch *dispatch) {
  const struct store *store = dispatch->store;
  uint64_t now_ns = call_clock_ns();
  while (store_unlisted_bytes(store) > store->unlisted_max) {
    struct session *session = slowest_reader(dispatch, now_ns);
    bool too_many = store_unlisted_bytes(store) > unlisted_limit(dispatch, ANY_PART);
    if (session == NULL || (!too_many && pace_of(session, now_ns) >= SLOW_BYTES_PER_S))
      return;
    drop(dispatch, session);
  }
}

static void reclaim_all(struct dispatch *dispatch, bool slow_only) {
  uint64_t now_ns = call_clock_ns();
  for (struct session *session = dispatch->first_session; session != NULL; session = session->next)
    if (holds_entries(session, false) &&
        (!slow_only || pace_of(session, now_ns) < SLOW_BYTES_PER_S))
      drop(dispatch, session);
}

static void reclaim(void *arg, enum store_reclaim kind) {
  if (kind == STORE_RECLAIM_UNLISTED)
    reclaim_unlisted(arg);
  else
    reclaim_all(arg, kind == STORE_RECLAIM_SLOW);
}

void reclaim_init(struct dispatch *dispatch, size_t limit_bytes) {
  struct store *store = dispatch->store;
  dispatch->unlisted_limit_bytes = limit_bytes;
  store->reclaim = reclaim;
  store->reclaim_arg = dispatch;
  reclaim_limit_changed(dispatch);
}

void reclaim_limit_changed(struct dispatch *dispatch) {
  dispatch->store->unlisted_max = unlisted_limit(dispatch, SLOW_PART);
}

void reclaim_deinit(struct dispatch *dispatch) {
  dispatch->store->reclaim = NULL;
}
