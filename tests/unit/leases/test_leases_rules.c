/* The rules of leases and waits, as a table of the steps of a few clients. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/leases_fixture.h"
#include "tests/support/runner.h"

enum verb {
  END_OF_STEPS,
  ASK,         /* wants the lease, and would wait */
  TRY,         /* wants it, and does not wait */
  LOOK,        /* waits, but does not want it */
  PUT,         /* by whomever */
  GIVE_UP,     /* `how`: whether it had the lease */
  WITHHOLD,    /* gives up for all; `how` likewise */
  GIVE_UP_ALL, /* `how`: of how many leases */
  LEAVE,
  CLEAR,
  PASS, /* until NOW + `how` */
  TOLD, /* the holder's first due wait is for that prompt, and ended in this way */
  OWNS, /* `how`: whether the lease is the holder's */
};

struct step {
  enum verb verb;
  uint32_t who;
  uint8_t prompt;
  uint32_t how;
};

/* clang-format off */
#define ASKS(who, prompt, answer) {ASK, who, prompt, LEASE_##answer}
#define TRIES(who, prompt, answer) {TRY, who, prompt, LEASE_##answer}
#define LOOKS(who, prompt, answer) {LOOK, who, prompt, LEASE_##answer}
#define PUTS(who, prompt) {PUT, who, prompt, 0}
#define GIVES_UP(who, prompt, had) {GIVE_UP, who, prompt, had}
#define WITHHOLDS(who, prompt, had) {WITHHOLD, who, prompt, had}
#define GIVES_UP_ALL(who, n) {GIVE_UP_ALL, who, 0, n}
#define LEAVES(who) {LEAVE, who, 0, 0}
#define CLEARED() {CLEAR, 0, 0, 0}
#define PASSED(ns) {PASS, 0, 0, ns}
#define IS_TOLD(who, prompt, end) {TOLD, who, prompt, LEASE_END_##end}
#define HAS(who, prompt) {OWNS, who, prompt, true}
#define HAS_NOT(who, prompt) {OWNS, who, prompt, false}
/* clang-format on */

enum { A, B, C };

/* After its steps nothing more is due, and so many leases were counted. */
struct rule {
  const char *name;
  struct {
    uint32_t granted, abandoned, expired;
  } n;
  struct step steps[14];
};

