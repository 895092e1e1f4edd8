/* watch: subscribes to events. events: takes those since the last reply, or waits for some. */
#include "daemon/requests/handlers.h"
#include "proto/errors.h"

#define NS_PER_MS 1000000u

/* Of the rows of a reply. It goes out without a reservation, and the kernel's small send buffer
 * takes it at once. So a watcher that does not read has one reply there, and never stalls. */
#define EVENTS_BYTES 8192u
#define WAIT_MS_MAX 60000u
static_assert(EVENTS_BYTES >= 2 * WATCH_EVENT_MAX, "watch_take needs that");
static_assert(EVENTS_BYTES <= CALL_COPY_MAX_BYTES, "no larger than a value that is copied");

static enum dispatch_result too_many(const struct call *call) {
  char share[USER_TEXT_SIZE];
  const struct watch *watch = &call->dispatch->watch;
  if (watch->n < WATCH_MAX)
    return call_error(call, FC_EREFUSED, "%s: end another fcachectl watch",
                      user_quota_text(call->session->user, USER_WATCHERS, share));
  return call_error(call, FC_EREFUSED,
                    "%u watchers are connected, which is the limit: end another fcachectl watch",
                    WATCH_MAX);
}

enum dispatch_result handle_watch(const struct call *call, const struct fc_watch *watch) {
  struct dispatch *dispatch = call->dispatch;
  struct session *session = call->session;
  int rc = watch_begin(&dispatch->watch, watch, session->user, &session->watcher);
  if (rc == FC_EREFUSED)
    return too_many(call);
  if (rc < 0)
    return call_error_code(call, rc);
  session->watcher->owner = session;
  struct fc_watching watching = {.buffer_bytes = EVENT_RING_BYTES};
  (void)fc_encode_watching(&dispatch->reply, call->id, &watching);
  return call_reply(call); /* checks `failed` */
}

static enum dispatch_result reply_events(const struct call *call) {
  struct fc_buf *reply = &call->dispatch->reply, rows = {0};
  struct watcher *watcher = call->session->watcher;
  watcher->until_ns = 0;
  uint32_t n = watch_take(&call->dispatch->watch, watcher, &rows, EVENTS_BYTES);
  (void)fc_encode_events_reply_head(reply, call->id, n);
  (void)fc_buf_append(reply, rows.data, rows.size);
  bool failed = rows.failed;
  fc_buf_free(&rows);
  if (failed)
    return DISPATCH_CLOSE; /* the events are lost, and not even counted */
  if (!reply->failed)
    fc_frame_finish(reply, 0, 0);
  return call_reply(call); /* checks `failed` */
}

/* The frame of a request that waits stays in the input. Each dispatch of it checks again. */
enum dispatch_result handle_events(const struct call *call,
                                   const struct fc_events_request *request) {
  struct watcher *watcher = call->session->watcher;
  if (watcher == NULL)
    return call_error(call, FC_EINVAL, "this connection watches nothing: send watch first");
  call->dispatch->kind = LATENCY_KINDS; /* it waits on purpose: its time is not measured */
  uint32_t wait_ms = request->wait_ms < WAIT_MS_MAX ? request->wait_ms : WAIT_MS_MAX;
  if (watcher->until_ns == 0)
    watcher->until_ns = call->start_ns + (uint64_t)wait_ms * NS_PER_MS;
  if (watch_has_news(watcher) || call->dispatch->watch.stopping ||
      call->start_ns >= watcher->until_ns)
    return reply_events(call);
  call->session->waits_for_events = true;
  return DISPATCH_RETRY;
}

bool dispatch_resume_watchers(struct dispatch *dispatch) {
  bool waiting = false;
  uint64_t now_ns = call_clock_ns();
  for (unsigned i = 0; i < WATCH_MAX; i++) {
    const struct watcher *watcher = &dispatch->watch.watchers[i];
    const struct session *session = watcher->owner;
    if (!watcher->in_use || !session->waits_for_events)
      continue;
    waiting = true;
    if (watch_has_news(watcher) || now_ns >= watcher->until_ns)
      session->sink->resume(session->sink);
  }
  return waiting;
}
