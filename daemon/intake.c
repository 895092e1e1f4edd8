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
  if (frame->next == NULL)
    return;
  frame->prev->next = frame->next;
  frame->next->prev = frame->prev;
  frame->next = frame->prev = NULL;
}

static void enqueue(struct intake *intake, struct intake_frame *frame) {
  if (frame->next != NULL)
    return;
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

/* A frame over half of the shared part would leave the others little while it waits for the rest.
 */
static bool fits_shared(const struct intake *intake, const struct intake_frame *frame,
                        size_t wanted_bytes) {
  return intake->lane != frame && wanted_bytes <= intake->shared_limit_bytes / 2 &&
         wanted_bytes - frame->held_bytes <= intake->shared_limit_bytes - intake->shared_bytes;
}

/* The lane has room for all of it: what it held in the shared part is for others again. Nobody
 * waits for that who is not looked at after this frame: while the lane is free, nobody waits at
 * all. */
static void hold_in_lane(struct intake *intake, struct intake_frame *frame, size_t wanted_bytes) {
  intake->lane = frame;
  intake->shared_bytes -= frame->held_bytes - frame->lane_bytes;
  frame->lane_bytes = wanted_bytes;
  assert(frame->lane_bytes <= intake->lane_limit_bytes);
}

static bool admit(struct intake *intake, struct intake_frame *frame, size_t wanted_bytes) {
  size_t more = wanted_bytes - frame->held_bytes;
  bool shared = fits_shared(intake, frame, wanted_bytes);
  if (!shared && !may_have_lane(intake, frame))
    return false;
  if (shared)
    intake->shared_bytes += more;
  else
    hold_in_lane(intake, frame, wanted_bytes);
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
  if (frame->held_bytes == 0 && frame->next == NULL)
    return;
  leave(frame);
  intake->used_bytes -= frame->held_bytes;
  intake->shared_bytes -= frame->held_bytes - frame->lane_bytes;
  frame->held_bytes = frame->lane_bytes = 0;
  if (intake->lane == frame)
    intake->lane = NULL;
  admit_waiters(intake);
}
