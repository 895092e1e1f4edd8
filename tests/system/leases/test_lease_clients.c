/* Clients that disconnect, die, hold several leases or reach a limit, over the wire. */
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/child_process.h"
#include "tests/support/library.h"
#include "tests/support/wire_leases.h"

#define AT_ONCE_MS 1000u /* for a busy machine */
#define WAITERS 3u
#define CLIENTS 5u

START_TEST(owner_disconnects_lease_handed_over) {
  struct raw owner, waiter;

  wire_open(&owner);
  wire_open(&waiter);
  (void)wire_acquire(&owner, "p", FC_LEASE_GRANTED);
  (void)wire_acquire(&owner, "q", FC_LEASE_GRANTED);
  wire_begin_waits(&waiter, 1, "p");
  raw_close(&owner);
  (void)wire_expect_state(&waiter, FC_LEASE_GRANTED);
  library_wait_stat(wire_watch, "leases", 1);
  wire_expect_stat("leases_abandoned", 2);
  raw_close(&waiter);
  wire_expect_nothing_left();
}
END_TEST

START_TEST(waiter_disconnects_wait_removed) {
  struct raw owner, waiters[WAITERS];

  wire_open(&owner);
  wire_open_all(waiters, WAITERS);
  (void)wire_acquire(&owner, "p", FC_LEASE_GRANTED);
  wire_begin_waits(waiters, WAITERS, "p");
  raw_close(&waiters[0]);
  library_wait_stat(wire_watch, "lease_waits", WAITERS - 1);
  wire_expect_stat("leases", 1);
  ck_assert_uint_eq(wire_give_up(&owner, "p"), 1);
  (void)wire_expect_state(&waiters[1], FC_LEASE_GRANTED); /* not the client that is gone */
  wire_close_all(waiters, WAITERS);
  wire_expect_nothing_left();
  raw_close(&owner);
}
END_TEST

/* In a child: acquires the lease, forks a child that keeps the socket, and stays. */
static int own_and_leave_an_heir(void *heir) {
  struct fc_get get = wire_get("p", WIRE_LONG_MS, 0);
  struct fc_reply reply;
  struct raw raw;

  CHILD_EXPECT(raw_connect(&raw, wire_daemon.socket) == 0);
  CHILD_EXPECT(raw_hello(&raw, "owner", WIRE_SPACE) == 0);
  CHILD_EXPECT(raw_get(&raw, &get, &reply) == RAW_REPLY);
  CHILD_EXPECT(reply.get.lease == FC_LEASE_GRANTED);
  CHILD_EXPECT(heir_leave(heir));
  for (;;)
    (void)pause();
}

START_TEST(owner_killed_child_keeps_socket_lease_handed_over) {
  struct heir heir;
  struct raw waiter;

  heir_init(&heir);
  wire_open(&waiter);
  pid_t owner = child_start(own_and_leave_an_heir, &heir, NULL);
  pid_t child = heir_pid(&heir);
  wire_begin_waits(&waiter, 1, "p");
  uint64_t start_ns = harness_now_ns();
  ck_assert_int_eq(kill(owner, SIGKILL), 0);
  (void)wire_expect_state(&waiter, FC_LEASE_GRANTED);
  ck_assert_uint_lt((harness_now_ns() - start_ns) / 1000000, AT_ONCE_MS);
  ck_assert(!harness_is_gone(&child)); /* the child still has the socket */
  ck_assert_int_eq(harness_wait(owner, WIRE_REPLY_MS), 128 + SIGKILL);
  heir_end(&heir, child);
  raw_close(&waiter);
  wire_expect_nothing_left();
}
END_TEST

/* Each client requests the key that the other one holds. */
START_TEST(owners_of_two_leases_never_wait) {
  struct raw a, b;

  wire_open(&a);
  wire_open(&b);
  (void)wire_acquire(&a, "p", FC_LEASE_GRANTED);
  (void)wire_acquire(&b, "q", FC_LEASE_GRANTED);
  wire_begin(&a, "q", WIRE_LONG_MS, WIRE_LONG_MS);
  wire_begin(&b, "p", WIRE_LONG_MS, WIRE_LONG_MS);
  (void)wire_expect_state(&a, FC_LEASE_NONE);
  (void)wire_expect_state(&b, FC_LEASE_NONE);
  wire_expect_stat("lease_waits", 0);
  (void)wire_acquire(&a, "p", FC_LEASE_NONE); /* its own key: nested in its own computation */
  raw_close(&a);
  raw_close(&b);
}
END_TEST

START_TEST(grant_ends_other_waits_of_client) {
  struct raw owners[2], waiter;
  struct fc_reply reply;

  wire_open_all(owners, 2);
  wire_open(&waiter);
  (void)wire_acquire(&owners[0], "p", FC_LEASE_GRANTED);
  struct fc_epoch epoch = wire_acquire(&owners[1], "q", FC_LEASE_GRANTED);
  wire_begin_waits(&waiter, 1, "q");
  wire_begin_waits(&waiter, 1, "p");
  ck_assert_uint_eq(wire_give_up(&owners[0], "p"), 1);
  wire_reply(&waiter, &reply, FC_GET);
  enum fc_lease_state first = reply.get.lease; /* in either order */
  wire_reply(&waiter, &reply, FC_GET);
  if (first == FC_LEASE_GRANTED)
    ck_assert_int_eq(reply.get.lease, FC_LEASE_TAKEN);
  else
    ck_assert_int_eq(reply.get.lease, FC_LEASE_GRANTED);
  wire_expect_stat("lease_waits", 0);
  ck_assert_int_eq(wire_put(&owners[1], "q", "v", epoch), FC_STORED);
  wire_close_all(owners, 2);
  raw_close(&waiter);
}
END_TEST

