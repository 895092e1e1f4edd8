/* The listening socket: bind, lock, stale files, errors. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/os/listener.h"
#include "proto/errors.h"
#include "tests/support/listener_dir.h"
#include "tests/support/runner.h"

START_TEST(open_binds_and_close_removes) {
  struct listener listener;
  struct stat st;
  mode_t before = umask(022);
  ck_assert_int_eq(listener_dir_open(&listener, listener_dir.path), 0);
  ck_assert_uint_eq(umask(before), 022); /* restored */
  ck_assert(!listener.handed_over);
  ck_assert_str_eq(listener.path, listener_dir.path);
  ck_assert_int_eq(stat(listener_dir.path, &st), 0);
  ck_assert(S_ISSOCK(st.st_mode));
  ck_assert_uint_eq(st.st_mode & 0777, 0660);
  ck_assert_int_eq(stat(listener_dir.lock_path, &st), 0);
  ck_assert_uint_eq(st.st_mode & 0777, 0600);
  ck_assert_int_ne(fcntl(listener.fd, F_GETFD) & FD_CLOEXEC, 0);
  ck_assert_int_ne(fcntl(listener.fd, F_GETFL) & O_NONBLOCK, 0);
  int fd = listener_dir_connect(listener_dir.path);
  ck_assert_int_ge(fd, 0);
  close(fd);
  listener_close(&listener);
  ck_assert_int_eq(access(listener_dir.path, F_OK), -1);
  ck_assert_int_eq(access(listener_dir.lock_path, F_OK), -1); /* nothing is left behind */
  listener_close(&listener);
  ck_assert_int_eq(listener_dir_open(&listener, listener_dir.path), 0);
  listener_close(&listener);
}
END_TEST

/* A stopping daemon listens no more, but still writes its trace. */
START_TEST(end_keeps_the_lock) {
  struct listener first, second;
  ck_assert_int_eq(listener_dir_open(&first, listener_dir.path), 0);
  listener_end(&first);
  ck_assert_int_eq(access(listener_dir.path, F_OK), -1);
  ck_assert_int_eq(listener_dir_open(&second, listener_dir.path), FC_EBUSY);
  listener_close(&first);
  ck_assert_int_eq(listener_dir_open(&second, listener_dir.path), 0);
  listener_close(&second);
}
END_TEST

START_TEST(close_after_fd_moved_removes_the_file) {
  struct listener listener;
  ck_assert_int_eq(listener_dir_open(&listener, listener_dir.path), 0);
  int taken = listener.fd;
  listener.fd = -1;
  listener_close(&listener);
  ck_assert_int_eq(access(listener_dir.path, F_OK), -1);
  ck_assert_int_eq(close(taken), 0);
}
END_TEST

START_TEST(open_second_is_busy) {
  struct listener first, second;
  char part[64];
  ck_assert_int_eq(listener_dir_open(&first, listener_dir.path), 0);
  ck_assert_int_eq(listener_dir_open(&second, listener_dir.path), FC_EBUSY);
  listener_dir_expect_error("already running");
  listener_dir_expect_error(listener_dir.path);
  snprintf(part, sizeof part, "(pid %ld)", (long)getpid());
  listener_dir_expect_error(part);
  listener_close(&second);
  int fd = listener_dir_connect(listener_dir.path); /* the first still serves */
  ck_assert_int_ge(fd, 0);
  close(fd);
  listener_close(&first);
}
END_TEST

START_TEST(open_unreadable_lock_file_names_no_pid) {
  static const char *const contents[] = {"", "-5\n", "99999999999999999999999\n", "12", "0\n", "x"};
  int fd = open(listener_dir.lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ck_assert_int_eq(flock(fd, LOCK_EX), 0);
  for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
    struct listener listener;
    ck_assert_int_eq(ftruncate(fd, 0), 0);
    ck_assert_int_eq(pwrite(fd, contents[i], strlen(contents[i]), 0), strlen(contents[i]));
    ck_assert_int_eq(listener_dir_open(&listener, listener_dir.path), FC_EBUSY);
    if (i != 2)
      listener_dir_expect_error("unknown pid");
  }
  close(fd);
}
END_TEST

/* Leaves a stale socket file, as after SIGKILL. */
static void leave_stale(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", listener_dir.path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
  close(fd);
}

