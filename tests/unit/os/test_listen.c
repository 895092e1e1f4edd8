#include "daemon/os/listener.h"
#include "proto/errors.h"
#include "tests/support/runner.h"
#include "tests/support/sanitizer.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64], path[96], lock_path[104];
static struct error_text error;

static void set_up(void) {
  strcpy(dir, "/tmp/fcached-test-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(dir));
  snprintf(path, sizeof path, "%s/s.sock", dir);
  snprintf(lock_path, sizeof lock_path, "%s.lock", path);
  unsetenv("LISTEN_PID");
  unsetenv("LISTEN_FDS");
  unsetenv("LISTEN_FDNAMES");
  unsetenv("XDG_RUNTIME_DIR");
}

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *ftw) {
  (void)st, (void)type, (void)ftw;
  return remove(name);
}

static void tear_down(void) {
  ck_assert_int_eq(nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

static int open_at(struct listener *listener, const char *where) {
  struct listener_options options = {.path = where};
  memset(&error, 0, sizeof error);
  return listener_open(listener, &options, &error);
}

static int connect_to(const char *where) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", where);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ck_assert_int_ge(fd, 0);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
    return fd;
  close(fd);
  return -1;
}

static void expect_said(const char *part) {
  ck_assert_msg(strstr(error.text, part) != NULL, "\"%s\" lacks \"%s\"", error.text, part);
}

START_TEST(binds_and_removes) {
  struct listener listener;
  struct stat st;
  mode_t before = umask(022);
  ck_assert_int_eq(open_at(&listener, path), 0);
  ck_assert_uint_eq(umask(before), 022); /* restored */
  ck_assert(!listener.handed_over);
  ck_assert_str_eq(listener.path, path);
  ck_assert_int_eq(stat(path, &st), 0);
  ck_assert(S_ISSOCK(st.st_mode));
  ck_assert_uint_eq(st.st_mode & 0777, 0660);
  ck_assert_int_eq(stat(lock_path, &st), 0);
  ck_assert_uint_eq(st.st_mode & 0777, 0600);
  ck_assert_int_ne(fcntl(listener.fd, F_GETFD) & FD_CLOEXEC, 0);
  ck_assert_int_ne(fcntl(listener.fd, F_GETFL) & O_NONBLOCK, 0);
  int fd = connect_to(path);
  ck_assert_int_ge(fd, 0);
  close(fd);
  listener_close(&listener);
  ck_assert_int_eq(access(path, F_OK), -1);
  ck_assert_int_eq(access(lock_path, F_OK), -1); /* nothing is left behind */
  listener_close(&listener);
  ck_assert_int_eq(open_at(&listener, path), 0);
  listener_close(&listener);
}
END_TEST

/* A daemon that is ending serves no more, but is not yet done with what it serves from. */
START_TEST(an_ended_one_still_keeps_others_away) {
  struct listener first, second;
  ck_assert_int_eq(open_at(&first, path), 0);
  listener_end(&first);
  ck_assert_int_eq(access(path, F_OK), -1);
  ck_assert_int_eq(open_at(&second, path), FC_EBUSY);
  listener_close(&first);
  ck_assert_int_eq(open_at(&second, path), 0);
  listener_close(&second);
}
END_TEST

START_TEST(removes_after_the_fd_was_taken_over) {
  struct listener listener;
  ck_assert_int_eq(open_at(&listener, path), 0);
  int taken = listener.fd;
  listener.fd = -1;
  listener_close(&listener);
  ck_assert_int_eq(access(path, F_OK), -1);
  ck_assert_int_eq(close(taken), 0);
}
END_TEST

START_TEST(already_running) {
  struct listener first, second;
  char part[64];
  ck_assert_int_eq(open_at(&first, path), 0);
  ck_assert_int_eq(open_at(&second, path), FC_EBUSY);
  expect_said("already running");
  expect_said(path);
  snprintf(part, sizeof part, "(pid %ld)", (long)getpid());
  expect_said(part);
  listener_close(&second);
  int fd = connect_to(path); /* the first serves on */
  ck_assert_int_ge(fd, 0);
  close(fd);
  listener_close(&first);
}
END_TEST

START_TEST(odd_content_of_the_lock_file) {
  static const char *const contents[] = {"", "-5\n", "99999999999999999999999\n", "12", "0\n", "x"};
  int fd = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ck_assert_int_eq(flock(fd, LOCK_EX), 0);
  for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
    struct listener listener;
    ck_assert_int_eq(ftruncate(fd, 0), 0);
    ck_assert_int_eq(pwrite(fd, contents[i], strlen(contents[i]), 0), strlen(contents[i]));
    ck_assert_int_eq(open_at(&listener, path), FC_EBUSY);
    if (i != 2)
      expect_said("unknown pid");
  }
  close(fd);
}
END_TEST

