/* Crashes in a row, over the lives of daemons: which end of a daemon ends the row. */
#include "daemon/os/crash_count.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/child_process.h"
#include "tests/support/runner.h"
#include "tests/support/service_manager.h"

/* The words of the file "starts". */
enum { MAGIC, STARTS, CRASHES, BEGAN_S, CRASHED, WORDS };

static struct service_manager manager;
static struct sd_notify notify;

static void set_up(void) {
  service_manager_init(&manager);
  ck_assert_int_eq(setenv("NOTIFY_SOCKET", manager.notify_path, 1), 0);
  sd_notify_init(&notify);
  ck_assert_int_eq(unsetenv("NOTIFY_SOCKET"), 0);
}

static void tear_down(void) {
  sd_notify_deinit(&notify);
  service_manager_deinit(&manager);
}

/* A daemon that begins, serves and ends. `arg`: the descriptor of the file, or -1. */
static int live(void *arg) {
  struct fd_store store;
  int fd = *(int *)arg;
  fd_store_init(&store, &notify);
  if (fd >= 0) {
    store.received = calloc(1, sizeof *store.received);
    CHILD_EXPECT(store.received != NULL);
    store.n_received = 1;
    (void)snprintf(store.received->name, sizeof store.received->name, "%s", FD_STORE_STARTS);
    store.received->fd = fd;
  }
  CHILD_EXPECT(!crash_count_begin(&store));
  crash_count_ready();
  fd_store_deinit(&store);
  return 0;
}

/* Case of the loop: how long ago the latest daemon began, whether it crashed, and the crashes in a
 * row that the next one finds, which was one. */
START_TEST(row_of_crashes_ended_by_daemon_that_served) {
  static const struct {
    uint64_t age_s, crashed, left;
  } cases[] = {{CRASH_COUNT_SOON_S + 1, 0, 0},
               {CRASH_COUNT_SOON_S + 1, 1, 1}, /* to write a core file took a minute */
               {1, 0, 1},
               {1, 1, 1}};
  struct timespec now;
  uint64_t words[WORDS];
  int fd = -1;
  ck_assert_int_eq(child_run(live, &fd, NULL), 0);
  fd = service_manager_fd(&manager, FD_STORE_STARTS);
  ck_assert_int_eq(pread(fd, words, sizeof words, 0), sizeof words);
  ck_assert_uint_eq(words[STARTS] | words[CRASHES] | words[CRASHED], 0);
  ck_assert_int_eq(clock_gettime(CLOCK_MONOTONIC, &now), 0);
  words[CRASHES] = 1;
  words[BEGAN_S] = (uint64_t)now.tv_sec - cases[_i].age_s;
  words[CRASHED] = cases[_i].crashed;
  ck_assert_int_eq(pwrite(fd, words, sizeof words, 0), sizeof words);
  ck_assert_int_eq(child_run(live, &fd, NULL), 0);
  ck_assert_int_eq(pread(fd, words, sizeof words, 0), sizeof words);
  ck_assert_uint_eq(words[CRASHES], cases[_i].left);
  ck_assert_uint_eq(words[CRASHED], 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("crash_count");
  TCase *tests = tcase_create("crash_count");
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_loop_test(tests, row_of_crashes_ended_by_daemon_that_served, 0, 4);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
