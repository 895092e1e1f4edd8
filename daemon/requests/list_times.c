/* latency, slowest: how long requests and the loop took. */
#include "daemon/requests/handlers.h"
#include "daemon/requests/page.h"
#include "daemon/requests/permissions.h"

/* A row has at most a pair of integers for each cell. */
#define CELL_BYTES_MAX 12u
static_assert(LATENCY_KINDS * (FC_HISTOGRAM_CELLS * CELL_BYTES_MAX + 64u) < FC_FRAME_SLACK,
              "all kinds fit in a frame");
static_assert(SLOW_LOG_MAX * (4u * FC_NAME_MAX + 160u) < FC_FRAME_SLACK,
              "all slow requests fit in a frame");

/* Closes the frame and sends the reply. Sets *done if it was sent: then a reset may follow. */
static enum dispatch_result finish(const struct call *call, bool *done) {
  struct fc_buf *reply = &call->dispatch->reply;
  if (!reply->failed)
    fc_frame_finish(reply, 0, 0);
  enum dispatch_result result = call_reply_if_room(call);
  *done = result == DISPATCH_DONE;
  return result;
}

static bool may(const struct call *call, bool reset) {
  return !reset || permissions_allow(call->session, PERMISSION_RESET_TIMES, NULL);
}

enum dispatch_result handle_latency(const struct call *call, bool reset) {
  struct latency *latency = call->dispatch->latency;
  struct fc_buf *reply = &call->dispatch->reply;
  struct fc_latency_entry row;
  bool done;
  if (!may(call, reset))
    return call_denied(call, "resetting the times of requests");
  uint32_t n = latency == NULL ? 0 : LATENCY_KINDS;
  uint64_t since_ns = latency == NULL ? call->start_ns : latency->since_ns;
  /* `finish` checks `failed`. */
  (void)fc_encode_times_reply_head(reply, FC_LATENCY, call->id,
                                   page_since(call->start_ns, since_ns), n);
  for (uint32_t kind = 0; kind < n; kind++) {
    row.path = fc_str_of(latency_path((enum latency_kind)kind));
    row.operation = fc_str_of(latency_operation((enum latency_kind)kind));
    row.histogram = latency->kinds[kind];
    (void)fc_encode_latency_entry(reply, &row);
  }
  enum dispatch_result result = finish(call, &done);
  if (done && reset && latency != NULL)
    latency_reset(latency, call->start_ns);
  return result;
}

static void add_slow(const struct call *call, const struct slow_request *slow) {
  struct fc_slow_entry row = {
      .request = fc_str_of(slow->request),
      .age_ns = page_since(call->start_ns, slow->ended_ns),
      .total_ns = slow->total_ns,
      .queue_ns = slow->queue_ns,
      .serve_ns = slow->serve_ns,
      .send_ns = slow->send_ns,
      .bytes = slow->bytes,
      .keys = slow->keys,
      .client_id = slow->client_id,
      .client = slow_request_name(slow, SLOW_CLIENT),
      .pid = slow->pid,
      .name_space = slow_request_name(slow, SLOW_NAMESPACE),
      .op = slow_request_name(slow, SLOW_OP),
      .view = slow_request_name(slow, SLOW_VIEW),
  };
  (void)fc_encode_slow_entry(&call->dispatch->reply, &row); /* `finish` checks `failed` */
}

enum dispatch_result handle_slowest(const struct call *call, const struct fc_slowest *request) {
  struct latency *latency = call->dispatch->latency;
  const struct slow_request *sorted[SLOW_LOG_MAX];
  bool done;
  if (!may(call, request->reset))
    return call_denied(call, "forgetting the slowest requests");
  uint32_t n = latency == NULL ? 0 : slow_log_sort(&latency->slow, sorted);
  uint64_t since_ns = latency == NULL ? call->start_ns : slow_log_since_ns(&latency->slow);
  if (n > request->limit)
    n = request->limit;
  /* `finish` checks `failed`. */
  (void)fc_encode_times_reply_head(&call->dispatch->reply, FC_SLOWEST, call->id,
                                   page_since(call->start_ns, since_ns), n);
  for (uint32_t i = 0; i < n; i++)
    add_slow(call, sorted[i]);
  enum dispatch_result result = finish(call, &done);
  if (done && request->reset && latency != NULL)
    slow_log_reset(&latency->slow, call->start_ns);
  return result;
}
