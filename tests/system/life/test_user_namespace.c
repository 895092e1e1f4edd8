/* A daemon in a user namespace that maps some of the ids, as in an unprivileged container. It sees
 * every user outside as the overflow id, 65534, which may be its own uid: those users must not have
 * its rights. Needs root to map the ids and to become other users, and is skipped without. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/errors.h"
#include "tests/support/admin_requests.h"
#include "tests/support/child_process.h"
#include "tests/support/harness.h"
#include "tests/support/raw.h"

/* The ids 0 to 65535 inside are these outside. */
enum { FIRST = 100000, COUNT = 65536, OVERFLOW = 65534, UNMAPPED = 54321 };

static const struct child_user unmapped = {.uid = UNMAPPED, .gid = UNMAPPED, .group = UNMAPPED};
static const struct child_user own_user = {.uid = FIRST + OVERFLOW, .gid = UNMAPPED};
static const struct child_user inner_root = {.uid = FIRST, .gid = UNMAPPED};
static const struct child_user inner_group = {.uid = UNMAPPED, .gid = FIRST + 1000};

struct starting {
  int program_fd;
  int unshared[2], mapped[2]; /* pipes */
  char *socket, *admin_group;
};

static char directory[HARNESS_PATH_SIZE], socket_path[HARNESS_PATH_SIZE];
static pid_t pid;

/* ---- the daemon ---- */

