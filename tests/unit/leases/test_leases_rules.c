/* The rules of leases and waits, as a table of the steps of a few clients. */
#include <check.h>
#include <stdlib.h>

#include "tests/support/leases_fixture.h"
#include "tests/support/runner.h"

enum verb {
  END_OF_STEPS,
  ACQUIRE,     /* wants the lease, or waits */
  TRY,         /* wants the lease, and does not wait */
  ONLY_WAIT,   /* waits, and does not want the lease */
  PUT,         /* by any client */
  GIVE_UP,     /* `how`: whether the client had the lease */
  WITHHOLD,    /* the same, for all waiters */
  GIVE_UP_ALL, /* `how`: the number of leases */
  GONE,
  CLEAR,
  TIME,     /* NOW + `how`: expires leases and waits */
  WAIT_END, /* the client's first due wait is for that prompt, and ended this way */
  OWNS,     /* `how`: whether the client has the lease */
};

struct step {
  enum verb verb;
  uint32_t client;
  uint8_t prompt;
  uint32_t how;
};

/* clang-format off */
#define ACQUIRES(client, prompt, answer) {ACQUIRE, client, prompt, LEASE_##answer}
#define TRIES(client, prompt, answer) {TRY, client, prompt, LEASE_##answer}
#define ONLY_WAITS(client, prompt, answer) {ONLY_WAIT, client, prompt, LEASE_##answer}
#define PUTS(client, prompt) {PUT, client, prompt, 0}
#define GIVES_UP(client, prompt, had) {GIVE_UP, client, prompt, had}
#define WITHHOLDS(client, prompt, had) {WITHHOLD, client, prompt, had}
#define GIVES_UP_ALL(client, n) {GIVE_UP_ALL, client, 0, n}
#define IS_GONE(client) {GONE, client, 0, 0}
#define CLEARS() {CLEAR, 0, 0, 0}
#define TIME_IS(ns) {TIME, 0, 0, ns}
#define WAIT_ENDS(client, prompt, end) {WAIT_END, client, prompt, LEASE_END_##end}
#define HAS(client, prompt) {OWNS, client, prompt, true}
#define HAS_NOT(client, prompt) {OWNS, client, prompt, false}
/* clang-format on */

enum { A, B, C };

/* After the steps no wait is due, and the counters have these values. */
struct rule {
  const char *name;
  struct {
    uint32_t granted, abandoned, expired;
  } n;
  struct step steps[14];
};

