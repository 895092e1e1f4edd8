/* What a daemon knows of the one before it: leases from records, and the epochs of puts. */
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/leases/lease_records.h"
#include "daemon/os/peer.h"
#include "daemon/os/proc_stat.h"
#include "daemon/requests/handlers.h"
#include "proto/errors.h"
#include "tests/support/dispatch_leases.h"
#include "tests/support/runner.h"

#define RECORDS 64u
#define TERM_NS UINT64_C(60000000000)
#define HANDLE 7u

static struct lease_record memory[RECORDS];
static struct lease_records records;
static pid_t holder; /* a process that holds leases, or 0 */

static uint64_t start_time_of(pid_t pid) {
  struct proc_stat stat;
  ck_assert(proc_stat_read(pid, &stat));
  return peer_start_time(stat.start_ticks);
}

static void start_holder(void) {
  holder = fork();
  ck_assert_int_ge(holder, 0);
  while (holder == 0)
    (void)pause();
}

static void end_holder(void) {
  if (holder > 0) {
    ck_assert_int_eq(kill(holder, SIGKILL), 0);
    ck_assert_int_eq(waitpid(holder, NULL, 0), holder);
  }
  holder = 0;
}

static void set_up(void) {
  set_up_leases();
  memset(memory, 0, sizeof memory);
  lease_records_init(&records, memory, RECORDS, NULL, NULL);
  dispatch.leases.records = &records;
  start_holder();
}

static void tear_down(void) {
  lease_owners_deinit(&dispatch.owners, call_clock_ns());
  end_holder();
  dispatch_tear_down();
}

/* Returns the content of a record of key `n`, granted to the holder's handle a second ago. */
static struct lease_record record_of(uint8_t n) {
  struct lease_record record = {.namespace_id = test_clients[0].session.ns->seed,
                                .granted_ns = call_clock_ns() - 1000000000u,
                                .end_ns = call_clock_ns() + TERM_NS,
                                .start_time = start_time_of(holder),
                                .pid = holder,
                                .handle = {HANDLE}};
  struct fc_key key = request_key(n);
  ck_assert(lease_record_set_key(&record, &key));
  return record;
}

static uint32_t add_record(const struct lease_record *content) {
  uint32_t number = lease_records_add(&records, content);
  ck_assert_uint_gt(number, 0);
  return number;
}

/* The daemon has restarted: the records are all that is left. */
static struct lease_owners_report adopt(void) {
  lease_records_init(&records, memory, RECORDS, NULL, NULL);
  return dispatch_adopt_leases(&dispatch);
}

static void adopt_one(const struct lease_record *record) {
  (void)add_record(record);
  struct lease_owners_report report = adopt();
  ck_assert_uint_eq(report.adopted, 1);
  ck_assert_uint_eq(report.dropped, 0);
  ck_assert_uint_eq(dispatch.leases.n, 1);
}

static void expect_no_records(void) {
  for (uint32_t i = 1; i < RECORDS; i++)
    ck_assert_uint_eq(atomic_load(&memory[i].in_use), 0);
}

/* ---- adopted leases ---- */

START_TEST(adopted_lease_waited_for_until_put) {
  const struct lease_record record = record_of(1);
  adopt_one(&record);
  get(&test_clients[0], 1, 0);
  expect_miss(&test_clients[0], 1, FC_LEASE_TAKEN);
  get(&test_clients[0], 1, 60000);
  ck_assert(!client_has_reply(&test_clients[0]));
  ck_assert_int_eq(put(&test_clients[1], 1, 10).put, FC_STORED); /* of any connection */
  expect_hit(&test_clients[0], 1, 10);
  ck_assert_uint_eq(dispatch.leases.n, 0);
  ck_assert_uint_eq(dispatch.owners.n, 0);
  expect_no_records();
}
END_TEST

