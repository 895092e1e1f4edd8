/* Leases of keys that another node computes: the fleet owns them, as a client without a connection
 * and a process. */
#include <check.h>

#include "daemon/leases/leases.h"
#include "tests/support/leases_fixture.h"
#include "tests/support/runner.h"

#define GRACE LEASES_GRACE_UNKNOWN_NS
#define LONG_WAIT (20 * GRACE)

static struct lease_client fleet;
static struct lease_process processes[3];
static struct lease_record record_memory[8];
static struct lease_records records;
static unsigned changes[LEASE_EXPIRED + 1];

static void on_change(void *arg, const struct lease *lease, enum lease_change change,
                      uint64_t now_ns) {
  (void)arg;
  (void)now_ns;
  changes[change] += lease->owner == &fleet;
}

static void set_up(void) {
  leases_fixture_start();
  fleet = (struct lease_client){.remote = true};
  for (unsigned i = 0; i < LEASE_EXPIRED + 1; i++)
    changes[i] = 0;
  for (unsigned i = 0; i < 3; i++)
    processes[i] = (struct lease_process){0};
  leases.on_change = on_change;
}

static void tear_down(void) {
  leases_check(&leases);
  leases_client_gone(&leases, &fleet, NOW + WAIT);
  for (unsigned i = 0; i < CLIENTS; i++)
    leases_client_gone(&leases, &lease_clients[i], NOW + WAIT);
  for (unsigned i = 0; i < 3; i++)
    leases_forget_process(&processes[i]);
  leases_fixture_end();
}

/* Requests the lease with times that no test reaches. */
static enum lease_answer acquire_at(struct lease_client *client, uint8_t prompt, uint64_t now_ns) {
  struct fc_key key = lease_key(prompt);
  struct lease_request request = lease_request(&key);
  request.term_ns = UINT64_MAX;
  request.wait_ns = client->remote ? 0 : LONG_WAIT;
  return leases_acquire(&leases, client, &request, now_ns);
}

/* The fleet owns the lease of key `prompt`, and client `i` of process `process` waits for it. */
static struct lease_client *wait_for_node(unsigned i, unsigned process, uint8_t prompt) {
  struct lease_client *client = &lease_clients[i];
  client->process = &processes[process];
  if (fleet.held == 0)
    ck_assert_int_eq(acquire_at(&fleet, prompt, NOW), LEASE_GRANTED);
  ck_assert_int_eq(acquire_at(client, prompt, NOW), LEASE_WAITS);
  return client;
}

/* Client `i` of process `process` is granted key `prompt`. */
static struct lease_client *compute(unsigned i, unsigned process, uint8_t prompt, uint64_t now_ns) {
  lease_clients[i].process = &processes[process];
  ck_assert_int_eq(acquire_at(&lease_clients[i], prompt, now_ns), LEASE_GRANTED);
  return &lease_clients[i];
}

static enum lease_end end_of(struct lease_client *client) {
  ck_assert_uint_eq(client->due, 1);
  enum lease_end end = client->due_first->end;
  leases_due_done(&leases, client);
  return end;
}

/* ---- the owner ---- */

START_TEST(value_of_other_node_serves_waiters_and_counts_no_grant) {
  struct lease_client *client = wait_for_node(0, 0, 1);
  ck_assert_int_eq(acquire_at(&lease_clients[1], 1, NOW), LEASE_WAITS); /* of no process */
  ck_assert_uint_eq(changes[LEASE_BEGINS], 1);
  lease_put(1, NOW + 1);
  ck_assert_int_eq(end_of(client), LEASE_END_PUT);
  ck_assert_int_eq(end_of(&lease_clients[1]), LEASE_END_PUT);
  ck_assert_uint_eq(changes[LEASE_PUT], 1);
  ck_assert_uint_eq(counters.leases_granted + space.counters.leases_granted, 0);
  ck_assert_uint_eq(space.lease_ns, 0); /* the time since another node began is not known */
}
END_TEST

