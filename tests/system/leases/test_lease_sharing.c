/* Leases over the wire: who is told to compute, who waits, and what ends a wait. The clients are
 * connections of the test itself, so that each step is known to have come before the next; what
 * the library makes of it is in test_leases_workers.c. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "proto/errors.h"
#include "tests/support/child_process.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"

#define SPACE "leases"
#define LONG_MS 60000u /* a term, or a wait, that no test lets pass */
#define SHORT_MS 50u   /* a term that is to pass */
#define REPLY_MS 10000u
#define AT_ONCE_MS 1000u /* of a daemon that has nothing to wait for, on a machine that is busy */
#define MAX_VALUE "64K"
#define WAITERS 3u
#define CLIENTS 5u

static struct daemon served;
static struct fcache *watch; /* for figures */

static void start_with(const char *option) {
  harness_start(&served, "--max-value", MAX_VALUE, option, NULL);
  watch = library_open(served.socket, SPACE, "watch", 0);
}

static void start(void) {
  start_with(NULL);
}

static void start_bounded(void) {
  start_with("--max-leases=4");
}

static void stop(void) {
  fcache_close(watch);
  ck_assert_int_eq(harness_stop(&served), 0);
}

/* ---- one step each ---- */

static struct fc_key key_of(const char *prompt) {
  return raw_key("op", "view", 0, prompt);
}

static void open_client(struct raw *raw) {
  raw_open(raw, served.socket, SPACE);
}

static void open_clients(struct raw *clients, size_t n) {
  for (size_t i = 0; i < n; i++)
    open_client(&clients[i]);
}

static void close_clients(struct raw *clients, size_t n) {
  for (size_t i = 0; i < n; i++)
    raw_close(&clients[i]);
}

static struct fc_get get_of(const char *prompt, uint32_t lease_ms, uint32_t wait_ms) {
  struct fc_key key = key_of(prompt);

  return raw_lease_get(&key, lease_ms, wait_ms);
}

/* Asks, and looks at nothing yet. */
static void begin(struct raw *raw, const char *prompt, uint32_t lease_ms, uint32_t wait_ms) {
  struct fc_get get = get_of(prompt, lease_ms, wait_ms);
  uint32_t id;

  ck_assert_int_eq(raw_send_get(raw, &get, &id), 0);
}

static void take_reply(struct raw *raw, struct fc_reply *reply, enum fc_type type) {
  ck_assert_int_eq(raw_recv(raw, reply, REPLY_MS), RAW_REPLY);
  ck_assert_int_eq(reply->type, FC_REPLY | type);
}

/* The next reply is a miss with that state; returns what a put of its value is to carry. */
static struct fc_epoch expect_state(struct raw *raw, enum fc_lease_state state) {
  struct fc_reply reply;

  take_reply(raw, &reply, FC_GET);
  ck_assert_ptr_null(reply.get.value);
  ck_assert_int_eq(reply.get.lease, state);
  return (struct fc_epoch){raw->boot_id, reply.get.clear_generation};
}

static void expect_value(struct raw *raw, const char *text) {
  struct fc_reply reply;

  take_reply(raw, &reply, FC_GET);
  ck_assert_ptr_nonnull(reply.get.value);
  ck_assert_uint_eq(reply.get.value_size, strlen(text));
  ck_assert_mem_eq(reply.get.value, text, strlen(text));
}

static struct fc_epoch ask_state(struct raw *raw, const char *prompt, enum fc_lease_state state) {
  begin(raw, prompt, LONG_MS, 0);
  return expect_state(raw, state);
}

static void begin_waits(struct raw *clients, size_t n, const char *prompt) {
  uint64_t before = library_figure(watch, "lease_waits");

  for (size_t i = 0; i < n; i++) {
    begin(&clients[i], prompt, LONG_MS, LONG_MS);
    library_wait_figure(watch, "lease_waits", before + i + 1); /* in this order */
  }
}

/* A put of a value that was begun at `epoch`, as `cached` does it: it keeps what is there. */
static enum fc_put_outcome put_text(struct raw *raw, const char *prompt, const char *text,
                                    struct fc_epoch epoch) {
  struct fc_put put = {.flags = FC_KEEP_FIRST,
                       .key = key_of(prompt),
                       .epoch = epoch,
                       .value = (const uint8_t *)text,
                       .value_size = (uint32_t)strlen(text)};
  struct fc_reply reply;

  ck_assert_int_eq(raw_put(raw, &put, &reply), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_PUT);
  return reply.put;
}