/* Leaves a socket file that nobody serves, as after kill -9. */
static void leave_stale(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
  close(fd);
}

START_TEST(replaces_a_stale_socket) {
  struct listener listener;
  leave_stale();
  ck_assert_int_eq(open_at(&listener, path), 0);
  int fd = connect_to(path);
  ck_assert_int_ge(fd, 0);
  close(fd);
  listener_close(&listener);
}
END_TEST

START_TEST(leaves_a_strangers_socket) {
  struct listener first, second;
  ck_assert_int_eq(open_at(&first, path), 0);
  ck_assert_int_eq(unlink(lock_path), 0); /* as if it knew nothing of the lock */
  ck_assert_int_eq(open_at(&second, path), FC_EBUSY);
  expect_said("another program listens");
  int fd = connect_to(path);
  ck_assert_int_ge(fd, 0);
  close(fd);
  listener_close(&first);
}
END_TEST

START_TEST(leaves_other_files) {
  struct listener listener;
  char content[8] = "";
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ck_assert_int_eq(write(fd, "keep", 4), 4);
  ck_assert_int_eq(open_at(&listener, path), FC_EINVAL);
  expect_said("not a socket");
  ck_assert_int_eq(pread(fd, content, sizeof content, 0), 4);
  ck_assert_int_eq(access(lock_path, F_OK), -1); /* a mistake leaves nothing behind */
  close(fd);
  ck_assert_int_eq(access(path, F_OK), 0);
  ck_assert_int_eq(unlink(path), 0);
  ck_assert_int_eq(symlink("/nowhere", path), 0);
  ck_assert_int_eq(open_at(&listener, path), FC_EINVAL);
  struct stat st;
  ck_assert_int_eq(lstat(path, &st), 0);
}
END_TEST

START_TEST(removes_only_its_own_file) {
  struct listener listener;
  ck_assert_int_eq(open_at(&listener, path), 0);
  char aside[120];
  snprintf(aside, sizeof aside, "%s.aside", path);
  ck_assert_int_eq(rename(path, aside), 0); /* keeps the inode from being used again */
  leave_stale();
  listener_close(&listener);
  ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(refuses_odd_lock_files) {
  struct listener listener;
  ck_assert_int_eq(symlink("target", lock_path), 0);
  ck_assert_int_eq(open_at(&listener, path), FC_EREFUSED);
  expect_said("cannot lock");
  ck_assert_int_eq(unlink(lock_path), 0);
  ck_assert_int_eq(mkfifo(lock_path, 0600), 0);
  ck_assert_int_eq(open_at(&listener, path), FC_EREFUSED);
  expect_said("not a regular file");
}
END_TEST

START_TEST(says_where_no_lock_file_can_be_made) {
  struct listener listener;
  ck_assert_int_eq(open_at(&listener, "/proc/fcached.sock"), FC_EREFUSED); /* not even by root */
  expect_said("cannot create /proc/fcached.sock.lock");
  expect_said("give another --socket, where files can be made");
  ck_assert_ptr_null(strstr(error.text, "remove it"));
}
END_TEST

/* Where it cannot find out whether somebody listens, it leaves the socket alone. */
static int few_descriptors_child(void) {
  struct listener listener;
  int next = open("/dev/null", O_RDONLY | O_CLOEXEC);
  struct rlimit few;
  close(next);
  if (getrlimit(RLIMIT_NOFILE, &few) < 0)
    return 1;
  few.rlim_cur = (rlim_t)next + 1; /* the lock file's, and no more */
  if (setrlimit(RLIMIT_NOFILE, &few) < 0)
    return 1;
  return open_at(&listener, path) == FC_EREFUSED && strstr(error.text, "Too many open") ? 0 : 2;
}

START_TEST(leaves_a_socket_that_it_cannot_try) {
  struct listener first;
  int status;
  ck_assert_int_eq(open_at(&first, path), 0);
  ck_assert_int_eq(unlink(lock_path), 0); /* as if it knew nothing of the lock */
  pid_t pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0)
    _exit(few_descriptors_child());
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert_int_eq(status, 0);
  int fd = connect_to(path);
  ck_assert_int_ge(fd, 0);
  close(fd);
  listener_close(&first);
}
END_TEST