static const struct rule rules[] = {
    {"first client gets the lease, others wait, a put ends all waits",
     {1, 0, 0},
     {ACQUIRES(A, 1, GRANTED), ACQUIRES(B, 1, WAITS), ONLY_WAITS(C, 1, WAITS), PUTS(A, 1),
      WAIT_ENDS(B, 1, PUT), WAIT_ENDS(C, 1, PUT), HAS_NOT(A, 1)}},
    {"put by another client ends the lease",
     {1, 0, 0},
     {ACQUIRES(A, 1, GRANTED), ACQUIRES(B, 1, WAITS), PUTS(C, 1), WAIT_ENDS(B, 1, PUT),
      HAS_NOT(A, 1), GIVES_UP(A, 1, false)}},
    {"put of a key without a lease changes nothing",
     {1, 0, 0},
     {PUTS(A, 1), ACQUIRES(A, 2, GRANTED), PUTS(A, 1), HAS(A, 2)}},
    {"key is free after a put",
     {2, 0, 0},
     {ACQUIRES(A, 1, GRANTED), PUTS(A, 1), ACQUIRES(B, 1, GRANTED), HAS(B, 1)}},
    {"client that does not want the lease gets none",
     {0, 0, 0},
     {ONLY_WAITS(A, 1, NONE), HAS_NOT(A, 1)}},
    {"request without wait gets TAKEN", {1, 0, 0}, {ACQUIRES(A, 1, GRANTED), TRIES(B, 1, TAKEN)}},
    {"request without wait from an owner gets TAKEN",
     {3, 0, 0},
     {ACQUIRES(A, 1, GRANTED), ACQUIRES(B, 2, GRANTED), TRIES(B, 1, TAKEN), TRIES(B, 3, GRANTED)}},
    {"owner of a lease never waits",
     {2, 0, 0},
     {ACQUIRES(A, 1, GRANTED), ACQUIRES(B, 2, GRANTED), ACQUIRES(B, 1, NONE), ACQUIRES(A, 2, NONE),
      ONLY_WAITS(A, 2, NONE)}},
    {"former owner may wait",
     {2, 0, 0},
     {ACQUIRES(A, 1, GRANTED), ACQUIRES(B, 2, GRANTED), ACQUIRES(B, 1, NONE), PUTS(B, 2),
      ACQUIRES(B, 1, WAITS), PUTS(A, 1), WAIT_ENDS(B, 1, PUT)}},
    {"owner's nested request for its own key gets NONE",
     {1, 0, 0},
     {ACQUIRES(A, 1, GRANTED), ACQUIRES(A, 1, NONE), TRIES(A, 1, NONE), ONLY_WAITS(A, 1, NONE),
      HAS(A, 1)}},
    {"grant ends the client's waits",
     {2, 0, 0},
     {ACQUIRES(A, 1, GRANTED), ACQUIRES(B, 1, WAITS), ACQUIRES(B, 1, WAITS),
      ACQUIRES(B, 2, GRANTED), WAIT_ENDS(B, 1, AGAIN), WAIT_ENDS(B, 1, AGAIN), PUTS(A, 1)}},
    {"lease given up goes to the first waiter, others wait on",
     {2, 1, 0},
     {ACQUIRES(A, 1, GRANTED), ACQUIRES(B, 1, WAITS), ACQUIRES(C, 1, WAITS), GIVES_UP(A, 1, true),
      WAIT_ENDS(B, 1, GRANTED), HAS(B, 1), PUTS(B, 1), WAIT_ENDS(C, 1, PUT)}},
    {"client that gave up waits last",
     {3, 2, 0},
     {ACQUIRES(A, 1, GRANTED), ACQUIRES(B, 1, WAITS), ACQUIRES(C, 1, WAITS), GIVES_UP(A, 1, true),
      ACQUIRES(A, 1, WAITS), WAIT_ENDS(B, 1, GRANTED), GIVES_UP(B, 1, true),
      WAIT_ENDS(C, 1, GRANTED), PUTS(C, 1), WAIT_ENDS(A, 1, PUT)}},
    {"handed-over lease ends other waits of its new owner",
     {3, 1, 0},
     {ACQUIRES(A, 1, GRANTED), ACQUIRES(C, 2, GRANTED), ACQUIRES(B, 2, WAITS),
      ACQUIRES(B, 1, WAITS), ACQUIRES(B, 1, WAITS), GIVES_UP(A, 1, true), WAIT_ENDS(B, 1, GRANTED),
      WAIT_ENDS(B, 2, AGAIN), WAIT_ENDS(B, 1, AGAIN), PUTS(C, 2)}},
    {"gone client's leases go to different waiters",
     {4, 2, 0},
     {ACQUIRES(A, 1, GRANTED), TRIES(A, 2, GRANTED), ACQUIRES(B, 1, WAITS), ACQUIRES(B, 2, WAITS),
      ACQUIRES(C, 1, WAITS), ACQUIRES(C, 2, WAITS), IS_GONE(A), WAIT_ENDS(B, 1, GRANTED),
      WAIT_ENDS(B, 2, AGAIN), WAIT_ENDS(C, 2, GRANTED), WAIT_ENDS(C, 1, AGAIN), HAS(B, 1),
      HAS(C, 2)}},
    {"waiter that does not want the lease is skipped",
     {2, 1, 0},
     {ACQUIRES(A, 1, GRANTED), ONLY_WAITS(B, 1, WAITS), ACQUIRES(C, 1, WAITS), GIVES_UP(A, 1, true),
      WAIT_ENDS(C, 1, GRANTED), PUTS(C, 1), WAIT_ENDS(B, 1, PUT)}},
    {"lease that no waiter wants ends all waits with NONE",
     {1, 1, 0},
     {ACQUIRES(A, 1, GRANTED), ONLY_WAITS(B, 1, WAITS), ONLY_WAITS(C, 1, WAITS),
      GIVES_UP(A, 1, true), WAIT_ENDS(B, 1, NONE), WAIT_ENDS(C, 1, NONE), HAS_NOT(A, 1),
      HAS_NOT(B, 1)}},
    {"value that cannot be stored ends all waits with NONE",
     {1, 1, 0},
     {ACQUIRES(A, 1, GRANTED), ACQUIRES(B, 1, WAITS), ONLY_WAITS(C, 1, WAITS),
      WITHHOLDS(A, 1, true), WAIT_ENDS(B, 1, NONE), WAIT_ENDS(C, 1, NONE), HAS_NOT(B, 1)}},
    {"only the owner can give up",
     {1, 0, 0},
     {ACQUIRES(A, 1, GRANTED), ACQUIRES(B, 1, WAITS), GIVES_UP(B, 1, false), WITHHOLDS(C, 1, false),
      GIVES_UP(A, 2, false), HAS(A, 1), PUTS(A, 1), WAIT_ENDS(B, 1, PUT)}},
    {"giving up all ends leases and waits",
     {4, 3, 0},
     {ACQUIRES(A, 1, GRANTED), TRIES(A, 2, GRANTED), ACQUIRES(B, 3, GRANTED), ACQUIRES(C, 2, WAITS),
      ACQUIRES(C, 3, WAITS), GIVES_UP_ALL(A, 2), WAIT_ENDS(C, 2, GRANTED), WAIT_ENDS(C, 3, AGAIN),
      GIVES_UP_ALL(A, 0), GIVES_UP_ALL(C, 1), HAS(B, 3)}},
    {"giving up all while waiting ends the waits",
     {1, 0, 0},
     {ACQUIRES(A, 1, GRANTED), ACQUIRES(B, 1, WAITS), ACQUIRES(B, 1, WAITS), GIVES_UP_ALL(B, 0),
      WAIT_ENDS(B, 1, NONE), WAIT_ENDS(B, 1, NONE), PUTS(A, 1)}},
    {"gone waiter gets nothing",
     {1, 0, 0},
     {ACQUIRES(A, 1, GRANTED), ACQUIRES(B, 1, WAITS), ACQUIRES(C, 1, WAITS), IS_GONE(B), PUTS(A, 1),
      WAIT_ENDS(C, 1, PUT)}},
    {"gone client's due waits are dropped",
     {3, 2, 0},
     {ACQUIRES(A, 1, GRANTED), ACQUIRES(B, 1, WAITS), ACQUIRES(C, 1, WAITS), GIVES_UP(A, 1, true),
      IS_GONE(B), IS_GONE(B), WAIT_ENDS(C, 1, GRANTED), HAS(C, 1)}},
    {"clear hands the lease to the first waiter",
     {2, 1, 0},
     {ACQUIRES(A, 1, GRANTED), ACQUIRES(B, 1, WAITS), ACQUIRES(C, 1, WAITS), CLEARS(),
      WAIT_ENDS(B, 1, GRANTED), HAS(B, 1), PUTS(B, 1), WAIT_ENDS(C, 1, PUT)}},
    {"clear ends a lease without waiters",
     {2, 1, 0},
     {ACQUIRES(A, 1, GRANTED), CLEARS(), HAS_NOT(A, 1), GIVES_UP(A, 1, false),
      ACQUIRES(B, 1, GRANTED)}},
    {"clear reaches each lease once",
     {4, 2, 0},
     {ACQUIRES(A, 1, GRANTED), TRIES(A, 2, GRANTED), ACQUIRES(B, 1, WAITS), ACQUIRES(C, 2, WAITS),
      CLEARS(), WAIT_ENDS(B, 1, GRANTED), WAIT_ENDS(C, 2, GRANTED), HAS(B, 1), HAS(C, 2)}},
    {"expired lease goes to the first waiter",
     {2, 0, 1},
     {ACQUIRES(A, 1, GRANTED), ACQUIRES(B, 1, WAITS), TIME_IS(TERM - 1), HAS(A, 1), TIME_IS(TERM),
      WAIT_ENDS(B, 1, GRANTED), HAS(B, 1), GIVES_UP(A, 1, false)}},
    {"handed-over lease has its own term",
     {2, 0, 2},
     {ACQUIRES(A, 1, GRANTED), ACQUIRES(B, 1, WAITS), TIME_IS(TERM), WAIT_ENDS(B, 1, GRANTED),
      TIME_IS(2 * TERM - 1), HAS(B, 1), TIME_IS(2 * TERM), HAS_NOT(B, 1)}},
    {"late put of the former owner ends the new lease",
     {2, 0, 1},
     {ACQUIRES(A, 1, GRANTED), ACQUIRES(B, 1, WAITS), ACQUIRES(C, 1, WAITS), TIME_IS(TERM),
      WAIT_ENDS(B, 1, GRANTED), PUTS(A, 1), WAIT_ENDS(C, 1, PUT), HAS_NOT(B, 1)}},
    {"expired leases are handed over in the order of their grants",
     {4, 0, 2},
     {TRIES(A, 1, GRANTED), TRIES(A, 2, GRANTED), ACQUIRES(B, 2, WAITS), ACQUIRES(B, 1, WAITS),
      ACQUIRES(C, 2, WAITS), TIME_IS(TERM), WAIT_ENDS(B, 1, GRANTED), WAIT_ENDS(B, 2, AGAIN),
      WAIT_ENDS(C, 2, GRANTED)}},
};