START_TEST(get_many_returns_states_without_waiting) {
  struct raw owner, raw;
  const char *const prompts[] = {"stored", "taken", "free"};
  uint8_t hashes[3 * FC_HASH_SIZE];
  struct fc_buf buf = {0};
  struct fc_reply reply;

  wire_open(&owner);
  wire_open(&raw);
  ck_assert_int_eq(wire_put(&owner, "stored", "v", (struct fc_epoch){0}), FC_STORED);
  (void)wire_acquire(&owner, "taken", FC_LEASE_GRANTED);
  for (size_t i = 0; i < 3; i++)
    memcpy(hashes + i * FC_HASH_SIZE, wire_key(prompts[i]).prompt.bytes, FC_HASH_SIZE);
  struct fc_get_many get = {.flags = FC_LEASE,
                            .key = wire_key(""),
                            .prompts = hashes,
                            .n = 3,
                            .has_terms = true,
                            .terms = {.lease_ms = WIRE_LONG_MS}};
  (void)fc_encode_get_many(&buf, raw.next_id++, &get); /* raw_send_buf checks `failed` */
  ck_assert_int_eq(raw_send_buf(&raw, &buf), 0);
  fc_buf_free(&buf);
  wire_reply(&raw, &reply, FC_GET_MANY);
  ck_assert(reply.get_many.last);
  ck_assert_uint_eq(reply.get_many.n_leases, 2);
  ck_assert_int_eq(reply.get_many.leases[0], FC_LEASE_TAKEN);
  ck_assert_int_eq(reply.get_many.leases[1], FC_LEASE_GRANTED);
  raw_close(&raw);
  raw_close(&owner);
  wire_expect_nothing_left();
}
END_TEST

/* The limits here: four leases, four waits, and one of each per client. */
START_TEST(limit_reached_answer_is_compute) {
  static const char *const prompts[CLIENTS] = {"p0", "p1", "p2", "p3", "p4"};
  struct raw owners[CLIENTS], waiters[CLIENTS];
  struct fc_epoch epochs[CLIENTS];

  wire_open_all(owners, CLIENTS);
  wire_open_all(waiters, CLIENTS);
  for (size_t i = 0; i < CLIENTS - 1; i++)
    epochs[i] = wire_acquire(&owners[i], prompts[i], FC_LEASE_GRANTED);
  (void)wire_acquire(&owners[0], "another of one client", FC_LEASE_NONE);
  (void)wire_acquire(&owners[CLIENTS - 1], prompts[CLIENTS - 1], FC_LEASE_NONE);
  wire_expect_stat("leases", CLIENTS - 1);
  wire_begin_waits(waiters, CLIENTS - 1, prompts[0]);
  wire_begin(&waiters[0], prompts[1], WIRE_LONG_MS, WIRE_LONG_MS);
  (void)wire_expect_state(&waiters[0], FC_LEASE_NONE); /* it still waits for the other key */
  wire_begin(&waiters[CLIENTS - 1], prompts[1], WIRE_LONG_MS, WIRE_LONG_MS);
  (void)wire_expect_state(&waiters[CLIENTS - 1], FC_LEASE_NONE);
  wire_expect_stat("lease_waits", CLIENTS - 1);
  for (size_t i = 0; i < CLIENTS - 1; i++)
    ck_assert_int_eq(wire_put(&owners[i], prompts[i], "v", epochs[i]), FC_STORED);
  for (size_t i = 0; i < CLIENTS - 1; i++)
    wire_expect_value(&waiters[i], "v");
  wire_expect_nothing_left();
  (void)wire_acquire(&owners[CLIENTS - 1], prompts[CLIENTS - 1],
                     FC_LEASE_GRANTED); /* there is room */
  wire_close_all(owners, CLIENTS);
  wire_close_all(waiters, CLIENTS);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("lease_clients");
  TCase *tcase = tcase_create("lease_clients");
  tcase_add_checked_fixture(tcase, wire_start, wire_stop);
  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, owner_disconnects_lease_handed_over);
  tcase_add_test(tcase, waiter_disconnects_wait_removed);
  tcase_add_test(tcase, owner_killed_child_keeps_socket_lease_handed_over);
  tcase_add_test(tcase, owners_of_two_leases_never_wait);
  tcase_add_test(tcase, grant_ends_other_waits_of_client);
  tcase_add_test(tcase, get_many_returns_states_without_waiting);
  suite_add_tcase(suite, tcase);
  tcase = tcase_create("bounded");
  tcase_add_checked_fixture(tcase, wire_start_bounded, wire_stop);
  tcase_add_test(tcase, limit_reached_answer_is_compute);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
