#include "daemon/net/read_budget.h"

#include <assert.h>
#include <stdlib.h>

/* Waiters that one release looks at. Those behind are reached by a later one; the first is always
 * looked at, so none waits for ever. */
#define LOOKED_AT_MAX 16u

void read_budget_init(struct read_budget *intake, size_t limit_bytes, size_t largest_bytes,
                 size_t whole_bytes) {
  *intake = (struct read_budget){
      .shared_limit_bytes = limit_bytes > largest_bytes ? limit_bytes - largest_bytes : 0,
      .lane_limit_bytes = largest_bytes,
      .whole_limit_bytes = whole_bytes,
  };
  intake->waiters.next = intake->waiters.prev = &intake->waiters;
}

void read_budget_deinit(struct read_budget *intake) {
  assert(intake->used_bytes == 0 && intake->lane == NULL);
  assert(!read_budget_has_waiters(intake));
  free(intake->spare);
  intake->spare = NULL;
}

static void leave(struct read_reservation *frame) {
  user_wait_cancel(&frame->share);
  if (frame->next == NULL)
    return;
  frame->prev->next = frame->next;
  frame->next->prev = frame->prev;
  frame->next = frame->prev = NULL;
  if (!frame->past_share)
    return;
  frame->past_share = false;
  frame->user->frames_in_line--;
  user_wake_waiters(frame->user, USER_FRAME_BYTES); /* the next of them may stand in line */
}

static bool is_past_share(const struct read_reservation *frame, size_t more) {
  return !user_can_charge(frame->user, USER_FRAME_BYTES, more);
}

static void enqueue(struct read_budget *intake, struct read_reservation *frame) {
  if (frame->next != NULL)
    return;
  bool past_share = is_past_share(frame, frame->wanted_bytes - frame->held_bytes);
  if (past_share && frame->user->frames_in_line > 0) {
    user_wait_enqueue(frame->user, USER_FRAME_BYTES, &frame->share);
    return;
  }
  user_wait_cancel(&frame->share);
  frame->past_share = past_share;
  if (past_share)
    frame->user->frames_in_line++;
  frame->prev = intake->waiters.prev;
  frame->next = &intake->waiters;
  frame->prev->next = frame;
  frame->next->prev = frame;
}

static bool may_have_lane(const struct read_budget *intake, const struct read_reservation *frame) {
  if (intake->lane != NULL)
    return intake->lane == frame;
  return !read_budget_has_waiters(intake) || intake->waiters.next == frame;
}

static bool spare_fits(const struct read_budget *intake) {
  return intake->used_bytes + intake->spare_bytes <=
         intake->shared_limit_bytes + intake->lane_limit_bytes + intake->whole_limit_bytes;
}

static void free_spare(struct read_budget *intake) {
  free(intake->spare);
  intake->spare = NULL;
  intake->spare_bytes = 0;
}

static void hold(struct read_budget *intake, struct read_reservation *frame, size_t more) {
  frame->held_bytes += more;
  intake->used_bytes += more;
  if (!spare_fits(intake))
    free_spare(intake);
}

/* A frame over half of the shared part would leave the others little while it waits for the rest.
 */
static bool fits_shared(const struct read_budget *intake, const struct read_reservation *frame,
                        size_t wanted_bytes) {
  size_t more = wanted_bytes - frame->held_bytes;
  return intake->lane != frame && wanted_bytes <= intake->shared_limit_bytes / 2 &&
         more <= intake->shared_limit_bytes - intake->shared_bytes && !is_past_share(frame, more);
}

static void hold_shared(struct read_budget *intake, struct read_reservation *frame, size_t more) {
  intake->shared_bytes += more;
  user_charge(frame->user, USER_FRAME_BYTES, more);
}

/* The lane has room for all of it: what it held in the shared part is for others again. Nobody
 * waits for that who is not looked at after this frame: while the lane is free, nobody waits at
 * all. */
