/* Processes: their connections, their helpers, and their entries in /proc. */
#include <check.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/leases/processes.h"
#include "daemon/os/peer.h"
#include "daemon/os/proc_stat.h"
#include "tests/support/runner.h"

static struct processes processes;
static struct counters counters;
static struct leases leases;
static struct namespace space;
static struct lease_client computing_client; /* of this process; holds its lease */
static struct process *self;

static uint64_t birth_of(pid_t pid) {
  struct proc_stat stat;
  ck_assert(proc_stat_read(pid, &stat));
  return peer_start_time(stat.start_ticks);
}

static struct process *join(pid_t pid, uint64_t number) {
  return processes_join(&processes, pid, birth_of(pid), number);
}

static void set_up(void) {
  const struct leases_limits limits = leases_limits_of(100, 1000000);
  leases_init(&leases, &limits, &counters);
  namespace_init(&space, fc_str_of("ns"), 7, 1);
  self = join(getpid(), 1);
  ck_assert_ptr_nonnull(self);
  computing_client = (struct lease_client){.process = &self->leases};
}

static void tear_down(void) {
  leases_client_gone(&leases, &computing_client, 0);
  leases_deinit(&leases);
  namespace_deinit(&space);
  processes_leave(&processes, self);
  processes_deinit(&processes);
}