START_TEST(adopted_process_dies_first_waiter_granted) {
  const struct lease_record record = record_of(1);
  adopt_one(&record);
  get(&test_clients[0], 1, 60000);
  get(&test_clients[1], 1, 60000);
  struct pollfd deaths = {.fd = dispatch.owners.deaths_fd, .events = POLLIN};
  ck_assert_int_eq(poll(&deaths, 1, 0), 0);
  ck_assert_int_eq(kill(holder, SIGKILL), 0);
  ck_assert_int_eq(poll(&deaths, 1, 10000), 1);
  dispatch_check_deaths(&dispatch);
  expect_miss(&test_clients[0], 1, FC_LEASE_GRANTED);
  ck_assert(!client_has_reply(&test_clients[1]));
  ck_assert_uint_eq(dispatch.owners.n, 0);
  ck_assert_int_eq(waitpid(holder, NULL, 0), holder);
  holder = 0;
}
END_TEST

/* A new connection of the holder, or of another handle of it. */
static void connect_holder(struct test_client *client, uint8_t handle) {
  client_disconnect(client);
  client->session.pid = holder;
  client->session.start_time = start_time_of(holder);
  struct fc_hello hello = client_hello_of(5);
  hello.has_handle = handle != 0;
  hello.handle.bytes[0] = handle;
  (void)client_hello(client, hello);
}

START_TEST(adopted_lease_claimed_by_its_handle) {
  const struct lease_record record = record_of(1);
  adopt_one(&record);
  get(&test_clients[0], 1, 60000);
  connect_holder(&test_clients[1], HANDLE + 1); /* another handle of the same process */
  ck_assert_uint_eq(test_clients[1].session.leases.held, 0);
  get(&test_clients[1], 1, 0);
  expect_miss(&test_clients[1], 1, FC_LEASE_TAKEN);
  connect_holder(&test_clients[2], HANDLE);
  ck_assert_uint_eq(test_clients[2].session.leases.held, 1);
  ck_assert_uint_eq(dispatch.owners.n, 0);
  get(&test_clients[2], 1, 60000); /* nested in its own computation */
  expect_miss(&test_clients[2], 1, FC_LEASE_NONE);
  ck_assert(!client_has_reply(&test_clients[0]));
  client_disconnect(&test_clients[2]); /* ends the lease as any end of a connection */
  expect_miss(&test_clients[0], 1, FC_LEASE_GRANTED);
}
END_TEST

START_TEST(adopted_lease_without_handle_taken_over_by_its_process) {
  struct lease_record record = record_of(1);
  record.handle[0] = 0;
  adopt_one(&record);
  get(&test_clients[0], 1, 0);
  expect_miss(&test_clients[0], 1, FC_LEASE_TAKEN);
  connect_holder(&test_clients[1], 0);
  get(&test_clients[1], 1, 60000);
  expect_miss(&test_clients[1], 1, FC_LEASE_GRANTED);
  ck_assert_uint_eq(dispatch.leases.n, 1);
  ck_assert_uint_eq(dispatch.owners.n, 0);
}
END_TEST

START_TEST(adopted_owner_not_seen_lease_ends_soon) {
  struct lease_record record = record_of(1);
  record.pid = 0; /* of another pid namespace */
  record.start_time = 0;
  adopt_one(&record);
  get(&test_clients[0], 1, 60000);
  uint64_t end_ns = leases_next_ns(&dispatch.leases);
  ck_assert_uint_le(end_ns, call_clock_ns() + LEASE_OWNERS_UNSEEN_NS);
  leases_expire(&dispatch.leases, end_ns);
  deferred_replies_send_all(&dispatch);
  expect_miss(&test_clients[0], 1, FC_LEASE_GRANTED);
}
END_TEST

