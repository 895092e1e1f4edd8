/* The start of a daemon on a socket that another has, had or gets at the same time. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"
#include "tests/support/sanitizer.h"

#define ROUNDS (SANITIZER_SLOW ? 10 : 50)

#define END_TIMEOUT_MS 20000u

static struct daemon served;

static void stop(void) {
  ck_assert_int_eq(harness_stop(&served), 0);
}

static void assert_serves(void) {
  struct raw raw;

  raw_open(&raw, served.socket, "life");
  raw_close(&raw);
}

START_TEST(start_second_daemon_refused) {
  harness_start(&served, NULL);
  const char *const argv[] = {harness_fcached(), "--socket", served.socket, NULL};
  char *err;
  ck_assert_int_eq(harness_run(argv, NULL, &err), 1);
  ck_assert_ptr_nonnull(strstr(err, "already running"));
  ck_assert_ptr_nonnull(strstr(err, served.socket));
  free(err);
  assert_serves();
}
END_TEST

START_TEST(start_after_crash_replaces_the_socket) {
  struct raw raw;

  for (int round = 0; round < 3; round++) {
    harness_start(&served, NULL);
    assert_serves();
    harness_kill9(&served);
    ck_assert(harness_exists(served.socket));
    ck_assert_int_eq(raw_connect(&raw, served.socket), -ECONNREFUSED);
  }
  harness_start(&served, NULL);
  assert_serves();
}
END_TEST

static bool one_has_ended(void *arg) {
  pid_t *pids = arg;

  return harness_is_gone(&pids[0]) || harness_is_gone(&pids[1]);
}

static bool answers(void *arg) {
  struct raw raw;
  bool answered;

  (void)arg;
  answered = raw_connect(&raw, served.socket) == 0 && raw_hello(&raw, "race", "race") == 0;
  raw_close(&raw);
  return answered;
}

/* Starts two daemons on a stale socket, and kills the winner, which leaves a stale one. */
static void race(FILE *err) {
  const char *const argv[] = {harness_fcached(), "--socket", served.socket, NULL};
  pid_t pids[2];
  char text[4096];

  rewind(err);
  ck_assert_int_eq(ftruncate(fileno(err), 0), 0);
  for (int i = 0; i < 2; i++)
    pids[i] = harness_spawn(argv, -1, fileno(err));
  ck_assert(harness_wait_until(one_has_ended, pids, END_TIMEOUT_MS));
  int loser = harness_is_gone(&pids[0]) ? 0 : 1;
  ck_assert_int_eq(harness_wait(pids[loser], END_TIMEOUT_MS), 1);
  ck_assert(harness_wait_until(answers, NULL, END_TIMEOUT_MS));
  ck_assert(!harness_is_gone(&pids[!loser]));
  rewind(err);
  text[fread(text, 1, sizeof text - 1, err)] = '\0';
  ck_assert_ptr_nonnull(strstr(text, "already running"));
  ck_assert_int_eq(kill(pids[!loser], SIGKILL), 0);
  ck_assert_int_eq(harness_wait(pids[!loser], END_TIMEOUT_MS), 128 + SIGKILL);
  ck_assert(harness_exists(served.socket));
}

START_TEST(start_of_two_at_once_has_one_winner) {
  FILE *err = tmpfile();

  ck_assert_ptr_nonnull(err);
  harness_start(&served, NULL);
  harness_kill9(&served);
  if (SANITIZER_SLOW)
    printf("%d rounds instead of 50: a sanitizer build\n", ROUNDS);
  for (int round = 0; round < ROUNDS; round++)
    race(err);
  (void)fclose(err);
  ck_assert_int_eq(unlink(served.socket), 0);
}
END_TEST

/* Returns the number in the first "(N bytes". */
static unsigned long long bytes_in_brackets(const char *text) {
  const char *at = strchr(text, '(');
  char *end;

  ck_assert_ptr_nonnull(at);
  unsigned long long bytes = strtoull(at + 1, &end, 10);
  ck_assert(strncmp(end, " bytes", 6) == 0);
  return bytes;
}

START_TEST(start_without_memory_names_both_numbers) {
  char dir[HARNESS_PATH_SIZE], path[HARNESS_PATH_SIZE + 8], *err;
  unsigned long long needed, available;

  harness_make_dir(dir);
  (void)snprintf(path, sizeof path, "%s/s", dir);
  const char *const argv[] = {harness_fcached(), "--socket", path, "--max-bytes", "100T", NULL};
  ck_assert_int_eq(harness_run(argv, NULL, &err), 1);
  ck_assert_ptr_nonnull(strstr(err, "not enough memory"));
  ck_assert_ptr_nonnull(strstr(err, "--max-bytes"));
  const char *second = strstr(err, ", and ");
  ck_assert_ptr_nonnull(second);
  needed = bytes_in_brackets(err);
  available = bytes_in_brackets(second);
  ck_assert_uint_ge(needed, 100ull << 40);
  ck_assert_uint_gt(available, 0);
  ck_assert_uint_lt(available, needed);
  ck_assert(!harness_exists(path));
  free(err);
}
END_TEST

START_TEST(start_mistaken_path_leaves_no_file) {
  char dir[HARNESS_PATH_SIZE], lock[HARNESS_PATH_SIZE + 8], *err;
  const char *const argv[] = {harness_fcached(), "--socket", dir, NULL};

  harness_make_dir(dir);
  (void)snprintf(lock, sizeof lock, "%s.lock", dir);
  ck_assert_int_eq(harness_run(argv, NULL, &err), 2);
  ck_assert_ptr_nonnull(strstr(err, "not a socket"));
  ck_assert(!harness_exists(lock));
  free(err);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("start_once");
  TCase *tests = tcase_create("start_once");

  tcase_set_timeout(tests, 60);
  tcase_add_checked_fixture(tests, NULL, stop);
  tcase_add_test(tests, start_second_daemon_refused);
  tcase_add_test(tests, start_after_crash_replaces_the_socket);
  tcase_add_test(tests, start_of_two_at_once_has_one_winner);
  tcase_add_test(tests, start_without_memory_names_both_numbers);
  tcase_add_test(tests, start_mistaken_path_leaves_no_file);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
