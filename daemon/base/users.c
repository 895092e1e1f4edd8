#include "daemon/base/users.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define WOKEN_MAX 8u /* waits of one user, at a time */

void users_init(struct users *users, uint32_t share_percent) {
  assert(share_percent >= 1 && share_percent <= 100);
  *users = (struct users){.share_percent = share_percent};
  users->refused = users->own_refused;
}

void users_deinit(struct users *users) {
  for (int resource = 0; resource < USER_RESOURCES; resource++)
    assert(users->used[resource] == 0 && users->waiting[resource].n == 0);
  assert(users->n == 0 && users->first == NULL);
  (void)users; /* without assertions */
}

void users_set_limit(struct users *users, enum user_resource resource, uint64_t limit) {
  users->limits[resource] = limit;
}

void users_set_share(struct users *users, uint32_t share_percent) {
  users->share_percent = share_percent;
}

void users_set_refused(struct users *users, uint64_t *refused) {
  users->refused = refused;
}

/* ---- references ---- */

/* Consecutive uids are in different buckets. */
static struct user **bucket_of(struct users *users, uid_t uid) {
  return &users->buckets[uid % USERS_BUCKETS];
}

static struct user *find(struct users *users, uid_t uid) {
  struct user *user = *bucket_of(users, uid);
  while (user != NULL && user->uid != uid)
    user = user->next_in_bucket;
  return user;
}

static struct user *make(struct users *users, uid_t uid) {
  struct user *user = calloc(1, sizeof *user);
  if (user == NULL)
    return NULL;
  struct user **bucket = bucket_of(users, uid);
  user->users = users;
  user->uid = uid;
  user->next_in_bucket = *bucket;
  *bucket = user;
  user->next = users->first;
  if (user->next != NULL)
    user->next->prev = user;
  users->first = user;
  users->n++;
  return user;
}

static void discard(struct user *user) {
  struct users *users = user->users;
  struct user **at = bucket_of(users, user->uid);
  while (*at != user)
    at = &(*at)->next_in_bucket;
  *at = user->next_in_bucket;
  *(user->prev == NULL ? &users->first : &user->prev->next) = user->next;
  if (user->next != NULL)
    user->next->prev = user->prev;
  for (int resource = 0; resource < USER_RESOURCES; resource++)
    assert(user->waits[resource].n == 0);
  assert(user->lane_waiters == 0);
  for (unsigned i = 0; i < USER_QUEUES; i++)
    assert(user->queues[i].n == 0);
  users->n--;
  free(user);
}

static void discard_if_unused(struct user *user) {
  if (user->references > 0)
    return;
  for (int resource = 0; resource < USER_RESOURCES; resource++)
    if (user->used[resource] > 0)
      return;
  discard(user);
}

struct user *users_ref(struct users *users, uid_t uid, bool limited) {
  struct user *user = find(users, uid);
  if (user == NULL)
    user = make(users, uid);
  if (user == NULL)
    return NULL;
  user->limited = limited;
  user->references++;
  return user;
}

void user_ref(struct user *user) {
  if (user != NULL)
    user->references++;
}

void user_unref(struct user *user) {
  if (user == NULL)
    return;
  assert(user->references > 0);
  user->references--;
  discard_if_unused(user);
}

/* ---- shares ---- */

static uint64_t share_of(uint64_t left, uint32_t percent) {
  return left / 100 * percent + left % 100 * percent / 100; /* does not overflow */
}

/* Returns the user's share of the amount that the others leave. */
static uint64_t share(const struct user *user, enum user_resource resource) {
  const struct users *users = user->users;
  assert(users->used[resource] >= user->used[resource]);
  uint64_t others = users->used[resource] - user->used[resource];
  uint64_t limit = users->limits[resource];
  return share_of(limit > others ? limit - others : 0, users->share_percent);
}

static bool has_share(const struct user *user) {
  return user != NULL && user->limited && user->users->share_percent < 100;
}

