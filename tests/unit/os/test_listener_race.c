/* Several processes that open and close the same socket at once. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/os/listener.h"
#include "proto/errors.h"
#include "tests/support/listener_dir.h"
#include "tests/support/runner.h"
#include "tests/support/sanitizer.h"

#define ROUNDS 200

#define RACERS 3

/* Waits for the start, opens, reports the result, and keeps the socket until the stop. */
static void race(int start, int result, int stop) {
  struct listener listener;
  char byte;
  if (read(start, &byte, 1) != 0) /* the end of file is the start */
    _exit(1);
  int r = listener_dir_open(&listener, listener_dir.path);
  byte = '?';
  if (r == 0)
    byte = 'w';
  else if (r == FC_EBUSY)
    byte = 'b';
  if (write(result, &byte, 1) != 1)
    _exit(1);
  (void)!read(stop, &byte, 1); /* until its other end is closed */
  _exit(0);                    /* as a crash: the next round finds a stale socket */
}

START_TEST(race_of_starts_has_one_winner) {
  for (int round = 0; round < ROUNDS; round++) {
    int start[2], result[2], stop[2], status, won = 0;
    pid_t pids[RACERS];
    ck_assert(pipe(start) == 0 && pipe(result) == 0 && pipe(stop) == 0);
    for (int i = 0; i < RACERS; i++) {
      pids[i] = fork();
      ck_assert_int_ge(pids[i], 0);
      if (pids[i] == 0) {
        close(start[1]);
        close(stop[1]);
        race(start[0], result[1], stop[0]);
      }
    }
    close(start[1]);
    for (int i = 0; i < RACERS; i++) {
      char byte;
      ck_assert_int_eq(read(result[0], &byte, 1), 1);
      ck_assert_msg(byte != '?', "neither won nor busy");
      won += byte == 'w';
    }
    ck_assert_int_eq(won, 1);
    int fd = listener_dir_connect(listener_dir.path); /* the winner serves */
    ck_assert_int_ge(fd, 0);
    close(fd);
    close(stop[1]);
    for (int i = 0; i < RACERS; i++) {
      ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
      ck_assert_int_eq(status, 0);
    }
    close(start[0]), close(result[0]), close(result[1]), close(stop[0]);
  }
}
END_TEST

#define TURNS (SANITIZER_SLOW ? 100 : 500)

/* Opens and closes repeatedly. The file `inside` exists while a process has the socket: no two may
 * create it. */
static int start_and_stop(int start) {
  char inside[120], byte;
  snprintf(inside, sizeof inside, "%s.inside", listener_dir.path);
  if (read(start, &byte, 1) != 0) /* the end of file is the start */
    return 1;
  for (int turn = 0; turn < TURNS;) {
    struct listener listener;
    int r = listener_dir_open(&listener, listener_dir.path);
    if (r == FC_EBUSY)
      continue;
    int fd = r < 0 ? -1 : open(inside, O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || close(fd) < 0 || access(listener_dir.path, F_OK) < 0)
      return 2;
    listener_end(&listener);
    if (unlink(inside) < 0)
      return 3;
    listener_close(&listener);
    turn++;
  }
  return 0;
}

START_TEST(race_with_stops_has_one_winner) {
  int start[2], status;
  pid_t pids[RACERS];
  ck_assert_int_eq(pipe(start), 0);
  for (int i = 0; i < RACERS; i++) {
    pids[i] = fork();
    ck_assert_int_ge(pids[i], 0);
    if (pids[i] == 0) {
      close(start[1]);
      _exit(start_and_stop(start[0]));
    }
  }
  close(start[0]);
  close(start[1]);
  for (int i = 0; i < RACERS; i++) {
    ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
    ck_assert_int_eq(status, 0);
  }
  ck_assert_int_eq(access(listener_dir.path, F_OK), -1);
  ck_assert_int_eq(access(listener_dir.lock_path, F_OK), -1);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("listener_race");
  TCase *tests = tcase_create("listener_race");

  tcase_set_timeout(tests, 30);
  tcase_add_checked_fixture(tests, listener_dir_set_up, listener_dir_tear_down);
  tcase_add_test(tests, race_of_starts_has_one_winner);
  tcase_add_test(tests, race_with_stops_has_one_winner);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
