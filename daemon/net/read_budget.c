#include "daemon/net/read_budget.h"

#include <assert.h>
#include <stdlib.h>

#include "daemon/base/check.h"

/* Waiters that one release checks. It always checks the first one, so each waiter is reached in the
 * end. */
#define CHECKED_MAX 16u

void read_budget_init(struct read_budget *budget, size_t limit_bytes, size_t largest_bytes,
                      size_t whole_bytes) {
  *budget = (struct read_budget){
      .shared_limit_bytes = limit_bytes > largest_bytes ? limit_bytes - largest_bytes : 0,
      .lane_limit_bytes = largest_bytes,
      .whole_limit_bytes = whole_bytes,
  };
  budget->waiters.next = budget->waiters.prev = &budget->waiters;
}

void read_budget_deinit(struct read_budget *budget) {
  check_eq(budget->used_bytes, 0);
  check_eq(budget->starved, 0);
  assert(budget->lane == NULL);
  assert(!read_budget_has_waiters(budget));
  free(budget->spare);
  budget->spare = NULL;
}

static void dequeue(struct read_reservation *reservation) {
  user_wait_cancel(&reservation->share);
  if (reservation->next == NULL)
    return;
  reservation->prev->next = reservation->next;
  reservation->next->prev = reservation->prev;
  reservation->next = reservation->prev = NULL;
  if (!reservation->past_share)
    return;
  reservation->past_share = false;
  reservation->user->lane_waiters--;
  user_wake_waiters(reservation->user, USER_FRAME_BYTES); /* the next of them may queue */
}

static bool is_past_share(const struct read_reservation *reservation, size_t more) {
  return !user_can_charge(reservation->user, USER_FRAME_BYTES, more);
}

static void enqueue(struct read_budget *budget, struct read_reservation *reservation) {
  if (reservation->next != NULL)
    return;
  bool past_share = is_past_share(reservation, reservation->wanted_bytes - reservation->held_bytes);
  if (past_share && reservation->user->lane_waiters > 0) {
    user_wait_enqueue(reservation->user, USER_FRAME_BYTES, &reservation->share);
    return;
  }
  user_wait_cancel(&reservation->share);
  reservation->past_share = past_share;
  if (past_share)
    reservation->user->lane_waiters++;
  reservation->prev = budget->waiters.prev;
  reservation->next = &budget->waiters;
  reservation->prev->next = reservation;
  reservation->next->prev = reservation;
}

static bool may_have_lane(const struct read_budget *budget,
                          const struct read_reservation *reservation) {
  if (budget->lane != NULL)
    return budget->lane == reservation;
  return !read_budget_has_waiters(budget) || budget->waiters.next == reservation;
}

static bool spare_fits(const struct read_budget *budget) {
  return budget->used_bytes + budget->spare_bytes <=
         budget->shared_limit_bytes + budget->lane_limit_bytes + budget->whole_limit_bytes;
}

static void free_spare(struct read_budget *budget) {
  free(budget->spare);
  budget->spare = NULL;
  budget->spare_bytes = 0;
}

static void hold(struct read_budget *budget, struct read_reservation *reservation, size_t more) {
  reservation->held_bytes += more;
  budget->used_bytes += more;
  if (!spare_fits(budget))
    free_spare(budget);
}

/* A frame above half of the shared part would leave little to the others while it waits. */
static bool fits_shared(const struct read_budget *budget,
                        const struct read_reservation *reservation, size_t wanted_bytes) {
  size_t more = wanted_bytes - reservation->held_bytes;
  return budget->lane != reservation && wanted_bytes <= budget->shared_limit_bytes / 2 &&
         more <= budget->shared_limit_bytes - budget->shared_bytes &&
         !is_past_share(reservation, more);
}

static void check_sums(const struct read_budget *budget) {
  size_t lane_bytes = budget->lane == NULL ? 0 : budget->lane->lane_bytes;
  check_eq(budget->used_bytes, budget->shared_bytes + budget->whole_bytes + lane_bytes);
  check_le(budget->shared_bytes, budget->shared_limit_bytes);
  check_le(budget->whole_bytes, budget->whole_limit_bytes);
}

static void hold_shared(struct read_budget *budget, struct read_reservation *reservation,
                        size_t more) {
  budget->shared_bytes += more;
  user_charge(reservation->user, USER_FRAME_BYTES, more);
}

/* Moves the frame to the lane with all that it holds. The bytes that leave the shared part need no
 * wake-up: while the lane is free, no frame waits, or admit_waiters is checking them. */