uint64_t user_quota_left(const struct user *user, enum user_resource resource) {
  if (!has_share(user))
    return UINT64_MAX;
  uint64_t most = share(user, resource), own = user->used[resource];
  return most > own ? most - own : 0;
}

bool user_can_charge(const struct user *user, enum user_resource resource, uint64_t amount) {
  return !has_share(user) || user->used[resource] == 0 || amount <= user_quota_left(user, resource);
}

void user_count_refused(struct user *user, enum user_resource resource) {
  user->users->refused[resource]++;
}

void user_charge(struct user *user, enum user_resource resource, uint64_t amount) {
  if (user == NULL)
    return;
  user->used[resource] += amount;
  user->users->used[resource] += amount;
}

/* ---- waits ---- */

void user_wait_enqueue(struct user *user, enum user_resource resource, struct user_wait *wait) {
  if (wait->item.queue == &user->waits[resource])
    return;
  round_robin_remove(&wait->item); /* it may wait for another resource */
  assert(user->used[resource] > 0);
  user_count_refused(user, resource);
  round_robin_add(&user->users->waiting[resource], &user->waits[resource], &wait->item);
}

void user_wait_cancel(struct user_wait *wait) {
  round_robin_remove(&wait->item);
}

static void wake(const struct round_robin_queue *queue) {
  struct round_robin_item *item = queue->first;
  for (unsigned woken = 0; item != NULL && woken < WOKEN_MAX; woken++) {
    struct round_robin_item *next = item->next;
    struct user_wait *wait = (struct user_wait *)item;
    wait->ready(wait);
    item = next;
  }
}

void user_wake_waiters(struct user *user, enum user_resource resource) {
  if (user != NULL)
    wake(&user->waits[resource]);
}

/* Bytes that one user returns are room for others too. Each release wakes the next user. */
static void wake_after_release(struct user *user, enum user_resource resource) {
  struct round_robin_queue *own = &user->waits[resource];
  struct round_robin *waiting = &user->users->waiting[resource];
  wake(own);
  if (own->n > 0)
    round_robin_move_last(own);
  if (waiting->first == NULL || waiting->first == own)
    return;
  round_robin_move_last(waiting->first);
  wake(waiting->last);
}

void user_uncharge(struct user *user, enum user_resource resource, uint64_t amount) {
  if (user == NULL || amount == 0)
    return;
  struct users *users = user->users;
  assert(user->used[resource] >= amount && users->used[resource] >= amount);
  user->used[resource] -= amount;
  users->used[resource] -= amount;
  if (users_have_waiters(users, resource))
    wake_after_release(user, resource);
  discard_if_unused(user);
}

/* ---- text ---- */

const char *user_quota_text(const struct user *user, enum user_resource resource,
                            char text[USER_TEXT_SIZE]) {
  static const char *const names[USER_RESOURCES] = {[USER_CONNECTIONS] = "connections",
                                                    [USER_NAMESPACES] = "namespaces",
                                                    [USER_MANIFEST_BYTES] = "bytes of manifests",
                                                    [USER_RING_BYTES] = "bytes of rings",
                                                    [USER_LEASES] = "leases",
                                                    [USER_WAITS] = "waits",
                                                    [USER_FRAME_BYTES] = "bytes of requests",
                                                    [USER_REPLY_BYTES] = "bytes of replies",
                                                    [USER_USAGE_ROWS] = "rows of usage",
                                                    [USER_WATCHERS] = "watchers"};
  (void)snprintf(text, USER_TEXT_SIZE,
                 "user %" PRIu32 " holds %" PRIu64 " of %" PRIu64
                 " %s, which is its share (--user-share %" PRIu32 ")",
                 (uint32_t)user->uid, user->used[resource], user->users->limits[resource],
                 names[resource], user->users->share_percent); /* fits */
  return text;
}