static enum lease_answer acquire_as(enum verb verb, struct lease_client *client, uint8_t prompt,
                                    uint64_t now_ns) {
  struct fc_key key = lease_key(prompt);
  struct lease_request request = lease_request(&key);
  request.wants = verb != ONLY_WAIT;
  request.wait_ns = verb == TRY ? 0 : WAIT;
  return leases_acquire(&leases, client, &request, now_ns);
}

#define NOTHING UINT32_MAX

static uint32_t take_due(struct lease_client *client, uint8_t prompt) {
  const struct lease_wait *wait = client->due_first;
  if (wait == NULL || wait->lease->key.prompt.bytes[0] != prompt)
    return NOTHING;
  enum lease_end end = wait->end;
  leases_due_done(&leases, client);
  return end;
}

static bool owns(const struct lease_client *client, uint8_t prompt) {
  const struct lease *lease = client->held_first;
  while (lease != NULL && lease->key.prompt.bytes[0] != prompt)
    lease = lease->next_held;
  return lease != NULL;
}

/* Returns the result of the step, or step->how if it has none. */
static uint32_t take_step(const struct step *step, uint64_t *now_ns) {
  struct lease_client *client = &lease_clients[step->client];
  const struct fc_str any = {0};
  switch (step->verb) {
  case ACQUIRE:
  case TRY:
  case ONLY_WAIT:
    return acquire_as(step->verb, client, step->prompt, *now_ns);
  case GIVE_UP:
  case WITHHOLD:
    return lease_give_up(client, step->prompt, step->verb == WITHHOLD, *now_ns);
  case GIVE_UP_ALL:
    return leases_give_up_all(&leases, client, *now_ns);
  case WAIT_END:
    return take_due(client, step->prompt);
  case OWNS:
    return owns(client, step->prompt);
  case PUT:
    lease_put(step->prompt, *now_ns);
    break;
  case GONE:
    leases_client_gone(&leases, client, *now_ns);
    break;
  case CLEAR:
    leases_clear(&leases, NULL, any, any, *now_ns);
    break;
  case TIME:
    *now_ns = NOW + step->how;
    leases_expire(&leases, *now_ns);
    break;
  case END_OF_STEPS:
    break;
  }
  return step->how;
}

