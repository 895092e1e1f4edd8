#include "daemon/net/reclaim.h"

#include "daemon/net/conn.h"
#include "daemon/store/store.h"

#define SLOW_PACE (CONN_PROGRESS * UINT64_C(1000000000) / CONN_GRACE_NS) /* and below */
/* Entries that left the store may take half of the budget, and that part of all memory for entries:
 * those of slow readers, and those of any. */
#define SLOW_PART 8u
#define MOST_PART 2u

static uint64_t most_unlisted(const struct conns *conns, unsigned part) {
  uint64_t most = conns->dispatch->store->max_bytes / part;
  uint64_t budget = conns->limits.budget_bytes / 2;
  return budget < most ? budget : most;
}

static bool is_slow(const struct conn *conn, uint64_t now_ns) {
  return sender_pace(&conn->sender, now_ns) < SLOW_PACE;
}

/* Ends it in the next turn; what it holds it gives back now. The store is in the midst of a call.
 */
static void cut(struct conn *conn) {
  dispatch_count_dropped(conn->conns->dispatch, &conn->session,
                   "it read a value too slowly, while others needed its memory");
  sender_abort(&conn->sender);
}

static struct conn *slowest_of_unlisted(const struct conns *conns, uint64_t now_ns) {
  struct conn *slowest = NULL;
  uint64_t least = 0;
  for (struct conn *conn = conns->all; conn != NULL; conn = conn->next) {
    if (!sender_holds(&conn->sender, SENDER_UNLISTED))
      continue;
    uint64_t pace = sender_pace(&conn->sender, now_ns);
    if (slowest != NULL && pace >= least)
      continue;
    slowest = conn;
    least = pace;
  }
  return slowest;
}

/* One that is not slow has done in a moment, and goes only where there is no end to them. */
static void cut_unlisted(struct conns *conns, const struct store *store) {
  uint64_t now_ns = uv_hrtime();
  while (store_unlisted_bytes(store) > store->unlisted_max) {
    struct conn *conn = slowest_of_unlisted(conns, now_ns);
    bool too_many = store_unlisted_bytes(store) > most_unlisted(conns, MOST_PART);
    if (conn == NULL || (!too_many && !is_slow(conn, now_ns)))
      return;
    cut(conn);
  }
}

static void cut_holders(struct conns *conns, bool only_slow) {
  uint64_t now_ns = uv_hrtime();
  for (struct conn *conn = conns->all; conn != NULL; conn = conn->next)
    if (sender_holds(&conn->sender, SENDER_ANY) && (!only_slow || is_slow(conn, now_ns)))
      cut(conn);
}

static void reclaim(void *arg, enum store_reclaim what) {
  struct conns *conns = arg;
  if (what == STORE_RECLAIM_UNLISTED)
    cut_unlisted(conns, conns->dispatch->store);
  else
    cut_holders(conns, what == STORE_RECLAIM_SLOW);
}

void reclaim_begin(struct conns *conns) {
  struct store *store = conns->dispatch->store;
  store->reclaim = reclaim;
  store->reclaim_arg = conns;
  store->unlisted_max = most_unlisted(conns, SLOW_PART);
}

void reclaim_end(struct conns *conns) {
  conns->dispatch->store->reclaim = NULL;
}
