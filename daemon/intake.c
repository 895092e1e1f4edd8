#include "daemon/intake.h"

#include <assert.h>

/* Waiters that one release looks at. Those behind are reached by a later one; the first is always
 * looked at, so none waits for ever. */
#define LOOKED_AT_MAX 16u

void intake_init(struct intake *intake, size_t limit_bytes, size_t largest_bytes) {
  *intake = (struct intake){
      .shared_limit_bytes = limit_bytes > largest_bytes ? limit_bytes - largest_bytes : 0,
      .lane_limit_bytes = largest_bytes,
  };
  intake->waiters.next = intake->waiters.prev = &intake->waiters;
}

void intake_deinit(struct intake *intake) {
  assert(intake->used_bytes == 0 && intake->lane == NULL);
  assert(!intake_has_waiters(intake));
}

static void leave(struct intake_frame *frame) {
  user_stop_waiting(&frame->share);
  if (frame->next == NULL)
    return;
  frame->prev->next = frame->next;
  frame->next->prev = frame->prev;
  frame->next = frame->prev = NULL;
  if (!frame->past_share)
    return;
  frame->past_share = false;
  frame->user->frames_in_line--;
  user_wake(frame->user, USER_FRAME_BYTES); /* the next of them may stand in line */
}

static bool is_past_share(const struct intake_frame *frame, size_t more) {
  return !user_may_take(frame->user, USER_FRAME_BYTES, more);
}

static void enqueue(struct intake *intake, struct intake_frame *frame) {
  if (frame->next != NULL)
    return;
  bool past_share = is_past_share(frame, frame->wanted_bytes - frame->held_bytes);
  if (past_share && frame->user->frames_in_line > 0) {
    user_wait_for(frame->user, USER_FRAME_BYTES, &frame->share);
    return;
  }
  user_stop_waiting(&frame->share);
  frame->past_share = past_share;
  if (past_share)
    frame->user->frames_in_line++;
  frame->prev = intake->waiters.prev;
  frame->next = &intake->waiters;
  frame->prev->next = frame;
  frame->next->prev = frame;
}

static bool may_have_lane(const struct intake *intake, const struct intake_frame *frame) {
  if (intake->lane != NULL)
    return intake->lane == frame;
  return !intake_has_waiters(intake) || intake->waiters.next == frame;
}

static bool admit(struct intake *intake, struct intake_frame *frame, size_t wanted_bytes) {
  size_t more = wanted_bytes - frame->held_bytes;
  bool shared = intake->lane != frame &&
                more <= intake->shared_limit_bytes - intake->shared_bytes &&
                !is_past_share(frame, more);
  if (!shared && !may_have_lane(intake, frame))
    return false;
  if (shared) {
    intake->shared_bytes += more;
    user_charge(frame->user, USER_FRAME_BYTES, more);
  } else {
    intake->lane = frame;
    frame->lane_bytes += more;
    assert(frame->lane_bytes <= intake->lane_limit_bytes);
  }
  frame->held_bytes += more;
  intake->used_bytes += more;
  return true;
}

bool intake_reserve(struct intake *intake, struct intake_frame *frame, size_t wanted_bytes) {
  if (wanted_bytes <= frame->held_bytes)
    return true;
  if (!admit(intake, frame, wanted_bytes)) {
    frame->wanted_bytes = wanted_bytes;
    enqueue(intake, frame);
    return false;
  }
  leave(frame);
  return true;
}

static void admit_waiters(struct intake *intake) {
  struct intake_frame *frame = intake->waiters.next;
  for (unsigned looked_at = 0; looked_at < LOOKED_AT_MAX && frame != &intake->waiters;
       looked_at++) {
    struct intake_frame *next = frame->next;
    if (admit(intake, frame, frame->wanted_bytes)) {
      leave(frame);
      frame->ready(frame);
    }
    frame = next;
  }
}

void intake_release(struct intake *intake, struct intake_frame *frame) {
  if (frame->held_bytes == 0 && !intake_is_waiting(frame))
    return;
  leave(frame);
  size_t shared_bytes = frame->held_bytes - frame->lane_bytes;
  intake->used_bytes -= frame->held_bytes;
  intake->shared_bytes -= shared_bytes;
  user_release(frame->user, USER_FRAME_BYTES, shared_bytes);
  frame->held_bytes = frame->lane_bytes = 0;
  if (intake->lane == frame)
    intake->lane = NULL;
  admit_waiters(intake);
}