START_TEST(long_path) {
  struct listener listener;
  char longest[300];
  memset(longest, 'x', sizeof longest);
  memcpy(longest, dir, strlen(dir));
  longest[strlen(dir)] = '/';
  longest[107] = '\0'; /* sun_path's size less its NUL */
  ck_assert_int_eq(open_at(&listener, longest), 0);
  int fd = connect_to(longest);
  ck_assert_int_ge(fd, 0);
  close(fd);
  listener_close(&listener);
  longest[107] = 'x';
  longest[108] = '\0';
  ck_assert_int_eq(open_at(&listener, longest), FC_EINVAL);
  expect_said("too long: 108 bytes, and the system takes 107");
  ck_assert_int_eq(open_at(&listener, ""), FC_EINVAL);
  expect_said("empty");
}
END_TEST

START_TEST(default_places) {
  struct listener listener;
  char runtime[96], where[128];
  snprintf(runtime, sizeof runtime, "%s/run", dir); /* its last part is made */
  setenv("XDG_RUNTIME_DIR", runtime, 1);
  ck_assert_int_eq(open_at(&listener, NULL), 0);
  snprintf(where, sizeof where, "%s/fcached.sock", runtime);
  ck_assert_str_eq(listener.path, where);
  listener_close(&listener);
  snprintf(path, sizeof path, "%s/missing/s.sock", dir);
  ck_assert_int_eq(open_at(&listener, path), FC_EREFUSED); /* asked for: not made */
  expect_said("make it");
}
END_TEST

START_TEST(group) {
  struct stat st;
  struct listener listener;
  struct listener_options options = {.path = path, .has_group = true, .group = 12345};
  int r = listener_open(&listener, &options, &error);
  if (geteuid() == 0) {
    ck_assert_int_eq(r, 0);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_gid, 12345);
    ck_assert_uint_eq(st.st_mode & 0777, 0660);
    listener_close(&listener);
  } else {
    ck_assert_int_eq(r, FC_EREFUSED);
    expect_said("--socket-group");
  }
  ck_assert_int_eq(access(path, F_OK), -1);
}
END_TEST

/* ---- made again ---- */

static int restore(struct listener *listener) {
  struct listener_options options = {.path = path};
  return listener_restore(listener, &options, &error);
}

/* As the loop does: the former socket stays open, and its owner takes the new one over. */
static void expect_restored(struct listener *listener) {
  int former = listener->fd;
  struct stat st;
  ck_assert_int_eq(restore(listener), 1);
  ck_assert_int_ne(listener->fd, former);
  ck_assert_int_eq(close(former), 0);
  ck_assert_int_eq(lstat(path, &st), 0);
  ck_assert_uint_eq(st.st_mode & 07777, 0660);
  int fd = connect_to(path);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(close(fd), 0);
  ck_assert_int_eq(restore(listener), 0);
}

START_TEST(a_removed_socket_is_made_again) {
  struct listener listener, second;
  ck_assert_int_eq(open_at(&listener, path), 0);
  ck_assert_int_eq(restore(&listener), 0); /* nothing is wrong */
  ck_assert_int_eq(unlink(path), 0);
  expect_restored(&listener);
  ck_assert_int_eq(unlink(path), 0);
  ck_assert_int_eq(unlink(lock_path), 0);
  expect_restored(&listener);
  ck_assert_int_eq(open_at(&second, path), FC_EBUSY); /* the lock is held as well */
  ck_assert_int_eq(unlink(lock_path), 0);
  ck_assert_int_eq(restore(&listener), 0);
  ck_assert_int_eq(access(lock_path, F_OK), 0);
  listener_close(&listener);
  ck_assert(access(path, F_OK) < 0 && access(lock_path, F_OK) < 0);
}
END_TEST