static const struct rule rules[] = {
    {"the first gets the lease, the others wait, a put answers all",
     {1, 0, 0},
     {ASKS(A, 1, GRANTED), ASKS(B, 1, WAITS), LOOKS(C, 1, WAITS), PUTS(A, 1), IS_TOLD(B, 1, PUT),
      IS_TOLD(C, 1, PUT), HAS_NOT(A, 1)}},
    {"a put by another than the owner ends the lease too",
     {1, 0, 0},
     {ASKS(A, 1, GRANTED), ASKS(B, 1, WAITS), PUTS(C, 1), IS_TOLD(B, 1, PUT), HAS_NOT(A, 1),
      GIVES_UP(A, 1, false)}},
    {"a put of a key without a lease is nothing",
     {1, 0, 0},
     {PUTS(A, 1), ASKS(A, 2, GRANTED), PUTS(A, 1), HAS(A, 2)}},
    {"after a put the key is free",
     {2, 0, 0},
     {ASKS(A, 1, GRANTED), PUTS(A, 1), ASKS(B, 1, GRANTED), HAS(B, 1)}},
    {"who does not want the lease is not given it", {0, 0, 0}, {LOOKS(A, 1, NONE), HAS_NOT(A, 1)}},
    {"who does not wait is told that it is taken",
     {1, 0, 0},
     {ASKS(A, 1, GRANTED), TRIES(B, 1, TAKEN)}},
    {"who does not wait is told so also while it has leases",
     {3, 0, 0},
     {ASKS(A, 1, GRANTED), ASKS(B, 2, GRANTED), TRIES(B, 1, TAKEN), TRIES(B, 3, GRANTED)}},
    {"who has a lease is never made to wait",
     {2, 0, 0},
     {ASKS(A, 1, GRANTED), ASKS(B, 2, GRANTED), ASKS(B, 1, NONE), ASKS(A, 2, NONE),
      LOOKS(A, 2, NONE)}},
    {"who has no lease any more may wait again",
     {2, 0, 0},
     {ASKS(A, 1, GRANTED), ASKS(B, 2, GRANTED), ASKS(B, 1, NONE), PUTS(B, 2), ASKS(B, 1, WAITS),
      PUTS(A, 1), IS_TOLD(B, 1, PUT)}},
    {"who asks for what it computes itself computes it once more",
     {1, 0, 0},
     {ASKS(A, 1, GRANTED), ASKS(A, 1, NONE), TRIES(A, 1, NONE), LOOKS(A, 1, NONE), HAS(A, 1)}},
    {"a lease granted at once ends the waits for others",
     {2, 0, 0},
     {ASKS(A, 1, GRANTED), ASKS(B, 1, WAITS), ASKS(B, 1, WAITS), ASKS(B, 2, GRANTED),
      IS_TOLD(B, 1, AGAIN), IS_TOLD(B, 1, AGAIN), PUTS(A, 1)}},
    {"a lease that is given up goes to the first who waits; the others wait on",
     {2, 1, 0},
     {ASKS(A, 1, GRANTED), ASKS(B, 1, WAITS), ASKS(C, 1, WAITS), GIVES_UP(A, 1, true),
      IS_TOLD(B, 1, GRANTED), HAS(B, 1), PUTS(B, 1), IS_TOLD(C, 1, PUT)}},
    {"who gives up may ask again, and is the last",
     {3, 2, 0},
     {ASKS(A, 1, GRANTED), ASKS(B, 1, WAITS), ASKS(C, 1, WAITS), GIVES_UP(A, 1, true),
      ASKS(A, 1, WAITS), IS_TOLD(B, 1, GRANTED), GIVES_UP(B, 1, true), IS_TOLD(C, 1, GRANTED),
      PUTS(C, 1), IS_TOLD(A, 1, PUT)}},
    {"a lease that is handed over ends the other waits of who gets it",
     {3, 1, 0},
     {ASKS(A, 1, GRANTED), ASKS(C, 2, GRANTED), ASKS(B, 2, WAITS), ASKS(B, 1, WAITS),
      ASKS(B, 1, WAITS), GIVES_UP(A, 1, true), IS_TOLD(B, 1, GRANTED), IS_TOLD(B, 2, AGAIN),
      IS_TOLD(B, 1, AGAIN), PUTS(C, 2)}},
    {"of what a client leaves, the first who waits gets one, the second another",
     {4, 2, 0},
     {ASKS(A, 1, GRANTED), TRIES(A, 2, GRANTED), ASKS(B, 1, WAITS), ASKS(B, 2, WAITS),
      ASKS(C, 1, WAITS), ASKS(C, 2, WAITS), LEAVES(A), IS_TOLD(B, 1, GRANTED), IS_TOLD(B, 2, AGAIN),
      IS_TOLD(C, 2, GRANTED), IS_TOLD(C, 1, AGAIN), HAS(B, 1), HAS(C, 2)}},
    {"those who do not want the lease are passed over",
     {2, 1, 0},
     {ASKS(A, 1, GRANTED), LOOKS(B, 1, WAITS), ASKS(C, 1, WAITS), GIVES_UP(A, 1, true),
      IS_TOLD(C, 1, GRANTED), PUTS(C, 1), IS_TOLD(B, 1, PUT)}},
    {"where nobody wants the lease, all who wait are told none",
     {1, 1, 0},
     {ASKS(A, 1, GRANTED), LOOKS(B, 1, WAITS), LOOKS(C, 1, WAITS), GIVES_UP(A, 1, true),
      IS_TOLD(B, 1, NONE), IS_TOLD(C, 1, NONE), HAS_NOT(A, 1), HAS_NOT(B, 1)}},
    {"a value that cannot be stored: all who wait are told none",
     {1, 1, 0},
     {ASKS(A, 1, GRANTED), ASKS(B, 1, WAITS), LOOKS(C, 1, WAITS), WITHHOLDS(A, 1, true),
      IS_TOLD(B, 1, NONE), IS_TOLD(C, 1, NONE), HAS_NOT(B, 1)}},
    {"only the owner can give up",
     {1, 0, 0},
     {ASKS(A, 1, GRANTED), ASKS(B, 1, WAITS), GIVES_UP(B, 1, false), WITHHOLDS(C, 1, false),
      GIVES_UP(A, 2, false), HAS(A, 1), PUTS(A, 1), IS_TOLD(B, 1, PUT)}},
    {"giving up all: every lease, and the waits",
     {4, 3, 0},
     {ASKS(A, 1, GRANTED), TRIES(A, 2, GRANTED), ASKS(B, 3, GRANTED), ASKS(C, 2, WAITS),
      ASKS(C, 3, WAITS), GIVES_UP_ALL(A, 2), IS_TOLD(C, 2, GRANTED), IS_TOLD(C, 3, AGAIN),
      GIVES_UP_ALL(A, 0), GIVES_UP_ALL(C, 1), HAS(B, 3)}},
    {"giving up all while waiting",
     {1, 0, 0},
     {ASKS(A, 1, GRANTED), ASKS(B, 1, WAITS), ASKS(B, 1, WAITS), GIVES_UP_ALL(B, 0),
      IS_TOLD(B, 1, NONE), IS_TOLD(B, 1, NONE), PUTS(A, 1)}},
    {"who waits and leaves is told nothing",
     {1, 0, 0},
     {ASKS(A, 1, GRANTED), ASKS(B, 1, WAITS), ASKS(C, 1, WAITS), LEAVES(B), PUTS(A, 1),
      IS_TOLD(C, 1, PUT)}},
    {"nor who leaves before it took what is due",
     {3, 2, 0},
     {ASKS(A, 1, GRANTED), ASKS(B, 1, WAITS), ASKS(C, 1, WAITS), GIVES_UP(A, 1, true), LEAVES(B),
      LEAVES(B), IS_TOLD(C, 1, GRANTED), HAS(C, 1)}},
    {"a clear hands the lease to the first who waits",
     {2, 1, 0},
     {ASKS(A, 1, GRANTED), ASKS(B, 1, WAITS), ASKS(C, 1, WAITS), CLEARED(), IS_TOLD(B, 1, GRANTED),
      HAS(B, 1), PUTS(B, 1), IS_TOLD(C, 1, PUT)}},
    {"a clear takes the lease where nobody waits",
     {2, 1, 0},
     {ASKS(A, 1, GRANTED), CLEARED(), HAS_NOT(A, 1), GIVES_UP(A, 1, false), ASKS(B, 1, GRANTED)}},
    {"a clear comes to each lease once",
     {4, 2, 0},
     {ASKS(A, 1, GRANTED), TRIES(A, 2, GRANTED), ASKS(B, 1, WAITS), ASKS(C, 2, WAITS), CLEARED(),
      IS_TOLD(B, 1, GRANTED), IS_TOLD(C, 2, GRANTED), HAS(B, 1), HAS(C, 2)}},
    {"a term that passes hands the lease on",
     {2, 0, 1},
     {ASKS(A, 1, GRANTED), ASKS(B, 1, WAITS), PASSED(TERM - 1), HAS(A, 1), PASSED(TERM),
      IS_TOLD(B, 1, GRANTED), HAS(B, 1), GIVES_UP(A, 1, false)}},
    {"a lease that was handed on has a term of its own",
     {2, 0, 2},
     {ASKS(A, 1, GRANTED), ASKS(B, 1, WAITS), PASSED(TERM), IS_TOLD(B, 1, GRANTED),
      PASSED(2 * TERM - 1), HAS(B, 1), PASSED(2 * TERM), HAS_NOT(B, 1)}},
    {"a late put of who was too long ends the next one's lease",
     {2, 0, 1},
     {ASKS(A, 1, GRANTED), ASKS(B, 1, WAITS), ASKS(C, 1, WAITS), PASSED(TERM),
      IS_TOLD(B, 1, GRANTED), PUTS(A, 1), IS_TOLD(C, 1, PUT), HAS_NOT(B, 1)}},
    {"leases of one message go on in the order of their granting",
     {4, 0, 2},
     {TRIES(A, 1, GRANTED), TRIES(A, 2, GRANTED), ASKS(B, 2, WAITS), ASKS(B, 1, WAITS),
      ASKS(C, 2, WAITS), PASSED(TERM), IS_TOLD(B, 1, GRANTED), IS_TOLD(B, 2, AGAIN),
      IS_TOLD(C, 2, GRANTED)}},
};

