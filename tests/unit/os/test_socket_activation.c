/* The socket that a service manager passes. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/os/listener.h"
#include "proto/errors.h"
#include "tests/support/listener_dir.h"
#include "tests/support/runner.h"

static int handed_over_child(int kind) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  struct listener listener;
  struct passed_fds passed;
  char pid[32];
  snprintf(address.sun_path, sizeof address.sun_path, "%s", listener_dir.path);
  snprintf(pid, sizeof pid, "%ld", (long)getpid());
  int fd = socket(AF_UNIX, kind == 1 ? SOCK_DGRAM : SOCK_STREAM, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) < 0)
    return 10;
  if (kind != 1 && kind != 2 && listen(fd, 5) < 0)
    return 11;
  if (dup2(fd, 3) < 0 || (kind == 3 && dup2(fd, 4) < 0) || (kind == 4 && dup2(1, 4) < 0))
    return 12;
  setenv("LISTEN_PID", kind == 5 ? "1" : pid, 1);
  setenv("LISTEN_FDS", kind == 3 || kind == 4 ? "2" : "1", 1);
  setenv("LISTEN_FDNAMES", "fcached.socket", 1);
  char other[120], same[140];
  snprintf(other, sizeof other, "%s.other", listener_dir.path);
  snprintf(same, sizeof same, "%s/../%s", listener_dir.dir,
           listener_dir.path + 1 + (strrchr(listener_dir.dir, '/') - listener_dir.dir));
  const char *asked[] = {[6] = other, [7] = listener_dir.path, [8] = same, [9] = listener_dir.path};
  struct listener_options options = {.path = kind == 5 ? other : kind < 6 ? NULL : asked[kind]};
  if (passed_fds_receive(&passed, &listener_dir.error) < 0)
    return 22;
  options.passed = &passed;
  options.has_group = kind >= 8;
  options.group = kind == 9 ? getegid() + 1 : getegid();
  int r = listener_open(&listener, &options, &listener_dir.error);
  passed_fds_deinit(&passed);
  options.passed = NULL;
  if (kind == 9)
    return r == FC_EINVAL && strstr(listener_dir.error.text, "--socket-group: ") && listener.fd < 0
               ? 4
               : 21;
  if (kind == 6)
    return r == FC_EINVAL && strstr(listener_dir.error.text, "--socket ") &&
                   strstr(listener_dir.error.text, other) &&
                   strstr(listener_dir.error.text, listener_dir.path) && listener.fd < 0
               ? 3
               : 19;
  if (r < 0)
    return strstr(listener_dir.error.text, "exactly one ListenStream") != NULL ? 1 : 13;
  if (!listener.handed_over)
    return strcmp(listener.path, other) == 0 ? 2 : 14;
  if (listener.fd != 3 || strcmp(listener.path, listener_dir.path) != 0 || listener.lock_fd != -1)
    return 15;
  if ((fcntl(3, F_GETFD) & FD_CLOEXEC) == 0 || (fcntl(3, F_GETFL) & O_NONBLOCK) == 0)
    return 16;
  if (kind == 4 && fcntl(4, F_GETFD) >= 0)
    return 17; /* other descriptors are closed */
  if (kind == 0 && (unlink(listener_dir.path) < 0 ||
                    listener_restore(&listener, &options, &listener_dir.error) != 0 ||
                    access(listener_dir.path, F_OK) == 0))
    return 20; /* only the service manager may bind it again */
  listener_close(&listener);
  return kind == 0 || access(listener_dir.path, F_OK) == 0 ? 0 : 18; /* never unlinked */
}

static int in_child(int kind) {
  int status;
  pid_t pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0)
    _exit(handed_over_child(kind));
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert(WIFEXITED(status));
  (void)unlink(listener_dir.path);
  return WEXITSTATUS(status);
}

START_TEST(activation_takes_one_socket) {
  ck_assert_int_eq(in_child(0), 0);
  ck_assert_int_eq(in_child(1), 1); /* datagrams */
  ck_assert_int_eq(in_child(2), 1); /* does not listen */
  ck_assert_int_eq(in_child(3), 1); /* two */
  ck_assert_int_eq(in_child(4), 0); /* one, and another descriptor */
  ck_assert_int_eq(in_child(5), 2); /* for another process */
  ck_assert_int_eq(in_child(6), 3); /* --socket names another path */
  ck_assert_int_eq(in_child(7), 0); /* or the same path */
  ck_assert_int_eq(in_child(8), 0); /* or the same file by another path, and its group */
  ck_assert_int_eq(in_child(9), 4); /* --socket-group names another group */
}
END_TEST

int main(void) {
  Suite *suite = suite_create("socket_activation");
  TCase *tests = tcase_create("socket_activation");

  tcase_set_timeout(tests, 30);
  tcase_add_checked_fixture(tests, listener_dir_set_up, listener_dir_tear_down);
  tcase_add_test(tests, activation_takes_one_socket);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
