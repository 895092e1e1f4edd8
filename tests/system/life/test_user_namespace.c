/* A daemon in a user namespace that maps a part of the ids, as in a container of a user's own. It
 * sees everybody outside as the overflow id, 65534, which may be its own uid: they must not have
 * its rights. Needs root to make the namespace and to become others; elsewhere it says what it
 * skips. */
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
#include "tests/support/child_process.h"
#include "tests/support/harness.h"
#include "tests/support/raw.h"

/* Inside, 0 to 65535 are these numbers outside. */
enum { FIRST = 100000, COUNT = 65536, OVERFLOW = 65534, STRANGER = 54321 };

static const struct child_user stranger = {.uid = STRANGER, .gid = STRANGER, .group = STRANGER};
static const struct child_user own_user = {.uid = FIRST + OVERFLOW, .gid = STRANGER};
static const struct child_user inner_root = {.uid = FIRST, .gid = STRANGER};
static const struct child_user inner_group = {.uid = STRANGER, .gid = FIRST + 1000};

struct starting {
  int program_fd;
  int unshared[2], mapped[2]; /* pipes */
  char *socket, *admin_group;
};

static char folder[HARNESS_PATH_SIZE], socket_path[HARNESS_PATH_SIZE];
static pid_t pid;

/* ---- the daemon ---- */

/* In the child. Opened before: the tree that it lies in may be closed to that user. */
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

/* False, with the reason said, where there can be no such namespace. */
static bool start(char *admin_group) {
  struct starting starting = {.socket = socket_path, .admin_group = admin_group};
  char byte;

  if (geteuid() != 0) {
    printf("skipped: only root can map ids and become other users\n");
    return false;
  }
  harness_folder(folder);
  (void)snprintf(socket_path, sizeof socket_path, "%.90s/s", folder);
  ck_assert_int_eq(chmod(folder, 0777), 0);
  *strrchr(folder, '/') = '\0';
  ck_assert_int_eq(chmod(folder, 0711), 0);
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
  ck_assert_int_eq(chmod(socket_path, 0666), 0); /* as for a group that all of them are in */
  return true;
}

static void stop(void) {
  ck_assert_int_eq(kill(pid, SIGTERM), 0);
  ck_assert_int_eq(harness_wait(pid, 20000), 0);
}

/* ---- what its clients may do ---- */

/* The code of an error reply, or 0, or a positive raw_result. */
static int ask(struct raw *raw, struct fc_buf *buf) {
  struct fc_reply reply;
  int rc = raw_send_buf(raw, buf);

  fc_buf_free(buf);
  if (rc == 0)
    rc = raw_recv(raw, &reply, 5000);
  return rc == 0 && reply.type == FC_ERROR ? reply.error.code : rc;
}

static int clear_all(struct raw *raw) {
  struct fc_buf buf = {0};
  struct fc_select all = {0};

  (void)fc_encode_clear(&buf, raw->next_id++, &all); /* buf.failed says it */
  return ask(raw, &buf);
}

static int trace_on(struct raw *raw) {
  struct fc_buf buf = {0};
  struct fc_trace trace = {.action = FC_TRACE_ON, .path = fc_str_of("/dev/null")};

  (void)fc_encode_trace(&buf, raw->next_id++, &trace); /* buf.failed says it */
  return ask(raw, &buf);
}

static int shut_down(struct raw *raw) {
  struct fc_buf buf = {0};

  (void)fc_encode_simple(&buf, FC_SHUTDOWN, raw->next_id++); /* buf.failed says it */
  return ask(raw, &buf);
}

static int is_nobody(void *arg) {
  struct raw raw;

  (void)arg;
  CHILD_EXPECT(raw_connect(&raw, socket_path) == 0 && raw_hello(&raw, "client", NULL) == 0);
  CHILD_EXPECT(clear_all(&raw) == FC_EDENIED);
  CHILD_EXPECT(trace_on(&raw) == FC_EDENIED);
  CHILD_EXPECT(shut_down(&raw) == FC_EDENIED);
  raw_close(&raw);
  return 0;
}

static int has_power(void *arg) {
  struct raw raw;

  (void)arg;
  CHILD_EXPECT(raw_connect(&raw, socket_path) == 0 && raw_hello(&raw, "client", NULL) == 0);
  CHILD_EXPECT(clear_all(&raw) == 0);
  raw_close(&raw);
  return 0;
}

static int clear_own(struct raw *raw) {
  struct fc_buf buf = {0};
  struct fc_select own = {.name_space = fc_str_of("made by a stranger")};

  (void)fc_encode_clear(&buf, raw->next_id++, &own); /* buf.failed says it */
  return ask(raw, &buf);
}

/* Of many users of one number none owns a namespace; the connection that made it does. */
static int owns_only_as_its_maker(void *arg) {
  struct raw maker, second, tool;

  (void)arg;
  CHILD_EXPECT(raw_connect(&maker, socket_path) == 0);
  CHILD_EXPECT(raw_hello(&maker, "maker", "made by a stranger") == 0);
  CHILD_EXPECT(clear_own(&maker) == 0);
  CHILD_EXPECT(raw_connect(&second, socket_path) == 0);
  CHILD_EXPECT(raw_hello(&second, "second", "made by a stranger") == 0);
  CHILD_EXPECT(clear_own(&second) == FC_EDENIED);
  CHILD_EXPECT(raw_connect(&tool, socket_path) == 0 && raw_hello(&tool, "tool", NULL) == 0);
  CHILD_EXPECT(clear_own(&tool) == FC_EDENIED);
  raw_close(&tool);
  raw_close(&second);
  raw_close(&maker);
  return 0;
}

/* Its own user's number is also that of all whom it cannot see: even that user has no rights. */
START_TEST(strangers_are_not_the_daemons_own_user) {
  if (!start((char[]){"1000"}))
    return;
  ck_assert_int_eq(child_run(is_nobody, NULL, &stranger), 0);
  ck_assert_int_eq(child_run(is_nobody, NULL, &own_user), 0);
  ck_assert_int_eq(child_run(is_nobody, NULL, NULL), 0); /* root outside is not root inside */
  ck_assert_int_eq(child_run(owns_only_as_its_maker, NULL, &stranger), 0);
  ck_assert_int_eq(child_run(owns_only_as_its_maker, NULL, &own_user), 0);
  ck_assert_int_eq(child_run(has_power, NULL, &inner_root), 0);
  ck_assert_int_eq(child_run(has_power, NULL, &inner_group), 0);
  stop();
}
END_TEST

START_TEST(strangers_are_not_in_the_admin_group) {
  if (!start((char[]){"65534"}))
    return;
  ck_assert_int_eq(child_run(is_nobody, NULL, &stranger), 0);
  ck_assert_int_eq(child_run(has_power, NULL, &inner_root), 0);
  stop();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("user_namespace");
  TCase *tcase = tcase_create("daemon");

  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, strangers_are_not_the_daemons_own_user);
  tcase_add_test(tcase, strangers_are_not_in_the_admin_group);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