START_TEST(open_stale_socket_replaced) {
  struct listener listener;
  leave_stale();
  ck_assert_int_eq(listener_dir_open(&listener, listener_dir.path), 0);
  int fd = listener_dir_connect(listener_dir.path);
  ck_assert_int_ge(fd, 0);
  close(fd);
  listener_close(&listener);
}
END_TEST

START_TEST(open_socket_of_other_program_is_busy) {
  struct listener first, second;
  ck_assert_int_eq(listener_dir_open(&first, listener_dir.path), 0);
  ck_assert_int_eq(unlink(listener_dir.lock_path), 0); /* as a program without the lock */
  ck_assert_int_eq(listener_dir_open(&second, listener_dir.path), FC_EBUSY);
  listener_dir_expect_error("another program listens");
  int fd = listener_dir_connect(listener_dir.path);
  ck_assert_int_ge(fd, 0);
  close(fd);
  listener_close(&first);
}
END_TEST

START_TEST(open_other_file_kept) {
  struct listener listener;
  char content[8] = "";
  int fd = open(listener_dir.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ck_assert_int_eq(write(fd, "keep", 4), 4);
  ck_assert_int_eq(listener_dir_open(&listener, listener_dir.path), FC_EINVAL);
  listener_dir_expect_error("not a socket");
  ck_assert_int_eq(pread(fd, content, sizeof content, 0), 4);
  ck_assert_int_eq(access(listener_dir.lock_path, F_OK), -1); /* a mistake leaves nothing behind */
  close(fd);
  ck_assert_int_eq(access(listener_dir.path, F_OK), 0);
  ck_assert_int_eq(unlink(listener_dir.path), 0);
  ck_assert_int_eq(symlink("/nowhere", listener_dir.path), 0);
  ck_assert_int_eq(listener_dir_open(&listener, listener_dir.path), FC_EINVAL);
  struct stat st;
  ck_assert_int_eq(lstat(listener_dir.path, &st), 0);
}
END_TEST

START_TEST(close_replaced_file_kept) {
  struct listener listener;
  ck_assert_int_eq(listener_dir_open(&listener, listener_dir.path), 0);
  char aside[120];
  snprintf(aside, sizeof aside, "%s.aside", listener_dir.path);
  ck_assert_int_eq(rename(listener_dir.path, aside), 0); /* so that its inode is not reused */
  leave_stale();
  listener_close(&listener);
  ck_assert_int_eq(access(listener_dir.path, F_OK), 0);
}
END_TEST

START_TEST(open_irregular_lock_file_refused) {
  struct listener listener;
  ck_assert_int_eq(symlink("target", listener_dir.lock_path), 0);
  ck_assert_int_eq(listener_dir_open(&listener, listener_dir.path), FC_EREFUSED);
  listener_dir_expect_error("cannot lock");
  ck_assert_int_eq(unlink(listener_dir.lock_path), 0);
  ck_assert_int_eq(mkfifo(listener_dir.lock_path, 0600), 0);
  ck_assert_int_eq(listener_dir_open(&listener, listener_dir.path), FC_EREFUSED);
  listener_dir_expect_error("not a regular file");
}
END_TEST

START_TEST(open_lock_file_not_created_refused) {
  struct listener listener;
  ck_assert_int_eq(listener_dir_open(&listener, "/proc/fcached.sock"),
                   FC_EREFUSED); /* not even by root */
  listener_dir_expect_error("cannot create /proc/fcached.sock.lock");
  listener_dir_expect_error("give a --socket in a writable directory");
  ck_assert_ptr_null(strstr(listener_dir.error.text, "remove it"));
}
END_TEST

/* Without a descriptor for connect(), the socket may be alive: it stays. */
static int few_descriptors_child(void) {
  struct listener listener;
  int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
  struct rlimit few;
  close(next);
  if (getrlimit(RLIMIT_NOFILE, &few) < 0)
    return 1;
  few.rlim_cur = (rlim_t)next + 1; /* for the lock file only */
  if (setrlimit(RLIMIT_NOFILE, &few) < 0)
    return 1;
  return listener_dir_open(&listener, listener_dir.path) == FC_EREFUSED &&
                 strstr(listener_dir.error.text, "Too many open")
             ? 0
             : 2;
}

START_TEST(open_untestable_socket_kept) {
  struct listener first;
  int status;
  ck_assert_int_eq(listener_dir_open(&first, listener_dir.path), 0);
  ck_assert_int_eq(unlink(listener_dir.lock_path), 0); /* as a program without the lock */
  pid_t pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0)
    _exit(few_descriptors_child());
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert_int_eq(status, 0);
  int fd = listener_dir_connect(listener_dir.path);
  ck_assert_int_ge(fd, 0);
  close(fd);
  listener_close(&first);
}
END_TEST

