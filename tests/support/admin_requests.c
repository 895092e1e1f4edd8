#include "admin_requests.h"

/* Sends the buffer and frees it. A failed encoding sends nothing, and no reply comes. */
static int send_request(struct raw *raw, struct fc_buf *buf) {
  struct fc_reply reply;
  int rc = raw_send_buf(raw, buf);

  fc_buf_free(buf);
  if (rc == 0)
    rc = raw_recv(raw, &reply, 5000);
  return rc == 0 && reply.type == FC_ERROR ? reply.error.code : rc;
}

int admin_request_clear(struct raw *raw, const char *name_space) {
  struct fc_buf buf = {0};
  struct fc_clear clear = {0};

  if (name_space != NULL)
    clear.select.name_space = fc_str_of(name_space);
  (void)fc_encode_clear(&buf, raw->next_id++, &clear);
  return send_request(raw, &buf);
}

int admin_request_trace(struct raw *raw, enum fc_trace_action action, const char *path) {
  struct fc_buf buf = {0};
  struct fc_trace trace = {.action = action};

  if (action == FC_TRACE_ON)
    trace.path = fc_str_of(path);
  (void)fc_encode_trace(&buf, raw->next_id++, &trace);
  return send_request(raw, &buf);
}

int admin_request_latency(struct raw *raw, bool reset) {
  struct fc_buf buf = {0};

  (void)fc_encode_latency(&buf, raw->next_id++, reset);
  return send_request(raw, &buf);
}

int admin_request_shutdown(struct raw *raw) {
  struct fc_buf buf = {0};

  (void)fc_encode_simple(&buf, FC_SHUTDOWN, raw->next_id++);
  return send_request(raw, &buf);
}
