/* Shares, references and waits of users, also at random against a model.
 */
#include <check.h>
#include <stdlib.h>

#include "daemon/base/users.h"
#include "tests/support/runner.h"

static struct users users;

static void set_up(void) {
  users_init(&users, 75);
  users_set_limit(&users, USER_LEASES, 100);
}

static void tear_down(void) {
  users_deinit(&users);
}

static struct user *join(uid_t uid) {
  struct user *user = users_ref(&users, uid, true);
  ck_assert_ptr_nonnull(user);
  return user;
}

/* Charges leases one by one, as many as the user may hold. Returns their number. */
static unsigned charge_share(struct user *user) {
  unsigned taken = 0;
  for (; user_can_charge(user, USER_LEASES, 1); taken++)
    user_charge(user, USER_LEASES, 1);
  return taken;
}

static void release_all(struct user *user) {
  user_uncharge(user, USER_LEASES, user->used[USER_LEASES]);
  user_unref(user);
}

START_TEST(user_holds_share_of_the_rest_at_most) {
  struct user *one = join(1), *two = join(2), *three = join(3);
  ck_assert_uint_eq(charge_share(one), 75);
  ck_assert_uint_eq(charge_share(two), 18); /* 3/4 of 25 */
  ck_assert_uint_eq(charge_share(three), 5);
  ck_assert_uint_eq(charge_share(one), 0);
  ck_assert_uint_le(users.used[USER_LEASES], 98);
  release_all(one);
  ck_assert_uint_eq(charge_share(two), 71 - 18); /* 3/4 of 95 */
  release_all(two);
  release_all(three);
}
END_TEST

/* When one more user takes its whole share, a quarter of the rest remains. */
START_TEST(users_together_never_hold_everything) {
  const uint64_t limit = UINT64_C(1) << 40;
  struct user *all[15];
  users_set_limit(&users, USER_LEASES, limit);
  for (uid_t i = 0; i < 15; i++) {
    all[i] = join(i);
    for (uid_t j = 0; j <= i; j++) /* also users that took their share before */
      user_charge(all[j], USER_LEASES, user_quota_left(all[j], USER_LEASES));
    ck_assert_uint_lt(users.used[USER_LEASES], limit);
  }
  for (uid_t i = 0; i < 15; i++)
    release_all(all[i]);
}
END_TEST

START_TEST(user_without_holdings_may_take_one_unit) {
  struct user *user = join(1);
  users_set_limit(&users, USER_LEASES, 1); /* a share of 0 */
  ck_assert_uint_eq(user_quota_left(user, USER_LEASES), 0);
  ck_assert(user_can_charge(user, USER_LEASES, 1));
  ck_assert(user_can_charge(user, USER_FRAME_BYTES, 1u << 30)); /* a resource with a limit of 0 */
  user_charge(user, USER_LEASES, 1);
  ck_assert(!user_can_charge(user, USER_LEASES, 1));
  release_all(user);
}
END_TEST

START_TEST(unlimited_user_has_no_share) {
  struct user *root = users_ref(&users, 0, false), *user = join(1);
  user_charge(root, USER_LEASES, 90);
  ck_assert(user_can_charge(root, USER_LEASES, 1000));
  ck_assert_uint_eq(user_quota_left(root, USER_LEASES), UINT64_MAX);
  ck_assert_uint_eq(charge_share(user), 7); /* 3/4 of 10 */
  user_charge(root, USER_LEASES, 50);       /* past the limit */
  ck_assert_uint_eq(user_quota_left(user, USER_LEASES), 0);
  release_all(root);
  release_all(user);
  ck_assert(user_can_charge(NULL, USER_LEASES, 1000));
}
END_TEST

START_TEST(share_of_100_limits_nothing) {
  users_init(&users, 100);
  struct user *user = join(1);
  user_charge(user, USER_LEASES, 1);
  ck_assert(user_can_charge(user, USER_LEASES, UINT64_MAX));
  release_all(user);
}
END_TEST

