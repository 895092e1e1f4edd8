/* The daemons that a client trusts: its own user's, root's, that of $FCACHE_DAEMON_USER, and the
 * system's at its default path. Any other gets no hello. Needs root to run daemons of other users,
 * and is skipped without. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/child_process.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"

/* Ids without an entry in /etc/passwd. */
enum { OTHER = 54321, THIRD = 54324, NOBODY = 65534 };

static const struct child_user other = {.uid = OTHER, .gid = OTHER};
static const struct child_user third = {.uid = THIRD, .gid = THIRD};
static const struct child_user nobody = {.uid = NOBODY, .gid = OTHER};

static char dir[HARNESS_PATH_SIZE], socket_path[HARNESS_PATH_SIZE];
static pid_t pid; /* of the daemon; 0: none */
static int program_fd;

/* ---- daemons of other users ---- */

struct served {
  const char *socket;
  int listening_fd; /* passed as by a service manager, or -1 */
};

static int serve(void *arg) {
  const struct served *served = arg;
  /* The user may not reach the directory of the configuration that the tests have. */
  char *argv[] = {(char[]){"fcached"},
                  (char[]){"--config"},
                  (char[]){"none"},
                  (char[]){"--socket"},
                  (char *)(uintptr_t)served->socket,
                  NULL};
  char self[32];

  if (served->listening_fd >= 0) {
    argv[3] = NULL;
    (void)snprintf(self, sizeof self, "%d", (int)getpid());
    CHILD_EXPECT(dup2(served->listening_fd, 3) == 3);
    CHILD_EXPECT(setenv("LISTEN_FDS", "1", 1) == 0 && setenv("LISTEN_PID", self, 1) == 0);
  }
  CHILD_EXPECT(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
  (void)fexecve(program_fd, argv, environ);
  return 1;
}

static bool accepts(void *arg) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", (const char *)arg);
  bool good = connect(fd, (const struct sockaddr *)&address, sizeof address) == 0;
  (void)close(fd);
  return good;
}

static void start_daemon(const char *socket, const struct child_user *user) {
  struct served served = {socket, -1};

  pid = child_start(serve, &served, user);
  ck_assert(harness_wait_until(accepts, (char *)(uintptr_t)socket, 20000));
  ck_assert_int_eq(chmod(socket, 0666), 0); /* lets all users connect */
}

static void start(void) {
  if (geteuid() != 0)
    return;
  harness_make_dir(dir);
  (void)snprintf(socket_path, sizeof socket_path, "%.90s/s", dir);
  ck_assert_int_eq(chmod(dir, 0777), 0);
  *strrchr(dir, '/') = '\0';
  ck_assert_int_eq(chmod(dir, 0711), 0);
  program_fd = open(harness_fcached(), O_RDONLY); /* the other user may not reach its path */
  ck_assert_int_ge(program_fd, 0);
  (void)unsetenv("FCACHE_DAEMON_USER");
}

static void stop(void) {
  if (pid == 0)
    return;
  ck_assert_int_eq(kill(pid, SIGTERM), 0);
  ck_assert_int_eq(harness_wait(pid, 20000), 0);
  pid = 0;
}

static bool can_test(void) {
  if (geteuid() == 0)
    return true;
  printf("skipped: only root can run daemons of other users\n");
  return false;
}

/* ---- clients ---- */

static int trusts(void *arg) {
  struct fcache *cache = library_open_in_child(arg, "ns", NULL, LIBRARY_PATIENT_MS);

  CHILD_EXPECT(cache != NULL);
  if (!fcache_connected(cache))
    (void)fprintf(stderr, "%s\n", fcache_last_error(cache));
  CHILD_EXPECT(fcache_connected(cache));
  fcache_close(cache);
  return 0;
}

struct log_lines {
  char line[1024];
  unsigned n;
};

static void record_line(void *arg, const char *line) {
  struct log_lines *lines = arg;

  (void)snprintf(lines->line, sizeof lines->line, "%s", line);
  lines->n++;
}

static int compute(void *arg, struct fcache_value *value) {
  (void)arg;
  return fcache_value_set(value, "computed", 8);
}

struct distrust_case {
  const char *socket, *reason;
};

/* The client computes without the daemon, and logs that once. */
static int check_distrust(void *arg) {
  const struct distrust_case *distrust_case = arg;
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache_key key = library_key("op", "view", "prompt", 0);
  struct fcache_value value = {0};
  struct log_lines lines = {.n = 0};
  struct fcache *cache;

  options.socket = distrust_case->socket;
  options.name_space = "ns";
  options.deadline_ms = LIBRARY_PATIENT_MS;
  options.log = record_line;
  options.log_arg = &lines;
  CHILD_EXPECT(fcache_open(&options, &cache, NULL) == FCACHE_OK);
  for (int i = 0; i < 3; i++) {
    CHILD_EXPECT(!fcache_connected(cache));
    CHILD_EXPECT(fcache_cached(cache, &key, compute, NULL, &value) == FCACHE_OK);
    CHILD_EXPECT(value.size == 8 && memcmp(value.data, "computed", 8) == 0);
    fcache_value_free(&value);
  }
  fcache_close(cache);
  CHILD_EXPECT(lines.n == 1);
  if (!strstr(lines.line, distrust_case->reason))
    (void)fprintf(stderr, "no \"%s\" in \"%s\"\n", distrust_case->reason, lines.line);
  CHILD_EXPECT(strstr(lines.line, distrust_case->reason));
  CHILD_EXPECT(strstr(lines.line, "sharing is off: no daemon could be reached at "));
  return 0;
}