START_TEST(given_up_lease_goes_to_first_waiter_and_counts_no_abandon) {
  struct lease_client *client = wait_for_node(0, 0, 1);
  ck_assert(lease_give_up(&fleet, 1, false, NOW + 1));
  ck_assert_int_eq(end_of(client), LEASE_END_GRANTED);
  ck_assert_uint_eq(client->held, 1);
  ck_assert_uint_eq(counters.leases_abandoned, 0);
  ck_assert_uint_eq(counters.leases_granted, 1); /* of the waiter */
  ck_assert_uint_eq(changes[LEASE_ENDED], 1);
  lease_put(1, NOW + 2);
}
END_TEST

START_TEST(expired_lease_goes_to_waiter_and_counts_no_expiry) {
  struct fc_key key = lease_key(1);
  struct lease_request request = lease_request(&key);
  ck_assert_int_eq(leases_acquire(&leases, &fleet, &request, NOW), LEASE_GRANTED);
  ck_assert_int_eq(acquire_at(&lease_clients[0], 1, NOW), LEASE_WAITS);
  leases_expire(&leases, NOW + TERM);
  ck_assert_int_eq(end_of(&lease_clients[0]), LEASE_END_GRANTED);
  ck_assert_uint_eq(counters.leases_expired, 0);
  lease_put(1, NOW + TERM);
}
END_TEST

START_TEST(local_lease_is_taken_for_other_nodes) {
  (void)compute(0, 0, 1, NOW);
  ck_assert_int_eq(acquire_at(&fleet, 1, NOW), LEASE_TAKEN);
  ck_assert_uint_eq(fleet.held, 0);
}
END_TEST

START_TEST(limit_of_one_client_does_not_bound_other_nodes) {
  const struct leases_limits limits = {3, 1, 3, 1, UINT64_MAX};
  leases_set_limits(&leases, &limits);
  for (uint8_t prompt = 1; prompt <= 3; prompt++)
    ck_assert_int_eq(acquire_at(&fleet, prompt, NOW), LEASE_GRANTED);
  ck_assert_int_eq(acquire_at(&fleet, 4, NOW), LEASE_NONE); /* the limit of all does */
  ck_assert_uint_eq(fleet.held, 3);
}
END_TEST

START_TEST(lease_of_other_node_has_no_record) {
  lease_records_init(&records, record_memory, 8, NULL, NULL);
  leases.records = &records;
  ck_assert_int_eq(acquire_at(&fleet, 1, NOW), LEASE_GRANTED);
  ck_assert_uint_eq(leases.first->record, 0);
  (void)compute(0, 0, 2, NOW);
  ck_assert_uint_ne(leases.last->record, 0);
  lease_put(2, NOW);
}
END_TEST

/* ---- cycles through other nodes ---- */

START_TEST(wait_of_process_without_leases_lasts_as_requested) {
  struct lease_client *client = wait_for_node(0, 0, 1);
  for (uint64_t at_ns = NOW; at_ns < NOW + LONG_WAIT; at_ns += GRACE / 4)
    leases_expire(&leases, at_ns);
  ck_assert_uint_eq(client->waits, 1);
  leases_expire(&leases, NOW + LONG_WAIT);
  ck_assert_int_eq(end_of(client), LEASE_END_NONE);
}
END_TEST

/* A process holds a lease from before its wait, or from `later` on. */
static const struct {
  uint64_t later_ns, ends_ns;
} holders[] = {
    {0, GRACE},
    {GRACE / 2, GRACE / 2 + GRACE},
    {GRACE, 2 * GRACE},
    {7 * GRACE + 5, 8 * GRACE + 5},
};

START_TEST(wait_of_process_that_holds_ends_after_grace) {
  uint64_t later_ns = NOW + holders[_i].later_ns, ends_ns = NOW + holders[_i].ends_ns;
  struct lease_client *client = NULL;
  if (holders[_i].later_ns == 0) {
    (void)compute(1, 0, 2, NOW);
    client = wait_for_node(0, 0, 1);
  } else {
    client = wait_for_node(0, 0, 1);
    leases_expire(&leases, later_ns);
    (void)compute(1, 0, 2, later_ns);
  }
  leases_expire(&leases, ends_ns - 1);
  ck_assert_uint_eq(client->waits, 1);
  leases_expire(&leases, ends_ns);
  ck_assert_int_eq(end_of(client), LEASE_END_NONE);
}
END_TEST

