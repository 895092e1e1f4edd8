/* The assertions of daemon/base/check.h, and the line of a failed one. */
#include "daemon/base/check.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/runner.h"

START_TEST(check_true_condition_passes) {
  unsigned evaluated = 0;
  check_eq(2 + 2, 4);
  check_le(4, 4);
  check_lt(evaluated++, 1u);
  ck_assert_uint_eq(evaluated, 1);
}
END_TEST

START_TEST(check_failed_prints_values_and_aborts) {
  int out[2];
  ck_assert_int_eq(pipe(out), 0);
  pid_t pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0) {
    uint32_t free_bytes = 96, size = 64;
    dup2(out[1], STDERR_FILENO);
    check_le(free_bytes, size);
    _exit(0);
  }
  close(out[1]);
  char text[256] = "";
  size_t have = 0;
  for (ssize_t n; (n = read(out[0], text + have, sizeof text - 1 - have)) > 0;)
    have += (size_t)n;
  close(out[0]);
  int status;
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
  ck_assert_ptr_nonnull(
      strstr(text, "check failed: free_bytes <= size (free_bytes = 96, size = 64)"));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("check");
  TCase *tcase = tcase_create("check");
  tcase_add_test(tcase, check_true_condition_passes);
  tcase_add_test(tcase, check_failed_prints_values_and_aborts);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
