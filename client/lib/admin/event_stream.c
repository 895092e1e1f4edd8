#include "client/lib/admin/event_stream.h"

#include "client/lib/admin/admin_internal.h"
#include "client/lib/conn/request.h"
#include "client/lib/util/clock.h"
#include "proto/errors.h"

int event_stream_begin(struct admin *admin, const struct fc_watch *wish) {
  struct fc_reply reply;
  int rc = admin_check_supported(admin, CONNECTION_TOOLS, "watch");
  if (rc < 0)
    return rc;
  admin->events_id = 0;
  uint32_t id = request_begin(&admin->connection, FC_WATCH);
  (void)fc_encode_watch(&admin->connection.request, id, wish); /* request_call checks `failed` */
  return request_call(&admin->connection, id, NULL, 0, &reply);
}

/* Sends a request for events, unless one is pending. */
static int ask(struct admin *admin, uint32_t wait_ms) {
  struct connection *connection = &admin->connection;
  struct fc_events_request request = {.wait_ms = wait_ms};
  if (admin->events_id != 0)
    return 0;
  uint32_t id = request_begin(connection, FC_EVENTS);
  (void)fc_encode_events(&connection->request, id, &request); /* request_send checks `failed` */
  int rc = request_send(connection);
  if (rc < 0)
    return rc;
  admin->events_id = id;
  admin->events_until_ns =
      clock_now_ns() + (uint64_t)wait_ms * CLOCK_MS_NS + connection->io.deadline_ns;
  return 0;
}

/* Receives the reply to the pending request. */
static int receive(struct admin *admin, struct fc_reply *reply) {
  uint32_t id = admin->events_id, which;
  int rc;
  do
    rc = request_receive(&admin->connection, &id, 1, &which, reply);
  while (rc == 0 && which > 0);
  return rc;
}

int event_stream_next(struct admin *admin, uint32_t wait_ms, event_stream_fn *fn, void *arg) {
  struct connection *connection = &admin->connection;
  struct fc_reply reply;
  if (!admin_is_up(admin))
    return FC_EUNAVAILABLE;
  int rc = ask(admin, wait_ms);
  if (rc < 0)
    return rc;
  rc = socket_io_wait_readable(&connection->io, admin->events_until_ns);
  if (rc == SOCKET_IO_INTERRUPTED)
    return EVENT_STREAM_INTERRUPTED;
  if (rc < 0) {
    admin->events_id = 0;
    return connection_fail(connection, rc);
  }
  rc = receive(admin, &reply);
  admin->events_id = 0;
  if (rc < 0)
    return rc;
  while (reply.list.n > 0) {
    struct fc_event event;
    fc_events_next(&reply.list, &event);
    fn(arg, &event);
  }
  return 0;
}