START_TEST(lease_that_ends_in_grace_lets_wait_go_on) {
  (void)compute(1, 0, 2, NOW);
  struct lease_client *client = wait_for_node(0, 0, 1);
  lease_put(2, NOW + GRACE / 2);
  space.lease_ns = 0; /* the grace stays that of an unknown time */
  leases_expire(&leases, NOW + GRACE);
  ck_assert_uint_eq(client->waits, 1);
  (void)compute(1, 0, 2, NOW + GRACE);
  leases_expire(&leases, NOW + 2 * GRACE - 1);
  ck_assert_uint_eq(client->waits, 1);
  leases_expire(&leases, NOW + 2 * GRACE);
  ck_assert_int_eq(end_of(client), LEASE_END_NONE);
}
END_TEST

START_TEST(wait_of_helper_ends_after_grace_of_process_that_it_helps) {
  (void)compute(1, 0, 2, NOW);
  leases_set_helper(&processes[1], &processes[0]);
  leases_set_helper(&processes[2], &processes[1]);
  struct lease_client *client = wait_for_node(0, 2, 1);
  leases_expire(&leases, NOW + GRACE);
  ck_assert_int_eq(end_of(client), LEASE_END_NONE);
}
END_TEST

START_TEST(other_process_keeps_waiting) {
  (void)compute(1, 0, 2, NOW);
  struct lease_client *ends = wait_for_node(0, 0, 1), *stays = wait_for_node(2, 1, 1);
  leases_expire(&leases, NOW + 2 * GRACE);
  ck_assert_int_eq(end_of(ends), LEASE_END_NONE);
  ck_assert_uint_eq(stays->waits, 1);
}
END_TEST

/* From then on the lease is a local one, and the search over the local processes decides. */
START_TEST(lease_handed_to_local_process_ends_grace) {
  struct lease_client *first = wait_for_node(0, 0, 1), *second = wait_for_node(2, 1, 1);
  (void)compute(1, 1, 2, NOW);
  ck_assert(lease_give_up(&fleet, 1, false, NOW + 1));
  ck_assert_int_eq(end_of(first), LEASE_END_GRANTED);
  ck_assert_uint_eq(second->wait_first->until.at_ns, NOW + LONG_WAIT);
  leases_expire(&leases, NOW + 4 * GRACE);
  ck_assert_uint_eq(second->waits, 1);
}
END_TEST

static Suite *make_suite(void) {
  Suite *suite = suite_create("leases_remote");
  TCase *owner = tcase_create("owner"), *cycles = tcase_create("cycles");
  tcase_add_checked_fixture(owner, set_up, tear_down);
  tcase_add_test(owner, value_of_other_node_serves_waiters_and_counts_no_grant);
  tcase_add_test(owner, given_up_lease_goes_to_first_waiter_and_counts_no_abandon);
  tcase_add_test(owner, expired_lease_goes_to_waiter_and_counts_no_expiry);
  tcase_add_test(owner, local_lease_is_taken_for_other_nodes);
  tcase_add_test(owner, limit_of_one_client_does_not_bound_other_nodes);
  tcase_add_test(owner, lease_of_other_node_has_no_record);
  suite_add_tcase(suite, owner);
  tcase_add_checked_fixture(cycles, set_up, tear_down);
  tcase_add_test(cycles, wait_of_process_without_leases_lasts_as_requested);
  tcase_add_loop_test(cycles, wait_of_process_that_holds_ends_after_grace, 0,
                      sizeof holders / sizeof holders[0]);
  tcase_add_test(cycles, lease_that_ends_in_grace_lets_wait_go_on);
  tcase_add_test(cycles, wait_of_helper_ends_after_grace_of_process_that_it_helps);
  tcase_add_test(cycles, other_process_keeps_waiting);
  tcase_add_test(cycles, lease_handed_to_local_process_ends_grace);
  suite_add_tcase(suite, cycles);
  return suite;
}

int main(void) {
  return runner_run(make_suite());
}
