/* The rules of who computes and who waits, one by one: first those that are told by a few clients'
 * steps alone, as a table, then what needs more than that. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/leases/leases.h"
#include "tests/support/runner.h"

#define HOLDERS 5u
#define TERM 1000u
#define WAIT 5000u
#define NOW 100u

static struct leases leases;
static struct counters counters;
static struct namespace space, other_space;
static struct lease_client holders[HOLDERS];
static struct lease_client *const a = &holders[0], *const b = &holders[1], *const c = &holders[2];
static uint32_t last_id;

static const struct leases_limits wide = {.leases = 100000,
                                          .leases_each = 100000,
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
    leases_client_gone(&leases, &holders[i], NOW + WAIT);
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

static void put(uint8_t prompt, uint64_t now_ns) {
  struct fc_key key = key_of(prompt);
  leases_put(&leases, &space, fc_key_digest(space.seed, &key), &key, now_ns);
}

static bool give_up(struct lease_client *holder, uint8_t prompt, bool for_all, uint64_t now_ns) {
  struct fc_key key = key_of(prompt);
  return leases_give_up(&leases, holder, &space, fc_key_digest(space.seed, &key), &key, for_all,
                        now_ns);
}

/* ---- the table of rules ---- */

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

static enum lease_answer ask_as(enum verb verb, struct lease_client *holder, uint8_t prompt,
                                uint64_t now_ns) {
  struct fc_key key = key_of(prompt);
  struct lease_request request = request_of(&key);
  request.wants = verb != LOOK;
  request.wait_ns = verb == TRY ? 0 : WAIT;
  return leases_acquire(&leases, holder, &request, now_ns);
}

#define NOTHING UINT32_MAX

static uint32_t take_due(struct lease_client *holder, uint8_t prompt) {
  const struct lease_wait *wait = holder->due_first;
  if (wait == NULL || wait->lease->key.prompt.bytes[0] != prompt)
    return NOTHING;
  enum lease_end end = wait->end;
  leases_due_done(&leases, holder);
  return end;
}

static bool owns(const struct lease_client *holder, uint8_t prompt) {
  const struct lease *lease = holder->held_first;
  while (lease != NULL && lease->key.prompt.bytes[0] != prompt)
    lease = lease->next_held;
  return lease != NULL;
}