START_TEST(open_long_path_refused) {
  struct listener listener;
  char longest[300];
  memset(longest, 'x', sizeof longest);
  memcpy(longest, listener_dir.dir, strlen(listener_dir.dir));
  longest[strlen(listener_dir.dir)] = '/';
  longest[107] = '\0'; /* sun_path's size less its NUL */
  ck_assert_int_eq(listener_dir_open(&listener, longest), 0);
  int fd = listener_dir_connect(longest);
  ck_assert_int_ge(fd, 0);
  close(fd);
  listener_close(&listener);
  longest[107] = 'x';
  longest[108] = '\0';
  ck_assert_int_eq(listener_dir_open(&listener, longest), FC_EINVAL);
  listener_dir_expect_error("too long: 108 bytes, and the system takes 107");
  ck_assert_int_eq(listener_dir_open(&listener, ""), FC_EINVAL);
  listener_dir_expect_error("empty");
}
END_TEST

START_TEST(open_default_places_in_order) {
  struct listener listener;
  char runtime[96], where[128];
  snprintf(runtime, sizeof runtime, "%s/run", listener_dir.dir); /* the last component is created */
  setenv("XDG_RUNTIME_DIR", runtime, 1);
  ck_assert_int_eq(listener_dir_open(&listener, NULL), 0);
  snprintf(where, sizeof where, "%s/fcached.sock", runtime);
  ck_assert_str_eq(listener.path, where);
  listener_close(&listener);
  snprintf(listener_dir.path, sizeof listener_dir.path, "%s/missing/s.sock", listener_dir.dir);
  ck_assert_int_eq(listener_dir_open(&listener, listener_dir.path),
                   FC_EREFUSED); /* of --socket: not created */
  listener_dir_expect_error("make it");
}
END_TEST

START_TEST(open_group_owns_the_socket) {
  struct stat st;
  struct listener listener;
  struct listener_options options = {.path = listener_dir.path, .has_group = true, .group = 12345};
  int r = listener_open(&listener, &options, &listener_dir.error);
  if (geteuid() == 0) {
    ck_assert_int_eq(r, 0);
    ck_assert_int_eq(stat(listener_dir.path, &st), 0);
    ck_assert_uint_eq(st.st_gid, 12345);
    ck_assert_uint_eq(st.st_mode & 0777, 0660);
    listener_close(&listener);
  } else {
    ck_assert_int_eq(r, FC_EREFUSED);
    listener_dir_expect_error("--socket-group");
  }
  ck_assert_int_eq(access(listener_dir.path, F_OK), -1);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("listener");
  TCase *tests = tcase_create("listener");

  tcase_set_timeout(tests, 30);
  tcase_add_checked_fixture(tests, listener_dir_set_up, listener_dir_tear_down);
  tcase_add_test(tests, open_binds_and_close_removes);
  tcase_add_test(tests, end_keeps_the_lock);
  tcase_add_test(tests, close_after_fd_moved_removes_the_file);
  tcase_add_test(tests, open_second_is_busy);
  tcase_add_test(tests, open_unreadable_lock_file_names_no_pid);
  tcase_add_test(tests, open_stale_socket_replaced);
  tcase_add_test(tests, open_socket_of_other_program_is_busy);
  tcase_add_test(tests, open_other_file_kept);
  tcase_add_test(tests, close_replaced_file_kept);
  tcase_add_test(tests, open_irregular_lock_file_refused);
  tcase_add_test(tests, open_lock_file_not_created_refused);
  tcase_add_test(tests, open_untestable_socket_kept);
  tcase_add_test(tests, open_long_path_refused);
  tcase_add_test(tests, open_default_places_in_order);
  tcase_add_test(tests, open_group_owns_the_socket);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
