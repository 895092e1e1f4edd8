/* The rules of who computes and who waits, one by one. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/leases.h"
#include "runner.h"

#define HOLDERS 5u
#define TERM 1000u
#define WAIT 5000u
#define NOW 100u

static struct leases leases;
static struct counters counters;
static struct namespace space, other_space;
static struct lease_holder holders[HOLDERS];
static struct lease_holder *const a = &holders[0], *const b = &holders[1], *const c = &holders[2];
static uint32_t last_id;

static const struct leases_limits wide = {.leases = 1000,
                                          .leases_each = 1000,
                                          .waits = 1000,
                                          .waits_each = 1000,
                                          .time_max_ns = UINT64_MAX};

static void set_up(void) {
  counters = (struct counters){0};
  leases_init(&leases, &wide, &counters);
  namespace_init(&space, fc_str_of("space"), 11, 1);
  namespace_init(&other_space, fc_str_of("other"), 12, 1);
  memset(holders, 0, sizeof holders);
  last_id = 0;
}

/* Whatever a case does, nothing is left when all have left. */
static void tear_down(void) {
  for (size_t i = 0; i < HOLDERS; i++)
    leases_leave(&leases, &holders[i], NOW);
  ck_assert_uint_eq(leases.n, 0);
  ck_assert_uint_eq(leases.waits, 0);
  ck_assert_ptr_null(leases_next_due(&leases));
  ck_assert_uint_eq(leases_next_ns(&leases), UINT64_MAX);
  leases_deinit(&leases);
  namespace_deinit(&space);
  namespace_deinit(&other_space);
}

static struct fc_key key_of(uint8_t prompt) {
  struct fc_key key = {.op = fc_str_of("logprob_of"), .view = fc_str_of("base")};
  key.prompt.bytes[0] = prompt;
  return key;
}

static struct lease_request request_of(const struct fc_key *key) {
  return (struct lease_request){.ns = &space,
                                .digest = fc_key_digest(space.seed, key),
                                .key = key,
                                .wants = true,
                                .term_ns = TERM,
                                .wait_ns = WAIT,
                                .id = ++last_id,
                                .flags = FC_LEASE};
}

static enum lease_answer ask_at(struct lease_holder *holder, uint8_t prompt, uint64_t now_ns) {
  struct fc_key key = key_of(prompt);
  struct lease_request request = request_of(&key);
  return leases_ask(&leases, holder, &request, now_ns);
}

static void gets(struct lease_holder *holder, uint8_t prompt) {
  ck_assert_int_eq(ask_at(holder, prompt, NOW), LEASE_GRANTED);
}

static void waits(struct lease_holder *holder, uint8_t prompt) {
  ck_assert_int_eq(ask_at(holder, prompt, NOW), LEASE_WAITS);
}

static void put_at(uint8_t prompt, uint64_t now_ns) {
  struct fc_key key = key_of(prompt);
  leases_put(&leases, &space, fc_key_digest(space.seed, &key), &key, now_ns);
}

/* The holder's first due wait is for this prompt, and ended so. It is answered. */
static void is_told(struct lease_holder *holder, uint8_t prompt, enum lease_end end) {
  ck_assert_ptr_nonnull(holder->due_first);
  ck_assert_uint_eq(holder->due_first->lease->key.prompt.bytes[0], prompt);
  ck_assert_int_eq(holder->due_first->end, end);
  lease_due_done(holder);
}

START_TEST(first_gets_the_lease_the_others_wait_and_a_put_answers_all) {
  gets(a, 1);
  waits(b, 1);
  waits(c, 1);
  ck_assert_ptr_null(leases_next_due(&leases));
  put_at(1, NOW + 7);
  ck_assert_ptr_eq(leases_next_due(&leases), b);
  ck_assert_ptr_eq(leases_next_due(&leases), c);
  ck_assert_ptr_null(leases_next_due(&leases));
  is_told(b, 1, LEASE_END_PUT);
  is_told(c, 1, LEASE_END_PUT);
  ck_assert_uint_eq(leases.n, 0);
  ck_assert_uint_eq(a->held, 0);
  ck_assert_uint_eq(counters.leases_granted, 1);
  ck_assert_uint_eq(counters.leases_abandoned, 0);
  ck_assert_uint_eq(counters.lease_wait_ns, 14);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("leases");
  TCase *tcase = tcase_create("leases");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, first_gets_the_lease_the_others_wait_and_a_put_answers_all);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