/* Returns what came of it; where that is nothing, what the step has there. */
static uint32_t take_step(const struct step *step, uint64_t *now_ns) {
  struct lease_client *holder = &holders[step->who];
  const struct fc_str any = {0};
  switch (step->verb) {
  case ASK:
  case TRY:
  case LOOK:
    return ask_as(step->verb, holder, step->prompt, *now_ns);
  case GIVE_UP:
  case WITHHOLD:
    return give_up(holder, step->prompt, step->verb == WITHHOLD, *now_ns);
  case GIVE_UP_ALL:
    return leases_give_up_all(&leases, holder, *now_ns);
  case TOLD:
    return take_due(holder, step->prompt);
  case OWNS:
    return owns(holder, step->prompt);
  case PUT:
    put(step->prompt, *now_ns);
    break;
  case LEAVE:
    leases_client_gone(&leases, holder, *now_ns);
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

START_TEST(rule_of_the_table) {
  const struct rule *rule = &rules[_i];
  uint64_t now_ns = NOW;
  for (const struct step *step = rule->steps; step->verb != END_OF_STEPS; step++) {
    uint32_t seen = take_step(step, &now_ns);
    ck_assert_msg(seen == step->how, "%s: step %td: %u, not %u", rule->name, step - rule->steps,
                  seen, step->how);
  }
  for (size_t i = 0; i < HOLDERS; i++)
    ck_assert_msg(holders[i].due_first == NULL, "%s: holder %zu is told more", rule->name, i);
  ck_assert_uint_eq(counters.leases_granted, rule->n.granted);
  ck_assert_uint_eq(counters.leases_abandoned, rule->n.abandoned);
  ck_assert_uint_eq(counters.leases_expired, rule->n.expired);
  ck_assert_mem_eq(&counters, &space.counters, sizeof counters);
  ck_assert(counters_are_zero(&counters) == (rule->n.granted == 0));
}
END_TEST

/* ---- what takes more than steps ---- */

static enum lease_answer ask(struct lease_client *holder, uint8_t prompt) {
  return ask_as(ASK, holder, prompt, NOW);
}

static void limit(const struct leases_limits *limits) {
  leases.limits = *limits;
}

START_TEST(past_the_bound_of_leases_it_is_none) {
  limit(&(struct leases_limits){4, 2, 10, 10, UINT64_MAX});
  ck_assert_int_eq(ask(a, 1), LEASE_GRANTED);
  ck_assert_int_eq(ask(a, 2), LEASE_GRANTED);
  ck_assert_int_eq(ask(a, 3), LEASE_NONE); /* its own bound */
  ck_assert_int_eq(ask(b, 3), LEASE_GRANTED);
  ck_assert_int_eq(ask(b, 4), LEASE_GRANTED);
  ck_assert_int_eq(ask(c, 5), LEASE_NONE);  /* the bound of all */
  ck_assert_int_eq(ask(c, 1), LEASE_WAITS); /* which is not that of waits */
  put(2, NOW);
  ck_assert_int_eq(ask(a, 5), LEASE_GRANTED);
}
END_TEST

START_TEST(a_refused_lease_ends_no_wait) {
  limit(&(struct leases_limits){1, 1, 10, 10, UINT64_MAX});
  ck_assert_int_eq(ask(a, 1), LEASE_GRANTED);
  ck_assert_int_eq(ask(b, 1), LEASE_WAITS);
  ck_assert_int_eq(ask(b, 2), LEASE_NONE);
  ck_assert_uint_eq(b->waits, 1);
}
END_TEST

START_TEST(past_the_bound_of_waits_it_is_none) {
  limit(&(struct leases_limits){10, 10, 3, 2, UINT64_MAX});
  ck_assert_int_eq(ask(a, 1), LEASE_GRANTED);
  ck_assert_int_eq(ask(b, 1), LEASE_WAITS);
  ck_assert_int_eq(ask(b, 1), LEASE_WAITS);
  ck_assert_int_eq(ask(b, 1), LEASE_NONE); /* its own bound */
  ck_assert_int_eq(ask(c, 1), LEASE_WAITS);
  ck_assert_int_eq(ask(&holders[3], 1), LEASE_NONE); /* the bound of all */
}
END_TEST

/* A put ends them all at once. */
START_TEST(past_the_bound_of_waits_for_one_lease_it_is_none) {
  limit(&(struct leases_limits){10, 10, 100000, 100000, UINT64_MAX});
  ck_assert_int_eq(ask(a, 1), LEASE_GRANTED);
  for (uint32_t i = 0; i < LEASES_WAITS_FOR_ONE_MAX; i++)
    if (ask(b, 1) != LEASE_WAITS)
      ck_abort_msg("wait %u is refused", i);
  ck_assert_int_eq(ask(b, 1), LEASE_NONE);
  ck_assert_int_eq(ask(c, 1), LEASE_NONE);
  ck_assert_int_eq(ask(a, 2), LEASE_GRANTED);
  ck_assert_int_eq(ask(c, 2), LEASE_WAITS); /* one for another */
}
END_TEST

/* Else one that reads no replies could have any number of them kept for it. */
START_TEST(waits_that_are_over_count_until_they_are_answered) {
  limit(&(struct leases_limits){10, 10, 10, 2, UINT64_MAX});
  for (int i = 0; i < 2; i++) {
    ck_assert_int_eq(ask(a, 1), LEASE_GRANTED);
    ck_assert_int_eq(ask(b, 1), LEASE_WAITS);
    put(1, NOW);
  }
  ck_assert_int_eq(ask(a, 1), LEASE_GRANTED);
  ck_assert_int_eq(ask(b, 1), LEASE_NONE);
  leases_due_done(&leases, b);
  ck_assert_int_eq(ask(b, 1), LEASE_WAITS);
}
END_TEST

/* Else many such could, each its own. */
START_TEST(waits_that_are_over_count_for_all_until_they_are_answered) {
  limit(&(struct leases_limits){10, 10, 2, 1, UINT64_MAX});
  ck_assert_int_eq(ask(a, 1), LEASE_GRANTED);
  ck_assert_int_eq(ask(b, 1), LEASE_WAITS);
  ck_assert_int_eq(ask(c, 1), LEASE_WAITS);
  put(1, NOW);
  ck_assert_int_eq(ask(a, 1), LEASE_GRANTED);
  ck_assert_int_eq(ask(&holders[3], 1), LEASE_NONE);
  leases_due_done(&leases, b);
  ck_assert_int_eq(ask(&holders[3], 1), LEASE_WAITS);
  leases_client_gone(&leases, c, NOW);
  ck_assert_int_eq(ask(&holders[4], 1), LEASE_WAITS);
}
END_TEST

/* The lease's term, or the wait's time, as the table made it of what was asked for. */
struct time_case {
  uint64_t now_ns, asked_ns, max_ns;
  bool of_wait;
  uint64_t at_ns;
};

static const struct time_case time_cases[] = {
    {NOW, 500, 1000, false, NOW + 500},
    {NOW, 1000, 1000, false, NOW + 1000},
    {NOW, 1001, 1000, false, NOW + 1000},
    {NOW, 0, UINT64_MAX, false, NOW + 300000000000},
    {NOW, 0, 1000, false, NOW + 1000},
    {NOW, UINT64_MAX, UINT64_MAX, false, UINT64_MAX},
    {UINT64_MAX - 10, 10, UINT64_MAX, false, UINT64_MAX},
    {UINT64_MAX - 10, 11, UINT64_MAX, false, UINT64_MAX},
    {UINT64_MAX - 10, 9, UINT64_MAX, false, UINT64_MAX - 1},
    {NOW, 500, 1000, true, NOW + 500},
    {NOW, 1001, 1000, true, NOW + 1000},
    {NOW, UINT64_MAX, UINT64_MAX, true, UINT64_MAX},
    {UINT64_MAX - 10, 11, UINT64_MAX, true, UINT64_MAX},
};

START_TEST(times_are_bounded) {
  const struct time_case *time = &time_cases[_i];
  leases.limits.time_max_ns = time->max_ns;
  struct fc_key key = key_of(1);
  struct lease_request request = request_of(&key);
  request.term_ns = time->of_wait ? TERM : time->asked_ns;
  ck_assert_int_eq(leases_acquire(&leases, a, &request, time->now_ns), LEASE_GRANTED);
  ck_assert(time->of_wait || leases.first->term.at_ns == time->at_ns);
  ck_assert(time->of_wait || leases_next_ns(&leases) == time->at_ns);
  request.wait_ns = time->of_wait ? time->asked_ns : WAIT;
  ck_assert_int_eq(leases_acquire(&leases, b, &request, time->now_ns), LEASE_WAITS);
  ck_assert(!time->of_wait || b->wait_first->until.at_ns == time->at_ns);
  for (size_t i = 0; i < HOLDERS; i++) /* here, for time does not go back */
    leases_client_gone(&leases, &holders[i], time->now_ns);
}
END_TEST

/* The term of who gets a lease by waiting is what it asked for itself, bounded too. */
START_TEST(the_term_after_a_wait_is_bounded) {
  leases.limits.time_max_ns = 2 * TERM;
  struct fc_key key = key_of(1);
  struct lease_request request = request_of(&key);
  ck_assert_int_eq(ask(a, 1), LEASE_GRANTED);
  request.term_ns = 0;
  ck_assert_int_eq(leases_acquire(&leases, b, &request, NOW), LEASE_WAITS);
  request.term_ns = TERM + 1;
  ck_assert_int_eq(leases_acquire(&leases, c, &request, NOW), LEASE_WAITS);
  ck_assert(give_up(a, 1, false, NOW + 1));
  ck_assert_uint_eq(leases.first->term.at_ns, NOW + 1 + 2 * TERM);
  ck_assert_uint_eq(leases.first->granted_ns, NOW + 1);
  ck_assert(give_up(b, 1, false, NOW + 2));
  ck_assert_uint_eq(leases.first->term.at_ns, NOW + 2 + TERM + 1);
}
END_TEST

static enum lease_answer ask_for(struct lease_client *holder, uint64_t term_ns, uint64_t wait_ns) {
  struct fc_key key = key_of(1);
  struct lease_request request = request_of(&key);
  request.term_ns = term_ns;
  request.wait_ns = wait_ns;
  return leases_acquire(&leases, holder, &request, NOW);
}

START_TEST(a_wait_that_is_over_is_none) {
  ck_assert_int_eq(ask_for(a, 100, 100), LEASE_GRANTED);
  ck_assert_int_eq(ask_for(b, 100, 50), LEASE_WAITS);
  ck_assert_uint_eq(leases_next_ns(&leases), NOW + 50);
  leases_expire(&leases, NOW + 49);
  ck_assert_uint_eq(b->waits, 1);
  leases_expire(&leases, NOW + 50);
  ck_assert_int_eq(b->due_first->end, LEASE_END_NONE);
  ck_assert_uint_eq(leases.waits, 0);
  ck_assert_uint_eq(leases_next_ns(&leases), NOW + 100);
  ck_assert_uint_eq(counters.lease_wait_ns, 50);
}
END_TEST

/* One client waits for three keys at a time: that is one wait, shared by the three. */
START_TEST(waits_of_one_holder_that_overlap_count_once) {
  struct fc_key keys[] = {key_of(1), key_of(2), key_of(3)};
  struct lease_request request;
  for (size_t i = 0; i < 3; i++) {
    request = request_of(&keys[i]);
    ck_assert_int_eq(leases_acquire(&leases, a, &request, NOW), LEASE_GRANTED);
    request = request_of(&keys[i]);
    ck_assert_int_eq(leases_acquire(&leases, b, &request, NOW), LEASE_WAITS);
    request = request_of(&keys[i]);
    ck_assert_int_eq(leases_acquire(&leases, c, &request, NOW), LEASE_WAITS);
  }
  put(2, NOW + 90);
  ck_assert_uint_eq(b->due_first->wall_ns, 30);
  put(1, NOW + 100);
  put(3, NOW + 100);
  uint64_t walls_ns = 0;
  for (const struct lease_wait *wait = b->due_first; wait != NULL; wait = wait->next_of_client)
    walls_ns += wait->wall_ns;
  ck_assert_uint_eq(walls_ns, 100);
  ck_assert_uint_eq(counters.lease_wait_ns, 200); /* of the two that waited */
  ck_assert_uint_eq(space.counters.lease_wait_ns, 200);
}
END_TEST

/* Who would have been handed the lease before its time was over is not sent away for a timer that
 * was late; who would not have been is not given it. */
START_TEST(a_late_timer_takes_things_in_the_order_of_their_times) {
  ck_assert_int_eq(ask_for(a, 100, 100), LEASE_GRANTED);
  ck_assert_int_eq(ask_for(b, 100, 99), LEASE_WAITS);
  ck_assert_int_eq(ask_for(c, 100, 100), LEASE_WAITS);
  leases_expire(&leases, NOW + 150);
  ck_assert_int_eq(b->due_first->end, LEASE_END_NONE);
  ck_assert_int_eq(c->due_first->end, LEASE_END_GRANTED);
  ck_assert_uint_eq(leases_next_ns(&leases), NOW + 250);
  ck_assert_uint_eq(counters.lease_wait_ns, 300);
}
END_TEST

START_TEST(holders_become_due_in_order_and_once) {
  ck_assert_int_eq(ask(a, 1), LEASE_GRANTED);
  ck_assert_int_eq(ask(a, 2), LEASE_GRANTED);
  ck_assert_int_eq(ask(c, 2), LEASE_WAITS);
  ck_assert_int_eq(ask(b, 1), LEASE_WAITS);
  ck_assert_int_eq(ask(b, 2), LEASE_WAITS);
  put(1, NOW);
  put(2, NOW);
  ck_assert_ptr_eq(leases_next_due(&leases), b);
  ck_assert_uint_eq(b->due, 2);
  ck_assert_ptr_eq(leases_next_due(&leases), c);
  ck_assert_ptr_null(leases_next_due(&leases)); /* b and c had no room, say */
  ck_assert_int_eq(ask(a, 1), LEASE_GRANTED);
  ck_assert_int_eq(ask(c, 1), LEASE_WAITS);
  put(1, NOW);
  ck_assert_ptr_eq(leases_next_due(&leases), c);
  ck_assert_uint_eq(c->due, 2);
  ck_assert_ptr_null(leases_next_due(&leases));
}
END_TEST

START_TEST(one_that_was_answered_or_left_is_not_due) {
  ck_assert_int_eq(ask(a, 1), LEASE_GRANTED);
  for (size_t i = 1; i < HOLDERS; i++)
    ck_assert_int_eq(ask(&holders[i], 1), LEASE_WAITS);
  put(1, NOW);
  leases_due_done(&leases, &holders[1]);
  leases_client_gone(&leases, &holders[4], NOW); /* the queue's last */
  leases_client_gone(&leases, &holders[2], NOW); /* in its middle */
  ck_assert_ptr_eq(leases_next_due(&leases), &holders[3]);
  ck_assert_ptr_null(leases_next_due(&leases));
}
END_TEST

/* What the reply and the trace need is there, also when the lease has ended. */
START_TEST(a_due_wait_knows_its_request_and_key) {
  char probe[] = "probe";
  struct fc_key key = key_of(9);
  struct lease_request request = request_of(&key);
  ck_assert_int_eq(ask(a, 9), LEASE_GRANTED);
  request.id = 77;
  request.flags = FC_LEASE | FC_UNRECORDED;
  request.probe = fc_str_of(probe);
  ck_assert_int_eq(leases_acquire(&leases, b, &request, NOW + 3), LEASE_WAITS);
  request.probe = (struct fc_str){0};
  ck_assert_int_eq(leases_acquire(&leases, c, &request, NOW + 3), LEASE_WAITS);
  probe[0] = 'x';
  put(9, NOW + 5);
  const struct lease_wait *wait = b->due_first;
  ck_assert_uint_eq(wait->id, 77);
  ck_assert_uint_eq(wait->flags, FC_LEASE | FC_UNRECORDED);
  ck_assert_uint_eq(wait->since_ns, NOW + 3);
  ck_assert(fc_str_equal(wait->probe, fc_str_of("probe")));
  ck_assert_ptr_null(c->due_first->probe.data);
  ck_assert_ptr_null(wait->lease->owner);
  ck_assert_ptr_eq(wait->lease->ns, &space);
  ck_assert(fc_str_equal(wait->lease->key.op, key.op));
  ck_assert(fc_str_equal(wait->lease->key.view, key.view));
  ck_assert_mem_eq(&wait->lease->key.prompt, &key.prompt, sizeof key.prompt);
}
END_TEST

/* Under one digest, each differs in one part of the key. */
START_TEST(keys_are_told_apart_by_all_their_parts) {
  struct fc_key keys[6];
  for (size_t i = 0; i < 6; i++)
    keys[i] = key_of(1);
  keys[1].op = fc_str_of("logprob_oF");
  keys[2].view = fc_str_of("bas");
  keys[3].top_k = 1;
  keys[4].prompt.bytes[FC_HASH_SIZE - 1] = 1;
  for (size_t i = 0; i < 6; i++) {
    struct lease_request request = request_of(&keys[i]);
    request.digest = 5;
    request.ns = i == 5 ? &other_space : &space;
    ck_assert_int_eq(leases_acquire(&leases, a, &request, NOW), LEASE_GRANTED);
  }
  for (size_t i = 6; i-- > 0;) {
    struct lease_request request = request_of(&keys[i]);
    request.digest = 5;
    request.ns = i == 5 ? &other_space : &space;
    ck_assert_int_eq(leases_acquire(&leases, b, &request, NOW), LEASE_WAITS);
    leases_put(&leases, request.ns, 5, &keys[i], NOW);
    ck_assert_uint_eq(b->waits, 0);
    ck_assert_uint_eq(leases.n, i);
  }
  ck_assert_uint_eq(space.counters.leases_granted, 5);
  ck_assert_uint_eq(other_space.counters.leases_granted, 1);
  ck_assert_uint_eq(counters.leases_granted, 6);
}
END_TEST

struct clear_case {
  bool other_space;
  const char *view, *op;
  uint32_t left; /* of the eight leases */
};

static const struct clear_case clear_cases[] = {
    {false, "base", "roll", 7}, {false, "ft", NULL, 6},     {false, NULL, "roll", 6},
    {true, NULL, NULL, 4},      {true, "nothing", NULL, 8},
};

static void get_eight(void) {
  const char *const views[] = {"base", "ft"}, *const ops[] = {"roll", "logprob_of"};
  for (size_t i = 0; i < 8; i++) {
    struct fc_key key = {.op = fc_str_of(ops[i % 2]), .view = fc_str_of(views[i / 2 % 2])};
    struct lease_request request = request_of(&key);
    request.ns = i < 4 ? &space : &other_space;
    request.digest = fc_key_digest(request.ns->seed, &key);
    ck_assert_int_eq(leases_acquire(&leases, a, &request, NOW), LEASE_GRANTED);
  }
}

START_TEST(a_clear_takes_what_it_selects) {
  const struct clear_case *clear = &clear_cases[_i];
  get_eight();
  leases_clear(&leases, clear->other_space ? &other_space : &space, fc_str_of(clear->view),
               fc_str_of(clear->op), NOW);
  ck_assert_uint_eq(leases.n, clear->left);
  ck_assert_uint_eq(a->held, clear->left);
  ck_assert_uint_eq(clear->other_space ? other_space.counters.leases_abandoned
                                       : space.counters.leases_abandoned,
                    8 - clear->left);
}
END_TEST

START_TEST(they_are_listed_by_serial) {
  for (uint8_t prompt = 1; prompt <= 3; prompt++)
    ck_assert_int_eq(ask(a, prompt), LEASE_GRANTED);
  ck_assert_int_eq(ask(b, 1), LEASE_WAITS);
  ck_assert(give_up(a, 1, false, NOW)); /* it is b's, and the last */
  const uint8_t expected[] = {2, 3, 1};
  uint64_t serial = 0;
  for (size_t i = 0; i < 3; i++) {
    const struct lease *lease = leases_after(&leases, serial);
    ck_assert_ptr_nonnull(lease);
    ck_assert_uint_gt(lease->serial, serial);
    ck_assert_uint_eq(lease->key.prompt.bytes[0], expected[i]);
    serial = lease->serial;
  }
  ck_assert_ptr_null(leases_after(&leases, serial));
}
END_TEST

#define MANY 20000u

static struct fc_key numbered(uint32_t i) {
  struct fc_key key = key_of(3);
  memcpy(key.prompt.bytes + 4, &i, sizeof i);
  return key;
}

/* Through all growth of the table, each is found. */
START_TEST(many_leases_are_found) {
  for (uint32_t i = 0; i < MANY; i++) {
    struct fc_key key = numbered(i);
    struct lease_request request = request_of(&key);
    if (leases_acquire(&leases, &holders[i % HOLDERS], &request, NOW) != LEASE_GRANTED)
      ck_abort_msg("not granted: %u", i);
  }
  ck_assert_uint_eq(leases.n, MANY);
  ck_assert_uint_le(leases.n_buckets, 2 * MANY);
  ck_assert_uint_ge(leases.n_buckets, MANY);
  for (uint32_t i = 0; i < MANY; i++) {
    struct fc_key key = numbered(i);
    if (!leases_give_up(&leases, &holders[i % HOLDERS], &space, fc_key_digest(space.seed, &key),
                        &key, false, NOW))
      ck_abort_msg("not found: %u", i);
  }
  ck_assert_uint_eq(leases.n, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("leases");
  TCase *tcase = tcase_create("leases");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_loop_test(tcase, rule_of_the_table, 0, sizeof rules / sizeof rules[0]);
  tcase_add_test(tcase, past_the_bound_of_leases_it_is_none);
  tcase_add_test(tcase, a_refused_lease_ends_no_wait);
  tcase_add_test(tcase, past_the_bound_of_waits_it_is_none);
  tcase_add_test(tcase, past_the_bound_of_waits_for_one_lease_it_is_none);
  tcase_add_test(tcase, waits_that_are_over_count_until_they_are_answered);
  tcase_add_test(tcase, waits_that_are_over_count_for_all_until_they_are_answered);
  tcase_add_loop_test(tcase, times_are_bounded, 0, sizeof time_cases / sizeof time_cases[0]);
  tcase_add_test(tcase, the_term_after_a_wait_is_bounded);
  tcase_add_test(tcase, a_wait_that_is_over_is_none);
  tcase_add_test(tcase, waits_of_one_holder_that_overlap_count_once);
  tcase_add_test(tcase, a_late_timer_takes_things_in_the_order_of_their_times);
  tcase_add_test(tcase, holders_become_due_in_order_and_once);
  tcase_add_test(tcase, one_that_was_answered_or_left_is_not_due);
  tcase_add_test(tcase, a_due_wait_knows_its_request_and_key);
  tcase_add_test(tcase, keys_are_told_apart_by_all_their_parts);
  tcase_add_loop_test(tcase, a_clear_takes_what_it_selects, 0,
                      sizeof clear_cases / sizeof clear_cases[0]);
  tcase_add_test(tcase, they_are_listed_by_serial);
  tcase_add_test(tcase, many_leases_are_found);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