START_TEST(user_freed_with_last_charge_and_reference) {
  struct user *user = join(7);
  ck_assert_ptr_eq(join(7), user);
  ck_assert_uint_eq(users.n, 1);
  user_unref(user);
  user_charge(user, USER_MANIFEST_BYTES, 5);
  user_unref(user);
  ck_assert_uint_eq(users.n, 1);
  ck_assert_ptr_eq(join(7), user);
  user_unref(user);
  user_uncharge(user, USER_MANIFEST_BYTES, 5);
  ck_assert_uint_eq(users.n, 0);
  user = join(7);
  struct user *near = join(7 + USERS_BUCKETS), *far = join(7 + 2 * USERS_BUCKETS);
  user_unref(near);
  ck_assert_ptr_eq(join(7 + 2 * USERS_BUCKETS), far);
  ck_assert_ptr_eq(join(7), user);
  for (int i = 0; i < 2; i++) {
    user_unref(user);
    user_unref(far);
  }
}
END_TEST

/* ---- waits ---- */

static unsigned called;
static struct user_wait *last_called;

static void note(struct user_wait *wait) {
  called++;
  last_called = wait;
}

START_TEST(uncharge_calls_waiters) {
  struct user *one = join(1), *two = join(2);
  struct user_wait waits[3] = {{.ready = note}, {.ready = note}, {.ready = note}};
  (void)charge_share(one);
  (void)charge_share(two);
  called = 0;
  user_wait_enqueue(one, USER_LEASES, &waits[0]);
  user_wait_enqueue(one, USER_LEASES, &waits[0]);
  user_wait_enqueue(one, USER_LEASES, &waits[1]);
  ck_assert(user_has_waiters(one, USER_LEASES) && !user_has_waiters(two, USER_LEASES));
  ck_assert_uint_eq(users.refused[USER_LEASES], 2);
  user_uncharge(one, USER_LEASES, 1);
  ck_assert_uint_eq(called, 2);
  user_uncharge(two, USER_LEASES, 1); /* room for the other, too */
  ck_assert_uint_eq(called, 4);
  user_wait_cancel(&waits[0]);
  user_wait_cancel(&waits[0]);
  user_wait_enqueue(two, USER_LEASES, &waits[2]);
  user_uncharge(two, USER_LEASES, 1);
  ck_assert_uint_eq(called, 6);
  ck_assert_ptr_eq(last_called, &waits[1]);
  user_wait_cancel(&waits[1]);
  user_wait_cancel(&waits[2]);
  ck_assert(!users_have_waiters(&users, USER_LEASES));
  user_uncharge(one, USER_LEASES, 1);
  ck_assert_uint_eq(called, 6);
  release_all(one);
  release_all(two);
}
END_TEST

/* ---- at random ---- */

enum { USERS = 5, STEPS = 20000 };

struct model {
  struct user *user; /* NULL: it is not there */
  unsigned references;
  uint64_t used[USER_RESOURCES];
};

static bool is_there(const struct model *model) {
  bool there = model->references > 0;
  for (int r = 0; r < USER_RESOURCES; r++)
    there = there || model->used[r] > 0;
  return there;
}

static uint64_t others(const struct model *models, int own, int resource) {
  uint64_t sum = 0;
  for (int i = 0; i < USERS; i++)
    sum += i == own ? 0 : models[i].used[resource];
  return sum;
}

/* The rule of users.h, in floating point. */
static bool may_take(const struct model *models, int own, int resource, uint64_t amount) {
  double left = 100.0 - (double)others(models, own, resource);
  double sum = (double)(models[own].used[resource] + amount);
  return own == 0 || models[own].used[resource] == 0 || sum <= 0.75 * (left > 0 ? left : 0);
}

