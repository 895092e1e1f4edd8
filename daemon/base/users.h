/* users.h - what each user's clients hold of the daemon's resources, and how much more they may.
 *
 * A user is a uid. Of each resource it may hold a share of what the other users leave:
 *
 *   own + more <= share * (limit - what all others hold)
 *
 * With a share of 3/4 one user never holds everything, nor do several together: each time that one
 * more takes all it may, a quarter of the rest remains. One unit is always allowed to a user that
 * holds none, so that a share that is smaller than the smallest unit does not shut it out; the
 * owner of the resource still checks its own limit. Users that are not limited (root, and the user
 * that runs the daemon) have no share, but what they hold counts for the others.
 *
 * Each charge is undone by its holder. A user exists while it has a reference or a charge;
 * users_deinit asserts that none is left. Every function takes NULL for a user that is not known:
 * it is not limited, and nothing is charged. One thread; no loop. */
#ifndef FC_DAEMON_USERS_H
#define FC_DAEMON_USERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/base/round_robin.h"

enum user_resource {
  USER_CONNECTIONS,
  USER_NAMESPACES, /* that it has made */
  USER_MANIFEST_BYTES,
  USER_RING_BYTES,
  USER_LEASES,
  USER_WAITS,       /* for leases of others, until they are answered */
  USER_FRAME_BYTES, /* of frames beyond the floor, outside the lane (intake.h) */
  USER_REPLY_BYTES, /* that replies copy, beyond each connection's floor */
  USER_RESOURCES
};

#define USER_SHARE_DEFAULT 75u /* percent */

/* What a connection waits for a turn for: any request, or a slice of a kind (session.h). */
#define USER_LINES 3u

struct user;

/* Waits for room in its user's share. Zero to start, but for `ready`. */
struct user_wait {
  struct round_robin_item turn; /* first */
  /* There may be room: try again. Called from within user_uncharge; it must make no call of these
   * itself, but only see that one is made later. */
  void (*ready)(struct user_wait *wait);
};

struct user {
  struct users *users;
  uid_t uid;
  bool limited;
  uint32_t references;
  uint32_t frames_in_line; /* for intake.c: over its share, in the queue for the lane */
  uint64_t used[USER_RESOURCES];
  struct round_robin_queue waits[USER_RESOURCES]; /* of struct user_wait */
  struct round_robin_queue lines[USER_LINES];     /* for conns.c, as the next three */
  uint64_t spent_ns;                      /* of the turn that has this number: */
  uint64_t turn;
  uint64_t seen; /* number of the window in which it last had a request */
  struct user *next_in_bucket;
  struct user *next, *prev; /* of all */
};

#define USERS_BUCKETS 256u

struct users {
  uint32_t share_percent; /* 1 to 100; 100: no shares */
  uint64_t limits[USER_RESOURCES];
  uint64_t used[USER_RESOURCES];    /* by all */
  uint64_t refused[USER_RESOURCES]; /* times that a share was in the way, ever */
  struct round_robin waiting[USER_RESOURCES];
  uint32_t n;
  struct user *first; /* of all */
  struct user *buckets[USERS_BUCKETS];
};

/* No limits yet: all 0, see users_set_limit. */
void users_init(struct users *users, uint32_t share_percent);
void users_deinit(struct users *users);
void users_set_limit(struct users *users, enum user_resource resource, uint64_t limit);

/* Finds or makes the user of that uid, with one more reference. `limited` holds from now on. NULL:
 * out of memory. */
struct user *users_ref(struct users *users, uid_t uid, bool limited);
void user_ref(struct user *user);
void user_unref(struct user *user); /* it may be gone after */

/* How much more of the resource the user may take; UINT64_MAX where it is not limited. */
uint64_t user_quota_left(const struct user *user, enum user_resource resource);

/* May it take `amount` more? */
bool user_can_charge(const struct user *user, enum user_resource resource, uint64_t amount);

/* Its share was in the way. */
void user_count_refused(struct user *user, enum user_resource resource);

/* Charges without a check. */
void user_charge(struct user *user, enum user_resource resource, uint64_t amount);

/* Undoes charges. Calls `ready` of a few that wait: of this user, and of another one. The user may
 * be gone after. */
void user_uncharge(struct user *user, enum user_resource resource, uint64_t amount);

/* Waits until user_uncharge calls `ready`, and on after that, until user_wait_cancel. Only for a
 * user that holds some of the resource; counted as refused. Idempotent, as is the other. */
void user_wait_enqueue(struct user *user, enum user_resource resource, struct user_wait *wait);
void user_wait_cancel(struct user_wait *wait);

/* Calls `ready` of a few that wait. */
void user_wake_waiters(struct user *user, enum user_resource resource);

static inline bool user_wait_is_queued(const struct user_wait *wait) {
  return wait->turn.line != NULL;
}
static inline bool user_has_waiters(const struct user *user, enum user_resource resource) {
  return user != NULL && user->waits[resource].n > 0;
}
static inline bool users_have_waiters(const struct users *users, enum user_resource resource) {
  return users->waiting[resource].n > 0;
}

#define USER_TEXT_SIZE 160u

/* "user 1000 holds 750 of the 1000 WHAT, which is its share: ..." into `text`, which it returns. */
const char *user_quota_text(const struct user *user, enum user_resource resource,
                            char text[USER_TEXT_SIZE]);

#endif