static uint32_t give_up(struct raw *raw, const char *prompt) {
  struct fc_key key = key_of(prompt);
  struct fc_reply reply;

  ck_assert_int_eq(raw_give_up(raw, &key, &reply), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_GIVE_UP);
  return reply.given_up;
}

static void expect_figure(const char *name, uint64_t value) {
  ck_assert_msg(library_figure(watch, name) == value, "%s is not %llu", name,
                (unsigned long long)value);
}

/* Nobody has a lease, and nobody waits. */
static void expect_nothing_left(void) {
  library_wait_figure(watch, "leases", 0);
  library_wait_figure(watch, "lease_waits", 0);
}

/* ---- a value ---- */

START_TEST(a_put_answers_all_who_wait) {
  struct raw owner, waiters[WAITERS];

  open_client(&owner);
  open_clients(waiters, WAITERS);
  struct fc_epoch epoch = ask_state(&owner, "p", FC_LEASE_GRANTED);
  begin_waits(waiters, WAITERS, "p");
  expect_figure("leases", 1);
  ck_assert_int_eq(put_text(&owner, "p", "computed once", epoch), FC_STORED);
  for (size_t i = 0; i < WAITERS; i++)
    expect_value(&waiters[i], "computed once");
  expect_nothing_left();
  expect_figure("leases_granted", 1);
  expect_figure("coalesced_hits", WAITERS);
  expect_figure("cache_hits", WAITERS);
  close_clients(waiters, WAITERS);
  raw_close(&owner);
}
END_TEST

/* A client of the version before knows nothing of leases: it takes none and is made to wait for
 * none, and what it puts is for all. */
START_TEST(a_put_of_an_older_client_answers_all_who_wait) {
  struct raw owner, old, waiters[WAITERS];
  struct fc_get get = {.key = key_of("p")};
  struct fc_reply reply;

  open_client(&owner);
  open_clients(waiters, WAITERS);
  raw_open_version(&old, served.socket, SPACE, 2);
  ck_assert_int_eq(raw_get(&old, &get, &reply), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_GET);
  expect_figure("leases", 0);
  struct fc_epoch epoch = ask_state(&owner, "p", FC_LEASE_GRANTED);
  begin_waits(waiters, WAITERS, "p");
  ck_assert_int_eq(raw_get(&old, &get, &reply), RAW_REPLY);
  ck_assert_ptr_null(reply.get.value);
  ck_assert_int_eq(put_text(&old, "p", "the old one's", (struct fc_epoch){0}), FC_STORED);
  for (size_t i = 0; i < WAITERS; i++)
    expect_value(&waiters[i], "the old one's");
  expect_nothing_left();
  ck_assert_int_eq(put_text(&owner, "p", "the owner's", epoch), FC_KEPT);
  close_clients(waiters, WAITERS);
  raw_close(&old);
  raw_close(&owner);
}
END_TEST

/* Nobody can be given such a value: each computes it for itself, none after another. */
START_TEST(a_value_that_cannot_be_stored_lets_all_compute) {
  struct raw owner, waiters[WAITERS];
  struct fc_reply reply;

  open_client(&owner);
  open_clients(waiters, WAITERS);
  struct fc_put put = {
      .key = key_of("p"), .epoch = ask_state(&owner, "p", FC_LEASE_GRANTED), .withheld = true};
  struct fc_buf buf = {0};
  begin_waits(waiters, WAITERS, "p");
  (void)fc_encode_put_head(&buf, owner.next_id++, &put); /* raw_send_buf looks */
  ck_assert_int_eq(raw_send_buf(&owner, &buf), 0);
  fc_buf_free(&buf);
  ck_assert_int_eq(raw_recv(&owner, &reply, REPLY_MS), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_ERROR);
  ck_assert_int_eq(reply.error.code, FC_ETOOBIG);
  for (size_t i = 0; i < WAITERS; i++)
    (void)expect_state(&waiters[i], FC_LEASE_NONE);
  expect_nothing_left();
  close_clients(waiters, WAITERS);
  raw_close(&owner);
}
END_TEST

/* ---- a lease that ends without one ---- */

START_TEST(first_come_first_served) {
  struct raw owner, waiters[WAITERS];

  open_client(&owner);
  open_clients(waiters, WAITERS);
  (void)ask_state(&owner, "p", FC_LEASE_GRANTED);
  begin_waits(waiters, WAITERS, "p");
  ck_assert_uint_eq(give_up(&owner, "p"), 1);
  ck_assert_uint_eq(give_up(&owner, "p"), 0); /* it has none any more */
  for (size_t i = 0; i < WAITERS; i++) {
    (void)expect_state(&waiters[i], FC_LEASE_GRANTED);
    expect_figure("lease_waits", WAITERS - 1 - i);
    ck_assert_uint_eq(give_up(&waiters[i], "p"), 1);
  }
  expect_nothing_left();
  expect_figure("leases_abandoned", WAITERS + 1);
  close_clients(waiters, WAITERS);
  raw_close(&owner);
}
END_TEST