static uint64_t clock_ns(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* This process computes, since now. */
static void compute(void) {
  const struct fc_key key = {.op = fc_str_of("op"), .view = fc_str_of("base")};
  const struct lease_request request = {
      .ns = &space, .digest = fc_key_digest(space.seed, &key), .key = &key, .wants = true};
  ck_assert_int_eq(leases_acquire(&leases, &computing_client, &request, clock_ns()), LEASE_GRANTED);
}

/* A child; with `between`, a child of a child that is no client. It is there until `end`. */
struct child {
  pid_t first, pid;
};

static struct child start(bool between) {
  struct child child = {0};
  int ends[2];
  ck_assert_int_eq(pipe(ends), 0);
  child.first = fork();
  ck_assert_int_ge(child.first, 0);
  if (child.first == 0) {
    pid_t inner = between ? fork() : 0;
    if (inner == 0)
      (void)!write(ends[1], &(pid_t){getpid()}, sizeof(pid_t));
    for (;;)
      (void)pause();
  }
  ck_assert_int_eq(read(ends[0], &child.pid, sizeof child.pid), sizeof child.pid);
  (void)close(ends[0]);
  (void)close(ends[1]);
  return child;
}

static void end(struct child child) {
  if (child.pid != child.first)
    ck_assert_int_eq(kill(child.pid, SIGKILL), 0);
  ck_assert_int_eq(kill(child.first, SIGKILL), 0);
  ck_assert_int_eq(waitpid(child.first, NULL, 0), child.first);
}

/* ---- connections ---- */

START_TEST(connections_grouped_by_process) {
  struct process *again = join(getpid(), 2), *other = join(getppid(), 3);
  ck_assert_ptr_eq(again, self);
  ck_assert_uint_eq(self->number, 1);
  ck_assert_ptr_ne(other, self);
  ck_assert_uint_eq(other->number, 3);
  processes_leave(&processes, again);
  processes_leave(&processes, other);
}
END_TEST

START_TEST(process_without_connection_kept) {
  struct process *other = processes_join(&processes, 77777, 5, 2);
  processes_leave(&processes, other);
  ck_assert_ptr_eq(processes_join(&processes, 77777, 5, 3), other);
  ck_assert_uint_eq(other->number, 2);
  ck_assert_uint_eq(processes.idle, 0);
  processes_leave(&processes, other);
  /* the same pid, another process */
  struct process *later = processes_join(&processes, 77777, 6, 4);
  ck_assert_uint_eq(later->number, 4);
  processes_leave(&processes, later);
}
END_TEST

START_TEST(process_of_unknown_birth_not_kept) {
  struct process *one = processes_join(&processes, 77777, 0, 2);
  ck_assert_ptr_eq(processes_join(&processes, 77777, 0, 3), one);
  processes_leave(&processes, one);
  processes_leave(&processes, one);
  ck_assert_ptr_null(processes_find(&processes, 77777, 0));
  ck_assert_ptr_null(processes_join(&processes, 0, 0, 4)); /* of another pid namespace */
}
END_TEST

START_TEST(kept_processes_bounded) {
  for (uint32_t i = 0; i < PROCESSES_IDLE_MAX + 10; i++)
    processes_leave(&processes, processes_join(&processes, 100000 + (pid_t)i, 1, 2 + i));
  ck_assert_uint_eq(processes.idle, PROCESSES_IDLE_MAX);
  ck_assert_ptr_null(processes_find(&processes, 100009, 1));
  ck_assert_ptr_nonnull(processes_find(&processes, 100010, 1));
}
END_TEST

/* A user can make processes until they have such pids. */
START_TEST(pids_spread_over_buckets) {
  enum { MANY = 4 * PROCESSES_BUCKETS };
  uint32_t longest = 0;
  for (uint32_t i = 0; i < MANY; i++)
    (void)processes_join(&processes, 100096 + (pid_t)(i * PROCESSES_BUCKETS), 1, 2 + i);
  for (uint32_t i = 0; i < PROCESSES_BUCKETS; i++) {
    uint32_t n = 0;
    for (struct process *at = processes.buckets[i]; at != NULL; at = at->next_in_bucket)
      n++;
    longest = n > longest ? n : longest;
  }
  ck_assert_uint_lt(longest, 32);
  for (uint32_t i = 0; i < MANY; i++)
    processes_leave(&processes,
                    processes_find(&processes, 100096 + (pid_t)(i * PROCESSES_BUCKETS), 1));
}
END_TEST

/* ---- helpers ---- */

START_TEST(child_of_computation_is_helper) {
  compute();
  struct child child = start(_i == 1);
  struct process *process = join(child.pid, 2);
  ck_assert_ptr_eq(process->leases.helper_of, &self->leases);
  processes_leave(&processes, process);
  ck_assert_ptr_eq(join(child.pid, 3)->leases.helper_of, &self->leases); /* for life */
  processes_leave(&processes, process);
  end(child);
}
END_TEST

START_TEST(child_of_helper_is_helper) {
  compute();
  struct child child = start(true);
  struct process *between = join(child.first, 2), *process = join(child.pid, 3);
  ck_assert_ptr_eq(between->leases.helper_of, &self->leases);
  ck_assert_ptr_eq(process->leases.helper_of, &between->leases);
  processes_leave(&processes, between);
  processes_leave(&processes, process);
  end(child);
}
END_TEST

START_TEST(child_from_before_computation_no_helper) {
  struct child child = start(false);
  uint64_t created_ns = proc_stat_created_ns(peer_start_ticks(birth_of(child.pid)));
  while (clock_ns() <= created_ns) /* known to a tick */
    ;
  compute();
  struct process *process = join(child.pid, 2);
  ck_assert_ptr_null(process->leases.helper_of);
  processes_leave(&processes, process);
  end(child);
}
END_TEST

START_TEST(child_of_idle_process_no_helper) {
  struct child child = start(false);
  struct process *process = join(child.pid, 2);
  ck_assert_ptr_null(process->leases.helper_of);
  processes_leave(&processes, process);
  end(child);
}
END_TEST

/* ---- /proc ---- */

START_TEST(proc_stat_parsed) {
  struct proc_stat stat, parsed;
  ck_assert(proc_stat_read(getpid(), &stat));
  ck_assert_int_eq(stat.parent, getppid());
  uint64_t created_ns = proc_stat_created_ns(stat.start_ticks);
  ck_assert_uint_gt(created_ns + UINT64_C(600000000000), clock_ns());
  ck_assert_uint_lt(created_ns, clock_ns() + 20000000u);
  ck_assert(proc_stat_parse("12 (a) b (c d)) S 34 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 "
                            "987654321 23 24",
                            &parsed));
  ck_assert_int_eq(parsed.parent, 34);
  ck_assert_uint_eq(parsed.start_ticks, 987654321);
  ck_assert(!proc_stat_parse("12 (a) S 34 5 6", &parsed));
  ck_assert(!proc_stat_parse("", &parsed));
  ck_assert(!proc_stat_read(0, &stat));
  ck_assert(!proc_stat_read(1 << 30, &stat));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("processes");
  TCase *tcase = tcase_create("processes");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, connections_grouped_by_process);
  tcase_add_test(tcase, process_without_connection_kept);
  tcase_add_test(tcase, process_of_unknown_birth_not_kept);
  tcase_add_test(tcase, kept_processes_bounded);
  tcase_add_test(tcase, pids_spread_over_buckets);
  tcase_add_loop_test(tcase, child_of_computation_is_helper, 0, 2);
  tcase_add_test(tcase, child_of_helper_is_helper);
  tcase_add_test(tcase, child_from_before_computation_no_helper);
  tcase_add_test(tcase, child_of_idle_process_no_helper);
  tcase_add_test(tcase, proc_stat_parsed);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