static void step(struct model *models) {
  int own = rand() % USERS, resource = rand() % USER_RESOURCES;
  struct model *model = &models[own];
  uint64_t amount = 1 + (uint64_t)(rand() % 20);
  switch (rand() % 4) {
  case 0:
    model->user = users_ref(&users, (uid_t)own, own != 0);
    model->references++;
    break;
  case 1:
    if (model->references > 0) {
      model->references--;
      user_unref(model->user);
    }
    break;
  case 2:
    if (!is_there(model))
      break;
    ck_assert_int_eq(user_can_charge(model->user, (enum user_resource)resource, amount),
                     may_take(models, own, resource, amount));
    if (may_take(models, own, resource, amount)) {
      user_charge(model->user, (enum user_resource)resource, amount);
      model->used[resource] += amount;
    }
    break;
  default:
    amount = amount < model->used[resource] ? amount : model->used[resource];
    model->used[resource] -= amount;
    user_uncharge(amount > 0 ? model->user : NULL, (enum user_resource)resource, amount);
    break;
  }
}

static void check(const struct model *models) {
  uint32_t n = 0;
  for (int i = 0; i < USERS; i++)
    n += is_there(&models[i]);
  ck_assert_uint_eq(users.n, n);
  for (int r = 0; r < USER_RESOURCES; r++)
    ck_assert_uint_eq(users.used[r], others(models, -1, r));
}

START_TEST(random_charges_sum_up_and_end_at_zero) {
  struct model models[USERS] = {{0}};
  srand((unsigned)_i);
  for (int r = 0; r < USER_RESOURCES; r++)
    users_set_limit(&users, (enum user_resource)r, 100);
  for (int i = 0; i < STEPS; i++) {
    step(models);
    check(models);
  }
  for (int i = 0; i < USERS; i++) {
    if (!is_there(&models[i]))
      continue;
    user_ref(models[i].user); /* until all is released */
    for (int r = 0; r < USER_RESOURCES; r++)
      user_uncharge(models[i].user, (enum user_resource)r, models[i].used[r]);
    for (unsigned left = models[i].references + 1; left > 0; left--)
      user_unref(models[i].user);
  }
  ck_assert_uint_eq(users.n, 0); /* and tear_down asserts the rest */
}
END_TEST

/* ---- turns ---- */

START_TEST(queues_take_turns_at_any_length) {
  struct round_robin turns = {0};
  struct round_robin_queue busy = {0}, calm = {0};
  struct round_robin_item many[5] = {{0}}, few[2] = {{0}};
  for (int i = 0; i < 5; i++)
    round_robin_add(&turns, &busy, &many[i]);
  round_robin_add(&turns, &calm, &few[0]);
  round_robin_add(&turns, &calm, &few[1]);
  ck_assert_ptr_eq(round_robin_next(&turns), &many[0]);
  ck_assert_ptr_eq(round_robin_next(&turns), &few[0]);
  round_robin_remove(&many[2]);
  round_robin_remove(&many[2]);
  ck_assert_ptr_eq(round_robin_next(&turns), &many[1]);
  ck_assert_ptr_eq(round_robin_next(&turns), &few[1]);
  ck_assert_uint_eq(turns.n, 1);
  ck_assert_ptr_eq(round_robin_next(&turns), &many[3]);
  round_robin_add(&turns, &calm, &few[0]);
  ck_assert_ptr_eq(round_robin_next(&turns), &many[4]);
  ck_assert_ptr_eq(round_robin_next(&turns), &few[0]);
  ck_assert_ptr_null(round_robin_next(&turns));
  ck_assert_uint_eq(turns.n, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("users");
  TCase *tests = tcase_create("users");
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_test(tests, user_holds_share_of_the_rest_at_most);
  tcase_add_test(tests, users_together_never_hold_everything);
  tcase_add_test(tests, user_without_holdings_may_take_one_unit);
  tcase_add_test(tests, unlimited_user_has_no_share);
  tcase_add_test(tests, share_of_100_limits_nothing);
  tcase_add_test(tests, user_freed_with_last_charge_and_reference);
  tcase_add_test(tests, uncharge_calls_waiters);
  tcase_add_loop_test(tests, random_charges_sum_up_and_end_at_zero, 1, 5);
  tcase_add_test(tests, queues_take_turns_at_any_length);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