/* _i: who is first with its value: the one that took over, or the one that was too long. */
START_TEST(a_term_that_passes_hands_the_lease_on) {
  struct raw late, next, third;

  open_client(&late);
  open_client(&next);
  open_client(&third);
  begin(&late, "p", SHORT_MS, 0);
  struct fc_epoch late_epoch = expect_state(&late, FC_LEASE_GRANTED);
  begin(&next, "p", LONG_MS, LONG_MS);
  struct fc_epoch next_epoch = expect_state(&next, FC_LEASE_GRANTED);
  expect_figure("leases_expired", 1);
  begin_waits(&third, 1, "p");
  if (_i == 0) {
    ck_assert_int_eq(put_text(&next, "p", "first", next_epoch), FC_STORED);
    ck_assert_int_eq(put_text(&late, "p", "second", late_epoch), FC_KEPT);
  } else {
    ck_assert_int_eq(put_text(&late, "p", "first", late_epoch), FC_STORED);
    ck_assert_int_eq(put_text(&next, "p", "second", next_epoch), FC_KEPT);
  }
  expect_value(&third, "first");
  expect_nothing_left();
  raw_close(&late);
  raw_close(&next);
  raw_close(&third);
}
END_TEST

/* Whoever waits with a bound of its own is told at its end, and the owner is not disturbed. */
START_TEST(a_wait_ends_in_time) {
  struct raw owner, waiter;

  open_client(&owner);
  open_client(&waiter);
  struct fc_epoch epoch = ask_state(&owner, "p", FC_LEASE_GRANTED);
  uint64_t start_ns = harness_now_ns();
  begin(&waiter, "p", LONG_MS, SHORT_MS);
  (void)expect_state(&waiter, FC_LEASE_NONE);
  ck_assert_uint_ge((harness_now_ns() - start_ns) / 1000000, SHORT_MS - 1);
  expect_figure("leases", 1);
  expect_figure("lease_waits", 0);
  ck_assert_int_eq(put_text(&owner, "p", "v", epoch), FC_STORED);
  raw_close(&owner);
  raw_close(&waiter);
}
END_TEST

START_TEST(a_clear_ends_the_lease_and_the_old_result_is_not_stored) {
  struct raw owner, waiter, other;

  open_client(&owner);
  open_client(&waiter);
  open_client(&other);
  struct fc_epoch old = ask_state(&owner, "p", FC_LEASE_GRANTED);
  begin_waits(&waiter, 1, "p");
  ck_assert_int_eq(fcache_clear(watch, NULL, NULL, NULL), FCACHE_OK);
  struct fc_epoch epoch = expect_state(&waiter, FC_LEASE_GRANTED);
  begin_waits(&other, 1, "p");
  ck_assert_int_eq(put_text(&owner, "p", "of before", old), FC_STALE);
  expect_figure("lease_waits", 1); /* that was nothing for it */
  expect_figure("leases", 1);
  ck_assert_int_eq(put_text(&waiter, "p", "of after", epoch), FC_STORED);
  expect_value(&other, "of after");
  expect_nothing_left();
  raw_close(&owner);
  raw_close(&waiter);
  raw_close(&other);
}
END_TEST

/* ---- ends of clients ---- */

START_TEST(an_owner_that_disconnects_leaves_no_lease) {
  struct raw owner, waiter;

  open_client(&owner);
  open_client(&waiter);
  (void)ask_state(&owner, "p", FC_LEASE_GRANTED);
  (void)ask_state(&owner, "q", FC_LEASE_GRANTED);
  begin_waits(&waiter, 1, "p");
  raw_close(&owner);
  (void)expect_state(&waiter, FC_LEASE_GRANTED);
  library_wait_figure(watch, "leases", 1);
  expect_figure("leases_abandoned", 2);
  raw_close(&waiter);
  expect_nothing_left();
}
END_TEST

START_TEST(a_waiter_that_disconnects_leaves_no_wait) {
  struct raw owner, waiters[WAITERS];

  open_client(&owner);
  open_clients(waiters, WAITERS);
  (void)ask_state(&owner, "p", FC_LEASE_GRANTED);
  begin_waits(waiters, WAITERS, "p");
  raw_close(&waiters[0]);
  library_wait_figure(watch, "lease_waits", WAITERS - 1);
  expect_figure("leases", 1);
  ck_assert_uint_eq(give_up(&owner, "p"), 1);
  (void)expect_state(&waiters[1], FC_LEASE_GRANTED); /* not the one that is gone */
  close_clients(waiters, WAITERS);
  expect_nothing_left();
  raw_close(&owner);
}
END_TEST

