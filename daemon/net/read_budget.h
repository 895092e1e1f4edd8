/* read_budget.h - memory for unfinished and waiting frames of all clients, above each client's
 * floor (INPUT_FLOOR).
 *
 * A frame reserves memory as its bytes arrive, so a client that announces much and sends little
 * holds little. A frame whose next step fits passes frames whose step does not.
 *
 * Frames that each hold a part and wait for the rest could block each other. So the budget has
 * parts:
 * - The shared part is for all frames. One frame may hold half of it.
 * - The lane has room for one frame of the largest size, and belongs to one frame at a time: the
 *   first that waited. That frame moves there with all that it holds, and always finishes, or its
 *   client is dropped. Then the next waiter has the lane.
 * - The whole part is for frames that are whole and wait for something other than memory. So a
 *   caller that has seen room in it may read the rest of a frame and keep it.
 *
 * In the shared part, a user's frames hold at most its share (users.h). Above the share, one frame
 * of the user waits for the lane, and its other frames wait for that one.
 *
 * The large buffer of a finished frame may be kept as a spare for the next one, which then needs no
 * new pages. It counts as free: it is freed when a reservation needs its bytes.
 *
 * The connection that reserves also releases. read_budget_deinit asserts that no reservation is
 * left. One thread. */
#ifndef FC_DAEMON_READ_BUDGET_H
#define FC_DAEMON_READ_BUDGET_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/users.h"

/* The reservation of one connection's frame. While it holds nothing, zero except `user`, `ready`
 * and `share.ready`. Must not move while it waits. */
struct read_reservation {
  struct user *user;                    /* borrowed; NULL: without a share */
  struct user_wait share;               /* the wait for the user's share; `ready` tries again */
  bool past_share;                      /* waits for the lane alone */
  struct read_reservation *next, *prev; /* waiters; NULL: not waiting there */
  size_t wanted_bytes;                  /* it waits to hold so many */
  size_t held_bytes;
  size_t lane_bytes;  /* of held_bytes, in the lane; 0: it does not have the lane */
  size_t whole_bytes; /* of held_bytes, in the whole part */
  /* The bytes that it waited for are reserved. Called from within the functions below. It must only
   * schedule work. */
  void (*ready)(struct read_reservation *reservation);
};

struct read_budget {
  size_t shared_limit_bytes, lane_limit_bytes, whole_limit_bytes;
  size_t used_bytes;               /* all reservations */
  size_t shared_bytes;             /* of used_bytes, in the shared part */
  size_t whole_bytes;              /* of used_bytes, in the whole part */
  struct read_reservation *lane;   /* that has the lane, or NULL */
  struct read_reservation waiters; /* head of the ring */
  void *spare;                     /* owned; NULL: none */
  size_t spare_bytes;
  unsigned starved; /* for input_buffer.c: small frames that wait for memory */
};

/* `largest_bytes` is the size of the largest frame. What `limit_bytes` leaves beside such a frame
 * is shared. That may be nothing: then large frames are received one after another, as are those
 * above half of the shared part. `whole_bytes` is added for whole frames. */
void read_budget_init(struct read_budget *budget, size_t limit_bytes, size_t largest_bytes,
                      size_t whole_bytes);
void read_budget_deinit(struct read_budget *budget);

/* Reserves until the frame holds `wanted_bytes`, at most `largest_bytes`. Otherwise queues it and
 * returns false. */
bool read_budget_reserve(struct read_budget *budget, struct read_reservation *reservation,
                         size_t wanted_bytes);

/* Reserves for a whole frame, from the shared part or the whole part. Returns false if neither has
 * room; the frame is not queued. */
bool read_budget_reserve_whole(struct read_budget *budget, struct read_reservation *reservation,
                               size_t wanted_bytes);

/* Releases the bytes that the frame holds above `bytes`, and cancels its wait. Waiters that have
 * room now get it. */
void read_budget_shrink(struct read_budget *budget, struct read_reservation *reservation,
                        size_t bytes);

/* Releases everything. Idempotent. */
void read_budget_release(struct read_budget *budget, struct read_reservation *reservation);

/* Cancels the wait; the frame keeps its bytes. Idempotent. */
void read_budget_cancel_wait(struct read_budget *budget, struct read_reservation *reservation);

/* Returns true if any frame that holds nothing could reserve `bytes` now. */
static inline bool read_budget_has_room(const struct read_budget *budget, size_t bytes) {
  return budget->waiters.next == &budget->waiters && bytes <= budget->shared_limit_bytes / 2 &&
         bytes <= budget->shared_limit_bytes - budget->shared_bytes;
}

/* Returns true if read_budget_reserve_whole would succeed with the whole part alone. */
static inline bool read_budget_has_room_whole(const struct read_budget *budget, size_t bytes) {
  return bytes <= budget->whole_limit_bytes - budget->whole_bytes;
}

/* Takes ownership of a malloc'd buffer as the spare. Frees the former one; frees the buffer if it
 * has no room beside the reservations. */
void read_budget_give_spare(struct read_budget *budget, void *buffer, size_t bytes);

/* Returns the spare if it has `least` to `most` bytes and the frame can reserve them: then the
 * frame holds exactly its bytes. Otherwise returns NULL and changes nothing. */
void *read_budget_reuse_spare(struct read_budget *budget, struct read_reservation *reservation,
                              size_t least, size_t most);

static inline bool read_reservation_is_waiting(const struct read_reservation *reservation) {
  return reservation->next != NULL || user_wait_is_queued(&reservation->share);
}
static inline bool read_budget_has_waiters(const struct read_budget *budget) {
  return budget->waiters.next != &budget->waiters;
}

#endif