static void hold_in_lane(struct read_budget *budget, struct read_reservation *reservation,
                         size_t wanted_bytes) {
  size_t shared_bytes =
      reservation->held_bytes - reservation->lane_bytes - reservation->whole_bytes;
  budget->lane = reservation;
  budget->shared_bytes -= shared_bytes;
  reservation->lane_bytes = wanted_bytes - reservation->whole_bytes;
  assert(reservation->lane_bytes <= budget->lane_limit_bytes);
  user_uncharge(reservation->user, USER_FRAME_BYTES, shared_bytes);
}

static bool admit(struct read_budget *budget, struct read_reservation *reservation,
                  size_t wanted_bytes) {
  bool shared = fits_shared(budget, reservation, wanted_bytes);
  if (!shared && !may_have_lane(budget, reservation))
    return false;
  size_t more = wanted_bytes - reservation->held_bytes;
  if (shared)
    hold_shared(budget, reservation, more);
  else
    hold_in_lane(budget, reservation, wanted_bytes);
  hold(budget, reservation, more);
  check_sums(budget);
  return true;
}

bool read_budget_reserve(struct read_budget *budget, struct read_reservation *reservation,
                         size_t wanted_bytes) {
  if (wanted_bytes <= reservation->held_bytes)
    return true;
  if (!admit(budget, reservation, wanted_bytes)) {
    reservation->wanted_bytes = wanted_bytes;
    enqueue(budget, reservation);
    return false;
  }
  dequeue(reservation);
  return true;
}

bool read_budget_reserve_whole(struct read_budget *budget, struct read_reservation *reservation,
                               size_t wanted_bytes) {
  if (wanted_bytes <= reservation->held_bytes)
    return true;
  size_t more = wanted_bytes - reservation->held_bytes;
  if (read_budget_has_room(budget, more) && !is_past_share(reservation, more)) {
    hold_shared(budget, reservation, more);
  } else if (read_budget_has_room_whole(budget, more)) {
    budget->whole_bytes += more;
    reservation->whole_bytes += more;
  } else {
    return false;
  }
  hold(budget, reservation, more);
  check_sums(budget);
  return true;
}

static size_t least_of(size_t a, size_t b) {
  return a < b ? a : b;
}

static void admit_waiters(struct read_budget *budget) {
  struct read_reservation *reservation = budget->waiters.next;
  for (unsigned checked = 0; checked < CHECKED_MAX && reservation != &budget->waiters; checked++) {
    struct read_reservation *next = reservation->next;
    if (admit(budget, reservation, reservation->wanted_bytes)) {
      dequeue(reservation);
      reservation->ready(reservation);
    }
    reservation = next;
  }
}

void read_budget_shrink(struct read_budget *budget, struct read_reservation *reservation,
                        size_t bytes) {
  if (reservation->held_bytes <= bytes && !read_reservation_is_waiting(reservation))
    return;
  dequeue(reservation);
  check_le(reservation->lane_bytes + reservation->whole_bytes, reservation->held_bytes);
  size_t less = reservation->held_bytes > bytes ? reservation->held_bytes - bytes : 0;
  size_t of_whole = least_of(less, reservation->whole_bytes);
  size_t of_lane = least_of(less - of_whole, reservation->lane_bytes);
  size_t of_shared = less - of_whole - of_lane;
  reservation->held_bytes -= less;
  reservation->whole_bytes -= of_whole;
  reservation->lane_bytes -= of_lane;
  budget->used_bytes -= less;
  budget->whole_bytes -= of_whole;
  budget->shared_bytes -= of_shared;
  user_uncharge(reservation->user, USER_FRAME_BYTES, of_shared);
  if (budget->lane == reservation && reservation->lane_bytes == 0)
    budget->lane = NULL;
  admit_waiters(budget);
}

void read_budget_release(struct read_budget *budget, struct read_reservation *reservation) {
  read_budget_shrink(budget, reservation, 0);
}

void read_budget_cancel_wait(struct read_budget *budget, struct read_reservation *reservation) {
  read_budget_shrink(budget, reservation, reservation->held_bytes);
}

/* ---- the spare ---- */

void read_budget_give_spare(struct read_budget *budget, void *buffer, size_t bytes) {
  free(budget->spare);
  budget->spare = buffer;
  budget->spare_bytes = bytes;
  if (!spare_fits(budget))
    free_spare(budget);
}

void *read_budget_reuse_spare(struct read_budget *budget, struct read_reservation *reservation,
                              size_t least, size_t most) {
  void *spare = budget->spare;
  size_t bytes = budget->spare_bytes;
  if (spare == NULL || bytes < least || bytes > most || bytes < reservation->held_bytes)
    return NULL;
  budget->spare = NULL;
  budget->spare_bytes = 0;
  if (bytes > reservation->held_bytes && !admit(budget, reservation, bytes)) {
    budget->spare = spare;
    budget->spare_bytes = bytes;
    return NULL;
  }
  dequeue(reservation);
  return spare;
}