/* In a child: takes the lease, forks a child that holds the socket too, and stays. */
static int own_and_leave_an_heir(void *heir) {
  struct fc_get get = get_of("p", LONG_MS, 0);
  struct fc_reply reply;
  struct raw raw;

  CHILD_EXPECT(raw_connect(&raw, served.socket) == 0);
  CHILD_EXPECT(raw_hello(&raw, "owner", SPACE) == 0);
  CHILD_EXPECT(raw_get(&raw, &get, &reply) == RAW_REPLY);
  CHILD_EXPECT(reply.get.lease == FC_LEASE_GRANTED);
  CHILD_EXPECT(heir_leave(heir));
  for (;;)
    (void)pause();
}

START_TEST(a_killed_owners_lease_is_granted_though_its_child_holds_the_socket) {
  struct heir heir;
  struct raw waiter;

  heir_init(&heir);
  open_client(&waiter);
  pid_t owner = child_start(own_and_leave_an_heir, &heir, NULL);
  pid_t child = heir_pid(&heir);
  begin_waits(&waiter, 1, "p");
  uint64_t start_ns = harness_now_ns();
  ck_assert_int_eq(kill(owner, SIGKILL), 0);
  (void)expect_state(&waiter, FC_LEASE_GRANTED);
  ck_assert_uint_lt((harness_now_ns() - start_ns) / 1000000, AT_ONCE_MS);
  ck_assert(!harness_is_gone(&child)); /* it holds the socket still */
  ck_assert_int_eq(harness_wait(owner, REPLY_MS), 128 + SIGKILL);
  heir_end(&heir, child);
  raw_close(&waiter);
  expect_nothing_left();
}
END_TEST

/* ---- no deadlock, no flood ---- */

/* Two that hold what the other asks for: neither is made to wait. */
START_TEST(who_holds_a_lease_never_waits) {
  struct raw a, b;

  open_client(&a);
  open_client(&b);
  (void)ask_state(&a, "p", FC_LEASE_GRANTED);
  (void)ask_state(&b, "q", FC_LEASE_GRANTED);
  begin(&a, "q", LONG_MS, LONG_MS);
  begin(&b, "p", LONG_MS, LONG_MS);
  (void)expect_state(&a, FC_LEASE_NONE);
  (void)expect_state(&b, FC_LEASE_NONE);
  expect_figure("lease_waits", 0);
  (void)ask_state(&a, "p", FC_LEASE_NONE); /* its own: nested in its own computation */
  raw_close(&a);
  raw_close(&b);
}
END_TEST

/* Who waits for several, and is granted one of them, no longer waits for the others. */
START_TEST(a_grant_ends_the_other_waits_of_its_client) {
  struct raw owners[2], waiter;
  struct fc_reply reply;

  open_clients(owners, 2);
  open_client(&waiter);
  (void)ask_state(&owners[0], "p", FC_LEASE_GRANTED);
  struct fc_epoch epoch = ask_state(&owners[1], "q", FC_LEASE_GRANTED);
  begin_waits(&waiter, 1, "q");
  begin_waits(&waiter, 1, "p");
  ck_assert_uint_eq(give_up(&owners[0], "p"), 1);
  take_reply(&waiter, &reply, FC_GET);
  enum fc_lease_state first = reply.get.lease; /* in either order */
  take_reply(&waiter, &reply, FC_GET);
  if (first == FC_LEASE_GRANTED)
    ck_assert_int_eq(reply.get.lease, FC_LEASE_TAKEN);
  else
    ck_assert_int_eq(reply.get.lease, FC_LEASE_GRANTED);
  expect_figure("lease_waits", 0);
  ck_assert_int_eq(put_text(&owners[1], "q", "v", epoch), FC_STORED);
  close_clients(owners, 2);
  raw_close(&waiter);
}
END_TEST

