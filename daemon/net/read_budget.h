/* intake.h - the memory that unfinished and waiting frames of all clients together may hold beyond
 * the floor that each client has (CONN_FLOOR).
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
 * Of the first part a user's frames hold its share at most (users.h). Past that, one frame of the
 * user waits for the lane among the others' frames, and the rest of them for that one.
 *
 * A third part is for frames that are whole and wait for something else: they never wait for memory
 * here, so whoever has seen that there is room in it may read the rest of a frame and keep it.
 *
 * A large buffer that a frame is done with can be kept as a spare for the next one, which then
 * needs no new pages. It counts as free: where a reservation needs its bytes, it goes back to the
 * system.
 *
 * One thread. Each frame is released by its holder; read_budget_deinit asserts that nothing is left. */
#ifndef FC_DAEMON_INTAKE_H
#define FC_DAEMON_INTAKE_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/users.h"

/* One connection's frame. Zero but for `user`, `ready` and `share.ready` while it holds nothing;
 * not to be moved while it waits. */
struct read_reservation {
  struct user *user;                /* borrowed; NULL: it is nobody's, and has no share */
  struct user_wait share;           /* for its user's share: `ready` of it only tries again */
  bool past_share;                  /* among the waiters for the lane alone */
  struct read_reservation *next, *prev; /* among the waiters; NULL: it does not wait there */
  size_t wanted_bytes;              /* what it waits for: of the whole frame so far */
  size_t held_bytes;                /* reserved */
  size_t lane_bytes;                /* of these, in the lane; 0 where it has not the lane */
  size_t whole_bytes;               /* of these, in the part for whole frames */
  /* What it waited for is reserved. Called from within the calls below; it must make no call of
   * them itself, but only see that one is made later. */
  void (*ready)(struct read_reservation *frame);
};

struct read_budget {
  size_t shared_limit_bytes, lane_limit_bytes, whole_limit_bytes;
  size_t used_bytes;           /* all that is reserved */
  size_t shared_bytes;         /* of that, in the shared part */
  size_t whole_bytes;          /* of that, in the part for whole frames */
  struct read_reservation *lane;   /* whose it is; NULL: nobody's */
  struct read_reservation waiters; /* head of the ring */
  void *spare;                 /* owned; NULL: none */
  size_t spare_bytes;
};

/* `largest_bytes`: no frame is larger. What is left of `limit_bytes` beside one of that size is
 * shared; nothing may be left: then large frames are received one after another, as are those over
 * half of the shared part. `whole_bytes` come on top, for frames that are whole. */
void read_budget_init(struct read_budget *intake, size_t limit_bytes, size_t largest_bytes,
                 size_t whole_bytes);
void read_budget_deinit(struct read_budget *intake);

/* Reserves until the frame holds `wanted_bytes` in all, at most `largest_bytes`; or queues it
 * (once) and returns false. */
bool read_budget_reserve(struct read_budget *intake, struct read_reservation *frame, size_t wanted_bytes);

/* The same for a frame that is whole, also from the part for such. It is not queued. */
bool read_budget_reserve_whole(struct read_budget *intake, struct read_reservation *frame, size_t wanted_bytes);

/* Returns what the frame holds beyond `bytes`, and its place among the waiters. Waiters that now
 * have room get it. Nothing happens where it holds no more and does not wait. */
void read_budget_shrink(struct read_budget *intake, struct read_reservation *frame, size_t bytes);

/* Returns all of it. Idempotent. */
void read_budget_release(struct read_budget *intake, struct read_reservation *frame);

/* Leaves the waiters, with all that it holds. Idempotent. */
void read_budget_cancel_wait(struct read_budget *intake, struct read_reservation *frame);

/* Would any frame that holds nothing get `bytes` at once? Stays true until a reservation is made.
 */
static inline bool read_budget_has_room(const struct read_budget *intake, size_t bytes) {
  return intake->waiters.next == &intake->waiters && bytes <= intake->shared_limit_bytes / 2 &&
         bytes <= intake->shared_limit_bytes - intake->shared_bytes;
}

/* The same for read_budget_reserve_whole. */
static inline bool read_budget_has_room_whole(const struct read_budget *intake, size_t bytes) {
  return bytes <= intake->whole_limit_bytes - intake->whole_bytes;
}

/* Takes a buffer of malloc as the spare in place of the one that there was, or frees it where there
 * is no room for it beside what is reserved. */
void read_budget_give_spare(struct read_budget *intake, void *buffer, size_t bytes);

/* Hands out the spare if it has `least` to `most` bytes and the frame can hold it: its bytes are
 * then what the frame holds in all. NULL, with nothing changed, where not. */
void *read_budget_reuse_spare(struct read_budget *intake, struct read_reservation *frame, size_t least,
                        size_t most);

static inline bool read_reservation_is_waiting(const struct read_reservation *frame) {
  return frame->next != NULL || user_wait_is_queued(&frame->share);
}
static inline bool read_budget_has_waiters(const struct read_budget *intake) {
  return intake->waiters.next != &intake->waiters;
}

#endif
