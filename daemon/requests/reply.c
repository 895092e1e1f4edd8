/* Replies and errors, for the handlers. */
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "daemon/region/entry.h"
#include "daemon/requests/handlers.h"
#include "proto/errors.h"

#define REPLY_KEPT_BYTES (64u << 10) /* of the buffer, between two replies */

uint64_t call_clock_ns(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void call_reset_reply(struct dispatch *dispatch) {
  if (dispatch->reply.capacity > REPLY_KEPT_BYTES)
    fc_buf_free(&dispatch->reply);
  fc_buf_reset(&dispatch->reply);
}

void call_send(const struct call *call, const struct iovec *pieces, struct entry *const *owners,
               size_t n) {
  struct request_sent *sent = &call->dispatch->sent;
  sent->ns = call_clock_ns();
  for (size_t i = 0; i < n; i++)
    sent->bytes += pieces[i].iov_len;
  call->sink->send(call->sink, pieces, owners, n);
}

enum dispatch_result call_reply(const struct call *call) {
  struct fc_buf *reply = &call->dispatch->reply;
  if (reply->failed)
    return DISPATCH_CLOSE; /* no memory even for an error text */
  struct iovec piece = {reply->data, reply->size};
  call_send(call, &piece, NULL, 1);
  return DISPATCH_DONE;
}

enum dispatch_result call_reply_if_room(const struct call *call) {
  const struct fc_buf *reply = &call->dispatch->reply;
  if (!reply->failed && !call->sink->can_send(call->sink, reply->size))
    return DISPATCH_RETRY;
  return call_reply(call); /* checks `failed` */
}

enum dispatch_result call_reply_items(const struct call *call, struct fc_buf *items) {
  struct fc_buf *reply = &call->dispatch->reply;
  (void)fc_buf_append(reply, items->data, items->size); /* call_reply checks `failed` */
  bool failed = items->failed;
  fc_buf_free(items);
  if (failed)
    return DISPATCH_CLOSE; /* no memory even for an error text */
  if (!reply->failed)
    fc_frame_finish(reply, 0, 0);
  return call_reply_if_room(call);
}

enum dispatch_result call_reply_page(const struct call *call, enum fc_type type,
                                     struct fc_buf *items, const struct page_end *end) {
  (void)fc_encode_list_reply_head(&call->dispatch->reply, type, call->id, end->cursor,
                                  end->cursor_size, end->n); /* call_reply checks `failed` */
  return call_reply_items(call, items);
}

/* Adds the value, and `tail_size` (0 or 1) bytes of `tail` behind it. */
static enum dispatch_result reply_value(const struct call *call, struct entry *entry, uint8_t tail,
                                        size_t tail_size) {
  struct fc_buf *reply = &call->dispatch->reply;
  struct iovec pieces[2 + FC_REGION_PIECES_MAX];
  struct entry *owners[2 + FC_REGION_PIECES_MAX] = {NULL};
  size_t n = entry_value(entry, &pieces[1]);
  uint32_t size = entry_value_size(entry);
  /* To copy a value of this size costs less than to write a second piece. */
  if (size <= CALL_COPY_MAX_BYTES && fc_buf_append(reply, pieces[1].iov_base, size) == 0) {
    (void)fc_buf_append(reply, &tail, tail_size); /* call_reply checks `failed` */
    return call_reply(call);
  }
  if (reply->failed)
    return DISPATCH_CLOSE; /* no memory even for an error text */
  pieces[0] = (struct iovec){reply->data, reply->size};
  for (size_t i = 1; i <= n; i++)
    owners[i] = entry;
  pieces[1 + n] = (struct iovec){&tail, tail_size}; /* without an owner: copied */
  call_send(call, pieces, owners, 1 + n + tail_size);
  return DISPATCH_DONE;
}

enum dispatch_result call_reply_value(const struct call *call, struct entry *entry) {
  return reply_value(call, entry, 0, 0);
}

enum dispatch_result call_reply_waited_value(const struct call *call, struct entry *entry) {
  return reply_value(call, entry, FC_HIT_WAITED, 1);
}

static enum dispatch_result send_error(const struct call *call, int code, const char *text) {
  struct fc_buf *reply = &call->dispatch->reply;
  fc_buf_reset(reply);
  (void)fc_encode_error(reply, call->id, code, fc_str_of(text)); /* call_reply checks `failed` */
  return call_reply(call);
}

enum dispatch_result call_error(const struct call *call, int code, const char *format, ...) {
  char text[1024];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(text, sizeof text, format, args); /* cut if longer */
  va_end(args);
  return send_error(call, code, text);
}

enum dispatch_result call_error_code(const struct call *call, int code) {
  return send_error(call, code, fc_error_text(code));
}

enum dispatch_result call_denied(const struct call *call, const char *action) {
  return call_error(call, FC_EDENIED, "%s: %s", action, fc_error_text(FC_EDENIED));
}

void dispatch_send_final_error(struct dispatch *dispatch, struct reply_sink *sink, int code,
                               const char *text) {
  struct call call = {.dispatch = dispatch, .sink = sink};
  (void)send_error(&call, code, text); /* the connection ends in any case */
}