static void hold_in_lane(struct read_budget *intake, struct read_reservation *frame, size_t wanted_bytes) {
  size_t shared_bytes = frame->held_bytes - frame->lane_bytes - frame->whole_bytes;
  intake->lane = frame;
  intake->shared_bytes -= shared_bytes;
  frame->lane_bytes = wanted_bytes - frame->whole_bytes;
  assert(frame->lane_bytes <= intake->lane_limit_bytes);
  user_uncharge(frame->user, USER_FRAME_BYTES, shared_bytes);
}

static bool admit(struct read_budget *intake, struct read_reservation *frame, size_t wanted_bytes) {
  bool shared = fits_shared(intake, frame, wanted_bytes);
  if (!shared && !may_have_lane(intake, frame))
    return false;
  size_t more = wanted_bytes - frame->held_bytes;
  if (shared)
    hold_shared(intake, frame, more);
  else
    hold_in_lane(intake, frame, wanted_bytes);
  hold(intake, frame, more);
  return true;
}

bool read_budget_reserve(struct read_budget *intake, struct read_reservation *frame, size_t wanted_bytes) {
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

bool read_budget_reserve_whole(struct read_budget *intake, struct read_reservation *frame, size_t wanted_bytes) {
  if (wanted_bytes <= frame->held_bytes)
    return true;
  size_t more = wanted_bytes - frame->held_bytes;
  if (read_budget_has_room(intake, more) && !is_past_share(frame, more)) {
    hold_shared(intake, frame, more);
  } else if (read_budget_has_room_whole(intake, more)) {
    intake->whole_bytes += more;
    frame->whole_bytes += more;
  } else {
    return false;
  }
  hold(intake, frame, more);
  return true;
}

static size_t least_of(size_t a, size_t b) {
  return a < b ? a : b;
}

static void admit_waiters(struct read_budget *intake) {
  struct read_reservation *frame = intake->waiters.next;
  for (unsigned looked_at = 0; looked_at < LOOKED_AT_MAX && frame != &intake->waiters;
       looked_at++) {
    struct read_reservation *next = frame->next;
    if (admit(intake, frame, frame->wanted_bytes)) {
      leave(frame);
      frame->ready(frame);
    }
    frame = next;
  }
}

void read_budget_shrink(struct read_budget *intake, struct read_reservation *frame, size_t bytes) {
  if (frame->held_bytes <= bytes && !read_reservation_is_waiting(frame))
    return;
  leave(frame);
  size_t less = frame->held_bytes > bytes ? frame->held_bytes - bytes : 0;
  size_t of_whole = least_of(less, frame->whole_bytes);
  size_t of_lane = least_of(less - of_whole, frame->lane_bytes);
  size_t of_shared = less - of_whole - of_lane;
  frame->held_bytes -= less;
  frame->whole_bytes -= of_whole;
  frame->lane_bytes -= of_lane;
  intake->used_bytes -= less;
  intake->whole_bytes -= of_whole;
  intake->shared_bytes -= of_shared;
  user_uncharge(frame->user, USER_FRAME_BYTES, of_shared);
  if (intake->lane == frame && frame->lane_bytes == 0)
    intake->lane = NULL;
  admit_waiters(intake);
}

void read_budget_release(struct read_budget *intake, struct read_reservation *frame) {
  read_budget_shrink(intake, frame, 0);
}

void read_budget_cancel_wait(struct read_budget *intake, struct read_reservation *frame) {
  read_budget_shrink(intake, frame, frame->held_bytes);
}

/* ---- the spare ---- */

void read_budget_give_spare(struct read_budget *intake, void *buffer, size_t bytes) {
  free(intake->spare);
  intake->spare = buffer;
  intake->spare_bytes = bytes;
  if (!spare_fits(intake))
    free_spare(intake);
}

void *read_budget_reuse_spare(struct read_budget *intake, struct read_reservation *frame, size_t least,
                        size_t most) {
  void *spare = intake->spare;
  size_t bytes = intake->spare_bytes;
  if (spare == NULL || bytes < least || bytes > most || bytes < frame->held_bytes)
    return NULL;
  intake->spare = NULL;
  intake->spare_bytes = 0;
  if (bytes > frame->held_bytes && !admit(intake, frame, bytes)) {
    intake->spare = spare;
    intake->spare_bytes = bytes;
    return NULL;
  }
  leave(frame);
  return spare;
}