static void expect_distrust(const char *socket, const char *reason, const struct child_user *user) {
  struct distrust_case distrust_case = {socket, reason};

  ck_assert_int_eq(child_run(check_distrust, &distrust_case, user), 0);
}

/* ---- the daemon's user ---- */

START_TEST(daemon_of_other_user_is_refused) {
  char reason[256];

  if (!can_test())
    return;
  start_daemon(socket_path, &other);
  (void)snprintf(reason, sizeof reason,
                 "%s (not trusted: user 54321 runs it; to trust that one, set "
                 "$FCACHE_DAEMON_USER=54321)",
                 socket_path);
  expect_distrust(socket_path, reason, &third);
  expect_distrust(socket_path, reason, NULL); /* root trusts only itself, too */
  ck_assert_int_eq(child_run(trusts, socket_path, &other), 0);
  ck_assert_int_eq(setenv("FCACHE_DAEMON_USER", "54321", 1), 0);
  struct fcache *cache = library_open(socket_path, "ns", NULL, 0);
  ck_assert_uint_eq(library_stat(cache, "connections"), 2); /* the others sent no hello */
  fcache_close(cache);
}
END_TEST

START_TEST(daemon_of_root_is_trusted) {
  if (!can_test())
    return;
  start_daemon(socket_path, NULL);
  ck_assert_int_eq(child_run(trusts, socket_path, &third), 0);
  ck_assert_int_eq(child_run(trusts, socket_path, NULL), 0);
}
END_TEST

START_TEST(daemon_of_user_in_variable_is_trusted) {
  const struct passwd *named = getpwuid(NOBODY);
  char name[64] = "";

  if (!can_test())
    return;
  start_daemon(socket_path, &nobody);
  if (named != NULL)
    (void)snprintf(name, sizeof name, "%s", named->pw_name);
  const char *const good[] = {"65534", name}, *const bad[] = {"54321", "", "0", "65534x", "-2"};
  for (size_t i = 0; i < 1 + (named != NULL); i++) {
    ck_assert_int_eq(setenv("FCACHE_DAEMON_USER", good[i], 1), 0);
    ck_assert_int_eq(child_run(trusts, socket_path, &third), 0);
  }
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    ck_assert_int_eq(setenv("FCACHE_DAEMON_USER", bad[i], 1), 0);
    expect_distrust(socket_path, "set $FCACHE_DAEMON_USER=65534", &third);
  }
  ck_assert_int_eq(setenv("FCACHE_DAEMON_USER", "no such user", 1), 0);
  expect_distrust(socket_path, "(it names no user of this system now)", &third);
}
END_TEST

START_TEST(daemon_of_other_user_named_by_fcachectl) {
  const char *const argv[] = {harness_fcachectl(), "-S", socket_path, "ping", "-c", "1", NULL};
  char *err;

  if (!can_test())
    return;
  start_daemon(socket_path, &other);
  ck_assert_int_eq(harness_run(argv, NULL, &err), 3);
  ck_assert_msg(strstr(err, "set $FCACHE_DAEMON_USER=54321") != NULL, "%s", err);
  free(err);
  ck_assert_int_eq(setenv("FCACHE_DAEMON_USER", "54321", 1), 0);
  ck_assert_int_eq(harness_run(argv, NULL, NULL), 0);
}
END_TEST

/* ---- the system's path ---- */

#define SYSTEM_SOCKET "/run/fcached/fcached.sock"

/* Mounts a private /run, with the directory as systemd creates it. */
static bool make_run(void) {
  if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
      mount("tmpfs", "/run", "tmpfs", 0, "size=1m,mode=755") < 0) {
    printf("skipped: no /run of its own can be mounted: %s\n", strerror(errno));
    return false;
  }
  ck_assert_int_eq(mkdir("/run/fcached", 0755), 0);
  ck_assert_int_eq(chown("/run/fcached", OTHER, OTHER), 0);
  return true;
}

