#include "daemon/fleet/fleet_io.h"

#define AGAIN_NS UINT64_C(100000000) /* from the first call of fleet_io_end_lost to the next */

bool fleet_io_submit(struct fleet_io *io, struct fleet_op *op, uint64_t now_ns) {
  uint64_t deadline_ns = op->deadline_ns > now_ns ? op->deadline_ns - now_ns : 0;
  op->lost_ns = now_ns + FLEET_IO_LOST_DEADLINES * deadline_ns;
  op->is_overdue = false;
  return io->submit(io, op, now_ns);
}

bool fleet_io_end_lost(struct fleet_io *io, struct fleet_op *op, uint64_t now_ns) {
  static const struct fleet_reply reply = {.status = FLEET_TIMEOUT,
                                           .text = "the request was lost in this daemon"};
  if (now_ns < op->lost_ns)
    return false;
  if (!op->is_overdue) {
    op->is_overdue = true;
    op->lost_ns = now_ns + AGAIN_NS;
    return false;
  }
  io->lost++;
  io->cancel(io, op);
  op->done(op, &reply, now_ns);
  return true;
}