START_TEST(another_daemon_is_left_alone) {
  struct listener first, second;
  struct stat before, after;
  ck_assert_int_eq(open_at(&first, path), 0);
  ck_assert_int_eq(unlink(path), 0);
  ck_assert_int_eq(unlink(lock_path), 0);
  ck_assert_int_eq(open_at(&second, path), 0); /* it cannot know of the first */
  ck_assert_int_eq(lstat(path, &before), 0);
  ck_assert_int_eq(restore(&first), FC_EBUSY);
  expect_said("already running");
  ck_assert_int_eq(lstat(path, &after), 0);
  ck_assert_uint_eq(before.st_ino, after.st_ino);
  listener_close(&second);
  expect_restored(&first); /* once the other is gone */
  listener_close(&first);
}
END_TEST

START_TEST(what_took_the_sockets_place_stays) {
  struct listener listener;
  ck_assert_int_eq(open_at(&listener, path), 0);
  ck_assert_int_eq(unlink(path), 0);
  int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(close(fd), 0);
  ck_assert_int_eq(restore(&listener), FC_EINVAL);
  expect_said("not a socket");
  listener_end(&listener);
  ck_assert_int_eq(access(path, F_OK), 0);
  listener_close(&listener);
  ck_assert_int_eq(unlink(path), 0);
}
END_TEST

START_TEST(another_lock_holder_is_described_truly) {
  struct listener first, second;
  ck_assert_int_eq(open_at(&first, path), 0);
  ck_assert_int_eq(unlink(path), 0);
  ck_assert_int_eq(open_at(&second, path), FC_EBUSY);
  expect_said("that socket is missing");
  listener_close(&first);
}
END_TEST

/* ---- handed over: in a child, whose descriptors from 3 on are ours to set ---- */

static int handed_over_child(int kind) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  struct listener listener;
  char pid[32];
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
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
  snprintf(other, sizeof other, "%s.other", path);
  snprintf(same, sizeof same, "%s/../%s", dir, path + 1 + (strrchr(dir, '/') - dir));
  const char *asked[] = {[6] = other, [7] = path, [8] = same, [9] = path};
  struct listener_options options = {.path = kind == 5 ? other : kind < 6 ? NULL : asked[kind]};
  options.has_group = kind >= 8;
  options.group = kind == 9 ? getegid() + 1 : getegid();
  int r = listener_open(&listener, &options, &error);
  if (kind == 9)
    return r == FC_EINVAL && strstr(error.text, "--socket-group: ") && listener.fd < 0 ? 4 : 21;
  if (kind == 6)
    return r == FC_EINVAL && strstr(error.text, "--socket ") && strstr(error.text, other) &&
                   strstr(error.text, path) && listener.fd < 0
               ? 3
               : 19;
  if (r < 0)
    return strstr(error.text, "exactly one ListenStream") != NULL ? 1 : 13;
  if (!listener.handed_over)
    return strcmp(listener.path, other) == 0 ? 2 : 14;
  if (listener.fd != 3 || strcmp(listener.path, path) != 0 || listener.lock_fd != -1)
    return 15;
  if ((fcntl(3, F_GETFD) & FD_CLOEXEC) == 0 || (fcntl(3, F_GETFL) & O_NONBLOCK) == 0)
    return 16;
  if (kind == 4 && fcntl(4, F_GETFD) >= 0)
    return 17; /* what is of no use is closed */
  if (kind == 0 && (unlink(path) < 0 || listener_restore(&listener, &options, &error) != 0 ||
                    access(path, F_OK) == 0))
    return 20; /* made again by the service manager, or by nobody */
  listener_close(&listener);
  return kind == 0 || access(path, F_OK) == 0 ? 0 : 18; /* never unlinked */
}

static int in_child(int kind) {
  int status;
  pid_t pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0)
    _exit(handed_over_child(kind));
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert(WIFEXITED(status));
  (void)unlink(path);
  return WEXITSTATUS(status);
}