START_TEST(daemon_at_default_path_is_trusted) {
  if (!can_test() || !make_run())
    return;
  start_daemon(SYSTEM_SOCKET, &other);
  ck_assert_int_eq(child_run(trusts, (char[]){SYSTEM_SOCKET}, &third), 0);
  (void)unsetenv("FCACHE_SOCKET");
  (void)unsetenv("XDG_RUNTIME_DIR");
  ck_assert_int_eq(child_run(trusts, NULL, &third), 0); /* the default path */
  /* An instance's socket is beside the first one. No name below a further directory is trusted. */
  ck_assert_int_eq(symlink(SYSTEM_SOCKET, "/run/fcached/fcached-team.sock"), 0);
  ck_assert_int_eq(child_run(trusts, (char[]){"/run/fcached/fcached-team.sock"}, &third), 0);
  ck_assert_int_eq(mkdir("/run/fcached/below", 0755), 0);
  ck_assert_int_eq(symlink(SYSTEM_SOCKET, "/run/fcached/below/fcached.sock"), 0);
  expect_distrust("/run/fcached/below/fcached.sock", "user 54321 runs it", &third);
  /* The same daemon by another path, or in a directory where others may create sockets: */
  ck_assert_int_eq(symlink(SYSTEM_SOCKET, "/run/link"), 0);
  expect_distrust("/run/link", "user 54321 runs it", &third);
  ck_assert_int_eq(chmod("/run/fcached", 0775), 0);
  expect_distrust(SYSTEM_SOCKET, "user 54321 runs it", &third);
  ck_assert_int_eq(chmod("/run/fcached", 0755), 0);
  ck_assert_int_eq(chown("/run/fcached", 0, 0), 0);
  expect_distrust(SYSTEM_SOCKET, "user 54321 runs it", &third);
  ck_assert_int_eq(chown("/run/fcached", OTHER, OTHER), 0);
  ck_assert_int_eq(chmod("/run", 01777), 0);
  expect_distrust(SYSTEM_SOCKET, "user 54321 runs it", &third);
  ck_assert_int_eq(chmod("/run", 0755), 0);
  ck_assert_int_eq(child_run(trusts, (char[]){SYSTEM_SOCKET}, &third), 0);
}
END_TEST

static uid_t listener_of(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  struct ucred creds;
  socklen_t size = sizeof creds;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
  ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &creds, &size), 0);
  (void)close(fd);
  return creds.uid;
}

static bool is_listened_to_by_other(void *arg) {
  return listener_of(arg) == OTHER;
}

/* As systemd: root creates the socket, and the daemon of another user serves it. The client that
 * activates it sees root's credentials, later ones those of that user. */
START_TEST(daemon_by_socket_activation_is_trusted) {
  struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SYSTEM_SOCKET};
  struct served served = {SYSTEM_SOCKET, -1};

  if (!can_test() || !make_run())
    return;
  served.listening_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ck_assert_int_ge(served.listening_fd, 4);
  ck_assert_int_eq(bind(served.listening_fd, (const struct sockaddr *)&address, sizeof address), 0);
  ck_assert_int_eq(chmod(SYSTEM_SOCKET, 0666), 0);
  ck_assert_int_eq(listen(served.listening_fd, 16), 0);
  ck_assert_uint_eq(listener_of(SYSTEM_SOCKET), 0);
  pid_t first = child_start(trusts, (char[]){SYSTEM_SOCKET}, &third); /* waits for its welcome */
  pid = child_start(serve, &served, &other);
  ck_assert_int_eq(harness_wait(first, 20000), 0);
  ck_assert(harness_wait_until(is_listened_to_by_other, (char[]){SYSTEM_SOCKET}, 20000));
  ck_assert_int_eq(child_run(trusts, (char[]){SYSTEM_SOCKET}, &third), 0);
  (void)close(served.listening_fd);
}
END_TEST

/* ---- in a user namespace ---- */

/* Every unmapped user has the overflow id, maybe the client's own: it proves nothing. */
static int check_distrust_of_unmapped(void *arg) {
  if (unshare(CLONE_NEWUSER) != 0)
    return 77;
  CHILD_EXPECT(geteuid() == NOBODY);
  return check_distrust(arg);
}

static int trusts_whom_it_cannot_see(void *arg) {
  return unshare(CLONE_NEWUSER) != 0 ? 77 : trusts(arg);
}

START_TEST(daemon_of_unmapped_user_is_refused) {
  struct distrust_case distrust_case = {socket_path,
                                        "its user is not mapped in this user namespace"};

  if (!can_test())
    return;
  start_daemon(socket_path, &other);
  int status = child_run(check_distrust_of_unmapped, &distrust_case, &third);
  if (status == 77) {
    printf("skipped: this system has no user namespaces\n");
    return;
  }
  ck_assert_int_eq(status, 0);
  ck_assert_int_eq(setenv("FCACHE_DAEMON_USER", "65534", 1), 0);
  ck_assert_int_eq(child_run(trusts_whom_it_cannot_see, socket_path, &third), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("daemon's user");
  TCase *tcase = tcase_create("client");

  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, start, stop);
  tcase_add_test(tcase, daemon_of_other_user_is_refused);
  tcase_add_test(tcase, daemon_of_root_is_trusted);
  tcase_add_test(tcase, daemon_of_user_in_variable_is_trusted);
  tcase_add_test(tcase, daemon_of_other_user_named_by_fcachectl);
  tcase_add_test(tcase, daemon_at_default_path_is_trusted);
  tcase_add_test(tcase, daemon_by_socket_activation_is_trusted);
  tcase_add_test(tcase, daemon_of_unmapped_user_is_refused);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
