/* The listening socket after its file was removed or replaced. */
#include <check.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/os/listener.h"
#include "proto/errors.h"
#include "tests/support/listener_dir.h"
#include "tests/support/runner.h"

static int restore(struct listener *listener) {
  struct listener_options options = {.path = listener_dir.path};
  return listener_restore(listener, &options, &listener_dir.error);
}

/* As the acceptor does: the former socket stays open, and the loop owns the new one. */
static void expect_restored(struct listener *listener) {
  int former = listener->fd;
  struct stat st;
  ck_assert_int_eq(restore(listener), 1);
  ck_assert_int_ne(listener->fd, former);
  ck_assert_int_eq(close(former), 0);
  ck_assert_int_eq(lstat(listener_dir.path, &st), 0);
  ck_assert_uint_eq(st.st_mode & 07777, 0660);
  int fd = listener_dir_connect(listener_dir.path);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(close(fd), 0);
  ck_assert_int_eq(restore(listener), 0);
}

START_TEST(restore_removed_socket_bound_again) {
  struct listener listener, second;
  ck_assert_int_eq(listener_dir_open(&listener, listener_dir.path), 0);
  ck_assert_int_eq(restore(&listener), 0); /* nothing is wrong */
  ck_assert_int_eq(unlink(listener_dir.path), 0);
  expect_restored(&listener);
  ck_assert_int_eq(unlink(listener_dir.path), 0);
  ck_assert_int_eq(unlink(listener_dir.lock_path), 0);
  expect_restored(&listener);
  ck_assert_int_eq(listener_dir_open(&second, listener_dir.path),
                   FC_EBUSY); /* the lock is held as well */
  ck_assert_int_eq(unlink(listener_dir.lock_path), 0);
  ck_assert_int_eq(restore(&listener), 0);
  ck_assert_int_eq(access(listener_dir.lock_path, F_OK), 0);
  listener_close(&listener);
  ck_assert(access(listener_dir.path, F_OK) < 0 && access(listener_dir.lock_path, F_OK) < 0);
}
END_TEST

START_TEST(restore_other_daemon_kept) {
  struct listener first, second;
  struct stat before, after;
  ck_assert_int_eq(listener_dir_open(&first, listener_dir.path), 0);
  ck_assert_int_eq(unlink(listener_dir.path), 0);
  ck_assert_int_eq(unlink(listener_dir.lock_path), 0);
  ck_assert_int_eq(listener_dir_open(&second, listener_dir.path),
                   0); /* it sees no lock of the first */
  ck_assert_int_eq(lstat(listener_dir.path, &before), 0);
  ck_assert_int_eq(restore(&first), FC_EBUSY);
  listener_dir_expect_error("already running");
  ck_assert_int_eq(lstat(listener_dir.path, &after), 0);
  ck_assert_uint_eq(before.st_ino, after.st_ino);
  listener_close(&second);
  expect_restored(&first); /* once the other is gone */
  listener_close(&first);
}
END_TEST

START_TEST(restore_other_file_kept) {
  struct listener listener;
  ck_assert_int_eq(listener_dir_open(&listener, listener_dir.path), 0);
  ck_assert_int_eq(unlink(listener_dir.path), 0);
  int fd = open(listener_dir.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(close(fd), 0);
  ck_assert_int_eq(restore(&listener), FC_EINVAL);
  listener_dir_expect_error("not a socket");
  listener_end(&listener);
  ck_assert_int_eq(access(listener_dir.path, F_OK), 0);
  listener_close(&listener);
  ck_assert_int_eq(unlink(listener_dir.path), 0);
}
END_TEST

START_TEST(restore_names_the_lock_holder) {
  struct listener first, second;
  ck_assert_int_eq(listener_dir_open(&first, listener_dir.path), 0);
  ck_assert_int_eq(unlink(listener_dir.path), 0);
  ck_assert_int_eq(listener_dir_open(&second, listener_dir.path), FC_EBUSY);
  listener_dir_expect_error("that socket is missing");
  listener_close(&first);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("listener_restore");
  TCase *tests = tcase_create("listener_restore");

  tcase_set_timeout(tests, 30);
  tcase_add_checked_fixture(tests, listener_dir_set_up, listener_dir_tear_down);
  tcase_add_test(tests, restore_removed_socket_bound_again);
  tcase_add_test(tests, restore_other_daemon_kept);
  tcase_add_test(tests, restore_other_file_kept);
  tcase_add_test(tests, restore_names_the_lock_holder);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