START_TEST(adopted_leases_listed_with_pid) {
  const struct lease_record record = record_of(1);
  adopt_one(&record);
  struct fc_buf frame = {0};
  struct fc_page all = {.limit = 10};
  ck_assert_int_eq(fc_encode_page(&frame, FC_LEASES, 400, &all), 0);
  client_request(&test_clients[0], &frame);
  struct fc_reply reply = client_reply(&test_clients[0]);
  struct fc_lease_entry entry;
  ck_assert_uint_eq(reply.list.n, 1);
  fc_leases_next(&reply.list, &entry);
  ck_assert_uint_eq(entry.client_id, 0);
  ck_assert_int_eq(entry.pid, holder);
  ck_assert_uint_ge(entry.held_ns, 1000000000u);
}
END_TEST

/* ---- records that are not adopted ---- */

static void set_gone(struct lease_record *record) {
  end_holder();
  (void)record;
}
static void set_other_process(struct lease_record *record) {
  record->start_time++;
}
static void set_over(struct lease_record *record) {
  record->end_ns = call_clock_ns() - 1;
}
static void set_future(struct lease_record *record) {
  record->granted_ns = call_clock_ns() + TERM_NS / 2;
}
static void set_ends_before(struct lease_record *record) {
  record->end_ns = record->granted_ns - 1;
}
static void set_other_namespace(struct lease_record *record) {
  record->namespace_id ^= 1;
}
static void set_negative_pid(struct lease_record *record) {
  record->pid = -1;
}
static void set_empty_op(struct lease_record *record) {
  record->op_size = 0;
}
static void set_long_names(struct lease_record *record) {
  record->op_size = record->view_size = UINT8_MAX;
}
static void set_bad_name(struct lease_record *record) {
  record->names[0] = '\xff';
}
static void set_stored(struct lease_record *record) {
  (void)record;
  ck_assert_int_eq(put(&test_clients[0], 1, 10).put, FC_STORED);
}

static void (*const spoil[])(struct lease_record *record) = {
    set_gone,        set_other_process,   set_over,         set_future,
    set_ends_before, set_other_namespace, set_negative_pid, set_empty_op,
    set_long_names,  set_bad_name,        set_stored};

START_TEST(record_not_valid_dropped) {
  struct lease_record record = record_of(1);
  spoil[_i](&record);
  (void)add_record(&record);
  struct lease_owners_report report = adopt();
  ck_assert_uint_eq(report.adopted, 0);
  ck_assert_uint_eq(report.dropped, 1);
  ck_assert_uint_eq(dispatch.leases.n, 0);
  ck_assert_uint_eq(dispatch.owners.n, 0);
  expect_no_records();
  get(&test_clients[0], 2, 0); /* the records are usable */
  expect_miss(&test_clients[0], 2, FC_LEASE_GRANTED);
  ck_assert_uint_eq(atomic_load(&memory[1].in_use), 1);
}
END_TEST

/* A record that was being written: all of it but the last store, or another word. */
START_TEST(record_not_complete_ignored) {
  struct lease_record record = record_of(1);
  uint32_t number = add_record(&record);
  atomic_store(&memory[number].in_use, _i == 0 ? 0 : 2);
  struct lease_owners_report report = adopt();
  ck_assert_uint_eq(report.adopted, 0);
  ck_assert_uint_eq(report.dropped, _i);
  expect_no_records();
}
END_TEST

START_TEST(records_beyond_limit_dropped) {
  for (uint8_t n = 1; n <= 20; n++) { /* one client may hold 4 of 16 */
    struct lease_record record = record_of(n);
    record.handle[0] = n % 10;
    (void)add_record(&record);
  }
  struct lease_owners_report report = adopt();
  ck_assert_uint_eq(report.adopted, 16);
  ck_assert_uint_eq(report.dropped, 4);
  ck_assert_uint_eq(dispatch.owners.n, 10);
  leases_check(&dispatch.leases);
}
END_TEST

START_TEST(record_long_names_lease_without_record) {
  struct lease_record record = {0};
  char name[LEASE_RECORD_NAMES_MAX];
  memset(name, 'n', sizeof name);
  const struct fc_key key = {.op = {name, sizeof name - 1}, .view = {name, 2}};
  ck_assert(!lease_record_set_key(&record, &key));
}
END_TEST

