/* intake.h - the memory that large frames of all clients together may hold while they are received.
 *
 * A frame reserves memory as its bytes arrive, not as its header announces them: a client that
 * announces much and sends little holds little. A frame whose next step fits passes those whose
 * step does not.
 *
 * Frames that each hold a part and wait for the rest could block each other for ever. So the pool
 * has two parts. All frames share the first, of which one may hold half. The second, the lane, has
 * room for one whole frame of the largest size, and belongs to one frame at a time: the first that
 * waited. That frame moves to it with all that it holds, and always finishes (or its client is
 * cut); then the next waiter has the lane. So none starves, and smaller frames pass those that
 * wait.
 *
 * One thread. Each frame is released by its holder; intake_deinit asserts that nothing is left. */
#ifndef FC_DAEMON_INTAKE_H
#define FC_DAEMON_INTAKE_H

#include <stdbool.h>
#include <stddef.h>

/* One connection's frame. Zero but for `ready` while it holds nothing; not to be moved while it
 * waits. */
struct intake_frame {
  struct intake_frame *next, *prev; /* among the waiters; NULL: it does not wait */
  size_t wanted_bytes;              /* what it waits for: of the whole frame so far */
  size_t held_bytes;                /* reserved */
  size_t lane_bytes;                /* all of these, where it has the lane; else 0 */
  /* What it waited for is reserved. Called from within the calls below; it must make no call of
   * them itself, but only see that one is made later. */
  void (*ready)(struct intake_frame *frame);
};

struct intake {
  size_t shared_limit_bytes, lane_limit_bytes;
  size_t used_bytes, shared_bytes; /* all that is reserved; of that, not in the lane */
  struct intake_frame *lane;       /* whose it is; NULL: nobody's */
  struct intake_frame waiters;     /* head of the ring */
};

/* `largest_bytes`: no frame is larger. What is left of `limit_bytes` beside one of that size is
 * shared; nothing may be left: then large frames are received one after another, as are those over
 * half of the shared part. */
void intake_init(struct intake *intake, size_t limit_bytes, size_t largest_bytes);
void intake_deinit(struct intake *intake);

/* Reserves until the frame holds `wanted_bytes` in all, at most `largest_bytes`; or queues it
 * (once) and returns false. */
bool intake_reserve(struct intake *intake, struct intake_frame *frame, size_t wanted_bytes);

/* Returns all that the frame holds, and its place among the waiters. Those that now have room get
 * it. Idempotent. */
void intake_release(struct intake *intake, struct intake_frame *frame);

static inline bool intake_is_waiting(const struct intake_frame *frame) {
  return frame->next != NULL;
}
static inline bool intake_has_waiters(const struct intake *intake) {
  return intake->waiters.next != &intake->waiters;
}

#endif