START_TEST(get_many_says_who_computes_what_and_never_waits) {
  struct raw owner, raw;
  const char *const prompts[] = {"stored", "taken", "free"};
  uint8_t hashes[3 * FC_HASH_SIZE];
  struct fc_buf buf = {0};
  struct fc_reply reply;

  open_client(&owner);
  open_client(&raw);
  ck_assert_int_eq(put_text(&owner, "stored", "v", (struct fc_epoch){0}), FC_STORED);
  (void)ask_state(&owner, "taken", FC_LEASE_GRANTED);
  for (size_t i = 0; i < 3; i++)
    memcpy(hashes + i * FC_HASH_SIZE, key_of(prompts[i]).prompt.bytes, FC_HASH_SIZE);
  struct fc_get_many get = {.flags = FC_LEASE,
                            .key = key_of(""),
                            .prompts = hashes,
                            .n = 3,
                            .has_terms = true,
                            .terms = {.lease_ms = LONG_MS}};
  (void)fc_encode_get_many(&buf, raw.next_id++, &get); /* raw_send_buf looks */
  ck_assert_int_eq(raw_send_buf(&raw, &buf), 0);
  fc_buf_free(&buf);
  take_reply(&raw, &reply, FC_GET_MANY);
  ck_assert(reply.get_many.last);
  ck_assert_uint_eq(reply.get_many.n_leases, 2);
  ck_assert_int_eq(reply.get_many.leases[0], FC_LEASE_TAKEN);
  ck_assert_int_eq(reply.get_many.leases[1], FC_LEASE_GRANTED);
  raw_close(&raw);
  raw_close(&owner);
  expect_nothing_left();
}
END_TEST

/* Past a bound the answer is clear, and comes at once: here four leases, and four waits, of one
 * client each. */
START_TEST(past_a_bound_the_answer_is_to_compute) {
  static const char *const prompts[CLIENTS] = {"p0", "p1", "p2", "p3", "p4"};
  struct raw owners[CLIENTS], waiters[CLIENTS];
  struct fc_epoch epochs[CLIENTS];

  open_clients(owners, CLIENTS);
  open_clients(waiters, CLIENTS);
  for (size_t i = 0; i < CLIENTS - 1; i++)
    epochs[i] = ask_state(&owners[i], prompts[i], FC_LEASE_GRANTED);
  (void)ask_state(&owners[0], "another of one client", FC_LEASE_NONE);
  (void)ask_state(&owners[CLIENTS - 1], prompts[CLIENTS - 1], FC_LEASE_NONE);
  expect_figure("leases", CLIENTS - 1);
  begin_waits(waiters, CLIENTS - 1, prompts[0]);
  begin(&waiters[0], prompts[1], LONG_MS, LONG_MS);
  (void)expect_state(&waiters[0], FC_LEASE_NONE); /* it waits for the other one still */
  begin(&waiters[CLIENTS - 1], prompts[1], LONG_MS, LONG_MS);
  (void)expect_state(&waiters[CLIENTS - 1], FC_LEASE_NONE);
  expect_figure("lease_waits", CLIENTS - 1);
  for (size_t i = 0; i < CLIENTS - 1; i++)
    ck_assert_int_eq(put_text(&owners[i], prompts[i], "v", epochs[i]), FC_STORED);
  for (size_t i = 0; i < CLIENTS - 1; i++)
    expect_value(&waiters[i], "v");
  expect_nothing_left();
  (void)ask_state(&owners[CLIENTS - 1], prompts[CLIENTS - 1], FC_LEASE_GRANTED); /* there is room */
  close_clients(owners, CLIENTS);
  close_clients(waiters, CLIENTS);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("leases");
  TCase *tcase = tcase_create("leases");
  TCase *bounded = tcase_create("bounded");
  tcase_add_checked_fixture(tcase, start, stop);
  tcase_add_test(tcase, a_put_answers_all_who_wait);
  tcase_add_test(tcase, a_put_of_an_older_client_answers_all_who_wait);
  tcase_add_test(tcase, a_value_that_cannot_be_stored_lets_all_compute);
  tcase_add_test(tcase, first_come_first_served);
  tcase_add_loop_test(tcase, a_term_that_passes_hands_the_lease_on, 0, 2);
  tcase_add_test(tcase, a_wait_ends_in_time);
  tcase_add_test(tcase, a_clear_ends_the_lease_and_the_old_result_is_not_stored);
  tcase_add_test(tcase, an_owner_that_disconnects_leaves_no_lease);
  tcase_add_test(tcase, a_waiter_that_disconnects_leaves_no_wait);
  tcase_add_test(tcase, a_killed_owners_lease_is_granted_though_its_child_holds_the_socket);
  tcase_add_test(tcase, who_holds_a_lease_never_waits);
  tcase_add_test(tcase, a_grant_ends_the_other_waits_of_its_client);
  tcase_add_test(tcase, get_many_says_who_computes_what_and_never_waits);
  suite_add_tcase(suite, tcase);
  tcase_add_checked_fixture(bounded, start_bounded, stop);
  tcase_add_test(bounded, past_a_bound_the_answer_is_to_compute);
  suite_add_tcase(suite, bounded);
  return harness_main(suite);
}
