/* users.h - resources that the clients of each user hold, and the share of each resource that one
 * user may hold. A user is a uid. A user may hold a share of the amount that the other users leave:
 *
 *   own + more <= share * (limit - what all others hold)
 *
 * With a share of 3/4, neither one user nor several together hold everything: whenever one more
 * user takes all it may, a quarter of the rest remains. A user that holds none of a resource may
 * always take one unit, so a share below the smallest unit does not lock it out. The owner of the
 * resource checks its own limit besides. Root and the daemon's user have no share, but their
 * charges count for the others.
 *
 * The code that charges a resource also undoes the charge. A user exists while it has a reference
 * or a charge, and users_deinit asserts that none is left. An unknown user is NULL where a function
 * allows that: it has no share, and is charged nothing. One thread. */
#ifndef FC_DAEMON_USERS_H
#define FC_DAEMON_USERS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/base/round_robin.h"

enum user_resource {
  USER_CONNECTIONS,
  USER_NAMESPACES, /* that the user created */
  USER_MANIFEST_BYTES,
  USER_RING_BYTES,
  USER_LEASES,
  USER_WAITS,       /* for leases of other clients, until they are answered */
  USER_FRAME_BYTES, /* of frames beyond each connection's floor, outside the lane (read_budget.h) */
  USER_REPLY_BYTES, /* that replies copy, beyond each connection's floor */
  USER_USAGE_ROWS,  /* names whose lookups are counted: see usage.h */
  USER_WATCHERS,    /* of events */
  USER_RESOURCES
};

#define USER_SHARE_DEFAULT 75u /* percent */

/* Queues of a user's connections in conns.c: one for each slice_kind, and one for other work. */
#define USER_QUEUES 3u

struct user;

/* A wait for room in the user's share. Zero at the start, except `ready`. */
struct user_wait {
  struct round_robin_item item; /* first */
  /* There may be room: try again. Called from within user_uncharge. It must only schedule work. */
  void (*ready)(struct user_wait *wait);
};

struct user {
  struct users *users;
  uid_t uid;
  bool limited; /* it has a share */
  uint32_t references;
  uint32_t lane_waiters; /* for read_budget.c: its frames over the share that wait for the lane */
  uint64_t used[USER_RESOURCES];
  struct round_robin_queue waits[USER_RESOURCES]; /* of struct user_wait */
  struct round_robin_queue queues[USER_QUEUES];   /* for conns.c, as the next three */
  uint64_t spent_ns;                              /* in the turn of this number: */
  uint64_t turn;
  uint64_t seen; /* number of the window of its last request */
  struct user *next_in_bucket;
  struct user *next, *prev; /* in users->first */
};

#define USERS_BUCKETS 256u

struct users {
  uint32_t share_percent; /* 1 to 100; 100: no shares */
  uint64_t limits[USER_RESOURCES];
  uint64_t used[USER_RESOURCES]; /* by all users */
  uint64_t *refused;             /* requests that exceeded a share: users_set_refused */
  uint64_t own_refused[USER_RESOURCES];
  struct round_robin waiting[USER_RESOURCES];
  uint32_t n;
  struct user *first;
  struct user *buckets[USERS_BUCKETS];
};

/* All limits are 0 until users_set_limit. The struct must not move. */
void users_init(struct users *users, uint32_t share_percent);
void users_deinit(struct users *users);
/* Sets another share. A user keeps the resources that it holds above it. */
void users_set_share(struct users *users, uint32_t share_percent);
void users_set_limit(struct users *users, enum user_resource resource, uint64_t limit);

/* Counts requests that exceed a share in `refused` from now on, which has USER_RESOURCES elements
 * and is borrowed. Until then, in `users` itself. */
void users_set_refused(struct users *users, uint64_t *refused);

/* Finds or creates the user of `uid`, and adds a reference. `limited` applies from now on. Returns
 * NULL if out of memory. */
struct user *users_ref(struct users *users, uid_t uid, bool limited);
void user_ref(struct user *user);   /* NULL: does nothing */
void user_unref(struct user *user); /* NULL: does nothing. May free the user */

/* Returns how much more of the resource the user may take; UINT64_MAX without a share, or NULL. */
uint64_t user_quota_left(const struct user *user, enum user_resource resource);

/* Returns true if the user may take `amount` more, or is NULL. */
bool user_can_charge(const struct user *user, enum user_resource resource, uint64_t amount);

/* Counts a request that exceeded the user's share. */
void user_count_refused(struct user *user, enum user_resource resource);

/* Charges `amount`, without a check. NULL: does nothing. */
void user_charge(struct user *user, enum user_resource resource, uint64_t amount);

/* Undoes charges, and calls `ready` of a few waits: of this user and of another one. NULL: does
 * nothing. May free the user. */
void user_uncharge(struct user *user, enum user_resource resource, uint64_t amount);

/* Queues a wait of a user that holds some of the resource, and counts it as refused. `ready` may be
 * called repeatedly until user_wait_cancel. Both are idempotent. */
void user_wait_enqueue(struct user *user, enum user_resource resource, struct user_wait *wait);
void user_wait_cancel(struct user_wait *wait);

/* Calls `ready` of the user's first few waits. NULL: does nothing. */
void user_wake_waiters(struct user *user, enum user_resource resource);

static inline bool user_wait_is_queued(const struct user_wait *wait) {
  return wait->item.queue != NULL;
}
static inline bool user_has_waiters(const struct user *user, enum user_resource resource) {
  return user != NULL && user->waits[resource].n > 0;
}
static inline bool users_have_waiters(const struct users *users, enum user_resource resource) {
  return users->waiting[resource].n > 0;
}

#define USER_TEXT_SIZE 160u

/* Writes "user 1000 holds 750 of 1000 connections, which is its share (--user-share 75)" into
 * `text`, and returns it. */
const char *user_quota_text(const struct user *user, enum user_resource resource,
                            char text[USER_TEXT_SIZE]);

#endif