START_TEST(handed_over) {
  ck_assert_int_eq(in_child(0), 0);
  ck_assert_int_eq(in_child(1), 1); /* datagrams */
  ck_assert_int_eq(in_child(2), 1); /* does not listen */
  ck_assert_int_eq(in_child(3), 1); /* two */
  ck_assert_int_eq(in_child(4), 0); /* and something else */
  ck_assert_int_eq(in_child(5), 2); /* for another process */
  ck_assert_int_eq(in_child(6), 3); /* and --socket names another path */
  ck_assert_int_eq(in_child(7), 0); /* or the same */
  ck_assert_int_eq(in_child(8), 0); /* or the same in other words, and its group */
  ck_assert_int_eq(in_child(9), 4); /* and --socket-group another group */
}
END_TEST

/* ---- the race ---------------------------------------------------------- */

#define ROUNDS 200
#define RACERS 3

/* Waits for the start, tries, says what came of it, and holds on until told. */
static void race(int start, int result, int stop) {
  struct listener listener;
  char byte;
  if (read(start, &byte, 1) != 0) /* the end of file is the start */
    _exit(1);
  int r = open_at(&listener, path);
  byte = '?';
  if (r == 0)
    byte = 'w';
  else if (r == FC_EBUSY)
    byte = 'b';
  if (write(result, &byte, 1) != 1)
    _exit(1);
  (void)!read(stop, &byte, 1); /* until its other end is closed */
  _exit(0); /* as after a crash: the socket file stays, and is stale in the next round */
}

START_TEST(one_wins) {
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
    int fd = connect_to(path); /* and the one that won is the one that is there */
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

/* Starts and stops all the time. While it has the socket, nobody else may think so: the file
 * `inside` is there only then. */
static int start_and_stop(int start) {
  char inside[120], byte;
  snprintf(inside, sizeof inside, "%s.inside", path);
  if (read(start, &byte, 1) != 0) /* the end of file is the start */
    return 1;
  for (int turn = 0; turn < TURNS;) {
    struct listener listener;
    int r = open_at(&listener, path);
    if (r == FC_EBUSY)
      continue;
    int fd = r < 0 ? -1 : open(inside, O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || close(fd) < 0 || access(path, F_OK) < 0)
      return 2;
    listener_end(&listener);
    if (unlink(inside) < 0)
      return 3;
    listener_close(&listener);
    turn++;
  }
  return 0;
}

START_TEST(one_wins_among_stops) {
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
  ck_assert_int_eq(access(path, F_OK), -1);
  ck_assert_int_eq(access(lock_path, F_OK), -1);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("listen");
  TCase *tc = tcase_create("listen");
  tcase_add_checked_fixture(tc, set_up, tear_down);
  tcase_set_timeout(tc, 30);
  tcase_add_test(tc, binds_and_removes);
  tcase_add_test(tc, an_ended_one_still_keeps_others_away);
  tcase_add_test(tc, removes_after_the_fd_was_taken_over);
  tcase_add_test(tc, already_running);
  tcase_add_test(tc, odd_content_of_the_lock_file);
  tcase_add_test(tc, replaces_a_stale_socket);
  tcase_add_test(tc, leaves_a_strangers_socket);
  tcase_add_test(tc, leaves_other_files);
  tcase_add_test(tc, removes_only_its_own_file);
  tcase_add_test(tc, refuses_odd_lock_files);
  tcase_add_test(tc, says_where_no_lock_file_can_be_made);
  tcase_add_test(tc, leaves_a_socket_that_it_cannot_try);
  tcase_add_test(tc, long_path);
  tcase_add_test(tc, default_places);
  tcase_add_test(tc, group);
  tcase_add_test(tc, a_removed_socket_is_made_again);
  tcase_add_test(tc, another_daemon_is_left_alone);
  tcase_add_test(tc, what_took_the_sockets_place_stays);
  tcase_add_test(tc, another_lock_holder_is_described_truly);
  tcase_add_test(tc, handed_over);
  tcase_add_test(tc, one_wins);
  tcase_add_test(tc, one_wins_among_stops);
  suite_add_tcase(suite, tc);
  return runner_run(suite);
}