/* Executes the daemon in the child, by a descriptor: the user inside may not reach its path. */
static int serve(void *arg) {
  struct starting *starting = arg;
  char byte = 1;
  char *argv[] = {(char[]){"fcached"},       (char[]){"--socket"},  starting->socket,
                  (char[]){"--admin-group"}, starting->admin_group, NULL};
  char *environment[] = {NULL};

  CHILD_EXPECT(setgroups(0, NULL) == 0);
  if (unshare(CLONE_NEWUSER) != 0)
    return 77;
  CHILD_EXPECT(write(starting->unshared[1], &byte, 1) == 1);
  CHILD_EXPECT(read(starting->mapped[0], &byte, 1) == 1);
  CHILD_EXPECT(setresgid(OVERFLOW, OVERFLOW, OVERFLOW) == 0);
  CHILD_EXPECT(setresuid(OVERFLOW, OVERFLOW, OVERFLOW) == 0);
  CHILD_EXPECT(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
  (void)fexecve(starting->program_fd, argv, environment);
  return 1;
}

static void map_ids(const char *name) {
  char path[64], line[64];
  int size = snprintf(line, sizeof line, "0 %d %d\n", FIRST, COUNT), fd;

  (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
  fd = open(path, O_WRONLY | O_CLOEXEC);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(write(fd, line, (size_t)size), size);
  (void)close(fd);
}

static bool answers(void *arg) {
  struct raw raw;
  bool connected = raw_connect(&raw, socket_path) == 0;

  (void)arg;
  raw_close(&raw);
  return connected;
}

/* Starts the daemon. Prints the reason and returns false if there can be no such namespace. */
static bool start(char *admin_group) {
  struct starting starting = {.socket = socket_path, .admin_group = admin_group};
  char byte;

  if (geteuid() != 0) {
    printf("skipped: only root can map ids and become other users\n");
    return false;
  }
  harness_make_dir(directory);
  (void)snprintf(socket_path, sizeof socket_path, "%.90s/s", directory);
  ck_assert_int_eq(chmod(directory, 0777), 0);
  *strrchr(directory, '/') = '\0';
  ck_assert_int_eq(chmod(directory, 0711), 0);
  starting.program_fd = open(harness_fcached(), O_RDONLY | O_CLOEXEC);
  ck_assert_int_ge(starting.program_fd, 0);
  ck_assert(pipe2(starting.unshared, O_CLOEXEC) == 0 && pipe2(starting.mapped, O_CLOEXEC) == 0);
  pid = child_start(serve, &starting, NULL);
  (void)close(starting.unshared[1]);
  if (read(starting.unshared[0], &byte, 1) != 1) {
    ck_assert_int_eq(harness_wait(pid, 20000), 77);
    printf("skipped: this system has no user namespaces\n");
    return false;
  }
  map_ids("uid_map");
  map_ids("gid_map");
  ck_assert_int_eq(write(starting.mapped[1], &byte, 1), 1);
  ck_assert(harness_wait_until(answers, NULL, 20000));
  ck_assert_int_eq(chmod(socket_path, 0666), 0); /* lets all users connect */
  return true;
}

static void stop(void) {
  ck_assert_int_eq(kill(pid, SIGTERM), 0);
  ck_assert_int_eq(harness_wait(pid, 20000), 0);
}

/* ---- the rights of its clients ---- */

static int is_denied(void *arg) {
  struct raw raw;

  (void)arg;
  CHILD_EXPECT(raw_connect(&raw, socket_path) == 0 && raw_hello(&raw, "client", NULL) == 0);
  CHILD_EXPECT(admin_request_clear(&raw, NULL) == FC_EDENIED);
  CHILD_EXPECT(admin_request_trace(&raw, FC_TRACE_ON, "/dev/null") == FC_EDENIED);
  CHILD_EXPECT(admin_request_shutdown(&raw) == FC_EDENIED);
  raw_close(&raw);
  return 0;
}

static int may_clear(void *arg) {
  struct raw raw;

  (void)arg;
  CHILD_EXPECT(raw_connect(&raw, socket_path) == 0 && raw_hello(&raw, "client", NULL) == 0);
  CHILD_EXPECT(admin_request_clear(&raw, NULL) == 0);
  raw_close(&raw);
  return 0;
}

/* The overflow id owns no namespace: only the connection that created it does. */
static int owns_only_by_its_connection(void *arg) {
  struct raw maker, second, tool;

  (void)arg;
  CHILD_EXPECT(raw_connect(&maker, socket_path) == 0);
  CHILD_EXPECT(raw_hello(&maker, "maker", "own") == 0);
  CHILD_EXPECT(admin_request_clear(&maker, "own") == 0);
  CHILD_EXPECT(raw_connect(&second, socket_path) == 0);
  CHILD_EXPECT(raw_hello(&second, "second", "own") == 0);
  CHILD_EXPECT(admin_request_clear(&second, "own") == FC_EDENIED);
  CHILD_EXPECT(raw_connect(&tool, socket_path) == 0 && raw_hello(&tool, "tool", NULL) == 0);
  CHILD_EXPECT(admin_request_clear(&tool, "own") == FC_EDENIED);
  raw_close(&tool);
  raw_close(&second);
  raw_close(&maker);
  return 0;
}

/* The daemon's own uid is the overflow id: no user of that number has rights. */
START_TEST(unmapped_users_are_not_the_daemons_own) {
  if (!start((char[]){"1000"}))
    return;
  ck_assert_int_eq(child_run(is_denied, NULL, &unmapped), 0);
  ck_assert_int_eq(child_run(is_denied, NULL, &own_user), 0);
  ck_assert_int_eq(child_run(is_denied, NULL, NULL), 0); /* root outside is not root inside */
  ck_assert_int_eq(child_run(owns_only_by_its_connection, NULL, &unmapped), 0);
  ck_assert_int_eq(child_run(owns_only_by_its_connection, NULL, &own_user), 0);
  ck_assert_int_eq(child_run(may_clear, NULL, &inner_root), 0);
  ck_assert_int_eq(child_run(may_clear, NULL, &inner_group), 0);
  stop();
}
END_TEST

START_TEST(unmapped_users_are_not_in_the_admin_group) {
  if (!start((char[]){"65534"}))
    return;
  ck_assert_int_eq(child_run(is_denied, NULL, &unmapped), 0);
  ck_assert_int_eq(child_run(may_clear, NULL, &inner_root), 0);
  stop();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("user_namespace");
  TCase *tcase = tcase_create("daemon");

  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, unmapped_users_are_not_the_daemons_own);
  tcase_add_test(tcase, unmapped_users_are_not_in_the_admin_group);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