START_TEST(rule_of_table) {
  const struct rule *rule = &rules[_i];
  uint64_t now_ns = NOW;
  for (const struct step *step = rule->steps; step->verb != END_OF_STEPS; step++) {
    uint32_t seen = take_step(step, &now_ns);
    ck_assert_msg(seen == step->how, "%s: step %td: %u, not %u", rule->name, step - rule->steps,
                  seen, step->how);
  }
  for (size_t i = 0; i < CLIENTS; i++)
    ck_assert_msg(lease_clients[i].due_first == NULL, "%s: client %zu has another due wait",
                  rule->name, i);
  ck_assert_uint_eq(counters.leases_granted, rule->n.granted);
  ck_assert_uint_eq(counters.leases_abandoned, rule->n.abandoned);
  ck_assert_uint_eq(counters.leases_expired, rule->n.expired);
  ck_assert_mem_eq(&counters, &space.counters, sizeof counters);
  ck_assert(counters_are_zero(&counters) == (rule->n.granted == 0));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("leases_rules");
  TCase *tcase = tcase_create("leases_rules");
  tcase_add_checked_fixture(tcase, leases_fixture_start, leases_fixture_end);
  tcase_set_timeout(tcase, 30);
  tcase_add_loop_test(tcase, rule_of_table, 0, sizeof rules / sizeof rules[0]);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