static enum lease_answer acquire_as(enum verb verb, struct lease_client *client, uint8_t prompt,
                                    uint64_t now_ns) {
  struct fc_key key = lease_key(prompt);
  struct lease_request request = lease_request(&key);
  request.wants = verb != LOOK;
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

/* Returns what came of it; where that is nothing, what the step has there. */
static uint32_t take_step(const struct step *step, uint64_t *now_ns) {
  struct lease_client *client = &clients[step->who];
  const struct fc_str any = {0};
  switch (step->verb) {
  case ASK:
  case TRY:
  case LOOK:
    return acquire_as(step->verb, client, step->prompt, *now_ns);
  case GIVE_UP:
  case WITHHOLD:
    return lease_give_up(client, step->prompt, step->verb == WITHHOLD, *now_ns);
  case GIVE_UP_ALL:
    return leases_give_up_all(&leases, client, *now_ns);
  case TOLD:
    return take_due(client, step->prompt);
  case OWNS:
    return owns(client, step->prompt);
  case PUT:
    lease_put(step->prompt, *now_ns);
    break;
  case LEAVE:
    leases_client_gone(&leases, client, *now_ns);
    break;
  case CLEAR:
    leases_clear(&leases, NULL, any, any, *now_ns);
    break;
  case PASS:
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
    ck_assert_msg(clients[i].due_first == NULL, "%s: holder %zu is told more", rule->name, i);
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