/* ---- the daemon stops ---- */

START_TEST(daemon_stops_records_stay_and_waits_end_without_reply) {
  get(&test_clients[0], 1, 0);
  expect_miss(&test_clients[0], 1, FC_LEASE_GRANTED);
  get(&test_clients[0], 2, 0);
  expect_miss(&test_clients[0], 2, FC_LEASE_GRANTED);
  get(&test_clients[1], 1, 60000);
  dispatch_stop_leases(&dispatch);
  get(&test_clients[2], 1, 60000); /* no wait begins any more */
  expect_miss(&test_clients[2], 1, FC_LEASE_TAKEN);
  ck_assert_int_eq(put(&test_clients[0], 2, 10).put, FC_STORED);
  dispatch_release_leases(&dispatch, &test_clients[0].session);
  ck_assert_uint_eq(dispatch.leases.n, 0);
  ck_assert(!client_has_reply(&test_clients[1]));
  ck_assert_uint_eq(lease_records_end(&records), 3);
  ck_assert(lease_records_is_valid(&records, 1));
  ck_assert(!lease_records_is_valid(&records, 2)); /* its put came */
}
END_TEST

/* ---- epochs ---- */

/* Of the boots {8, 9} before this one, and of another cache. */
START_TEST(put_of_earlier_daemon_judged_by_generation) {
  const uint64_t boots[] = {8, 9};
  uint64_t before = dispatch.store->saved->generation;
  dispatch.boots = boots;
  dispatch.n_boots = 2;
  ck_assert_int_eq(put_since(&test_clients[0], 1, 10, (struct fc_epoch){7, before}).put, FC_STALE);
  ck_assert_int_eq(put_since(&test_clients[0], 1, 10, (struct fc_epoch){8, before}).put, FC_STORED);
  ck_assert_int_eq(put_since(&test_clients[0], 2, 10, (struct fc_epoch){9, before}).put, FC_STORED);
  struct fc_buf frame = {0};
  const struct fc_clear all = {.select.name_space = fc_str_of("ns")};
  ck_assert_int_eq(fc_encode_clear(&frame, 500, &all), 0);
  client_request(&test_clients[0], &frame);
  ck_assert_uint_eq(client_reply(&test_clients[0]).removed, 2);
  for (uint64_t boot = 7; boot <= 9; boot++)
    ck_assert_int_eq(put_since(&test_clients[0], 1, 10, (struct fc_epoch){boot, before}).put,
                     FC_STALE);
  struct fc_epoch since = {8, dispatch.store->saved->generation};
  ck_assert_int_eq(put_since(&test_clients[0], 1, 10, since).put, FC_STORED);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("adopted_leases");
  TCase *tcase = tcase_create("adopted_leases");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, adopted_lease_waited_for_until_put);
  tcase_add_test(tcase, adopted_process_dies_first_waiter_granted);
  tcase_add_test(tcase, adopted_lease_claimed_by_its_handle);
  tcase_add_test(tcase, adopted_lease_without_handle_taken_over_by_its_process);
  tcase_add_test(tcase, adopted_owner_not_seen_lease_ends_soon);
  tcase_add_test(tcase, adopted_leases_listed_with_pid);
  tcase_add_loop_test(tcase, record_not_valid_dropped, 0, sizeof spoil / sizeof spoil[0]);
  tcase_add_loop_test(tcase, record_not_complete_ignored, 0, 2);
  tcase_add_test(tcase, records_beyond_limit_dropped);
  tcase_add_test(tcase, record_long_names_lease_without_record);
  tcase_add_test(tcase, daemon_stops_records_stay_and_waits_end_without_reply);
  tcase_add_test(tcase, put_of_earlier_daemon_judged_by_generation);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
