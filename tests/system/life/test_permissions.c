/* The rights of other users. The socket's group may connect, and get and put in every namespace.
 * The owner of a namespace, the user who created it, may clear it and set its limit and manifest.
 * The daemon's user, root and the admin group may do all that, clear everything, control the trace
 * and shut down. Needs root to become other users, and is skipped without. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/errors.h"
#include "tests/support/admin_requests.h"
#include "tests/support/child_process.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"

/* Ids without an entry in /etc/passwd and /etc/group. */
enum { OTHER_USER = 54321, SOCKET_GROUP = 54322, ADMIN_GROUP = 54323, NEIGHBOUR = 54324 };

static const struct child_user outsider = {.uid = OTHER_USER, .gid = OTHER_USER};
static const struct child_user member = {
    .uid = OTHER_USER, .gid = OTHER_USER, .group = SOCKET_GROUP};
static const struct child_user neighbour = {
    .uid = NEIGHBOUR, .gid = NEIGHBOUR, .group = SOCKET_GROUP};
static const struct child_user admin = {
    .uid = OTHER_USER, .gid = SOCKET_GROUP, .group = ADMIN_GROUP};
static const struct child_user admin_by_gid = {
    .uid = OTHER_USER, .gid = ADMIN_GROUP, .group = SOCKET_GROUP};

static struct daemon served;
static char trace_dir[HARNESS_PATH_SIZE]; /* for traces */

/* Lets other users reach the socket, whose own mode is the daemon's. */
static void start(void) {
  char root[HARNESS_PATH_SIZE];

  if (geteuid() != 0)
    return;
  harness_make_dir(trace_dir);
  harness_start(&served, "--socket-group", "54322", "--admin-group", "54323", "--trace-dir",
                trace_dir, NULL);
  (void)snprintf(root, sizeof root, "%s", served.dir);
  *strrchr(root, '/') = '\0';
  ck_assert_int_eq(chmod(root, 0711), 0);
  ck_assert_int_eq(chmod(served.dir, 0711), 0);
}

static void stop(void) {
  ck_assert_int_eq(harness_stop(&served), 0);
}

static bool can_test(void) {
  if (geteuid() == 0)
    return true;
  printf("skipped: only root can become other users\n");
  return false;
}

static int open_raw(struct raw *raw, const char *name_space) {
  int rc = raw_connect(raw, served.socket);

  return rc != 0 ? rc : raw_hello(raw, "client", name_space);
}

/* ---- connecting ---- */

static int cannot_connect(void *arg) {
  struct raw raw;

  (void)arg;
  CHILD_EXPECT(raw_connect(&raw, served.socket) == -EACCES);
  return 0;
}

static int can_connect(void *arg) {
  struct raw raw;

  (void)arg;
  CHILD_EXPECT(open_raw(&raw, "own") == 0);
  raw_close(&raw);
  return 0;
}

START_TEST(connect_needs_the_socket_group) {
  struct stat status;

  if (!can_test())
    return;
  ck_assert_int_eq(stat(served.socket, &status), 0);
  ck_assert_uint_eq(status.st_mode & 07777, 0660);
  ck_assert_uint_eq(status.st_gid, SOCKET_GROUP);
  ck_assert_int_eq(child_run(cannot_connect, NULL, &outsider), 0);
  ck_assert_int_eq(child_run(can_connect, NULL, &member), 0);
}
END_TEST

static void ignore_line(void *arg, const char *line) {
  (void)arg, (void)line;
}

static int compute(void *arg, struct fcache_value *value) {
  (void)arg;
  return fcache_value_set(value, "computed", 8);
}

static int works_without(void *arg) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache_key key = library_key("op", "view", "prompt", 0);
  struct fcache_value value = {0};
  struct fcache *cache;

  (void)arg;
  options.socket = served.socket;
  options.name_space = "own";
  options.log = ignore_line;
  CHILD_EXPECT(fcache_open(&options, &cache, NULL) == FCACHE_OK);
  CHILD_EXPECT(!fcache_connected(cache));
  CHILD_EXPECT(strstr(fcache_last_error(cache), strerror(EACCES)));
  CHILD_EXPECT(fcache_cached(cache, &key, compute, NULL, &value) == FCACHE_OK);
  CHILD_EXPECT(value.size == 8 && memcmp(value.data, "computed", 8) == 0);
  fcache_value_free(&value);
  fcache_close(cache);
  return 0;
}

START_TEST(connect_refused_worker_computes) {
  if (can_test())
    ck_assert_int_eq(child_run(works_without, NULL, &outsider), 0);
}
END_TEST

/* ---- requests ---- */

static int is_denied(void *arg) {
  struct raw raw, tool;

  (void)arg;
  CHILD_EXPECT(open_raw(&raw, "theirs") == 0); /* a client of a namespace is not its owner */
  CHILD_EXPECT(admin_request_clear(&raw, "theirs") == FC_EDENIED);
  CHILD_EXPECT(admin_request_clear(&raw, "nobody's") == FC_EDENIED);
  CHILD_EXPECT(admin_request_clear(&raw, NULL) == FC_EDENIED);
  CHILD_EXPECT(admin_request_trace(&raw, FC_TRACE_ON, "of-a-client") == FC_EDENIED);
  CHILD_EXPECT(admin_request_trace(&raw, FC_TRACE_OFF, "of-a-client") == FC_EDENIED);
  CHILD_EXPECT(admin_request_trace(&raw, FC_TRACE_STATUS, "of-a-client") == 0);
  CHILD_EXPECT(admin_request_latency(&raw, true) == FC_EDENIED);
  CHILD_EXPECT(admin_request_latency(&raw, false) == 0);
  CHILD_EXPECT(admin_request_shutdown(&raw) == FC_EDENIED);
  CHILD_EXPECT(open_raw(&tool, NULL) == 0);
  CHILD_EXPECT(admin_request_clear(&tool, "theirs") == FC_EDENIED);
  raw_close(&tool);
  raw_close(&raw);
  return 0;
}

START_TEST(member_without_ownership_is_denied) {
  struct fcache_key key = library_key("op", "view", "prompt", 0);

  if (!can_test())
    return;
  struct fcache *theirs = library_open(served.socket, "theirs", NULL, 0);
  library_put_text(theirs, &key, "theirs");
  ck_assert_int_eq(child_run(is_denied, NULL, &member), 0);
  char *kept = library_get_text(theirs, &key);
  ck_assert_str_eq(kept, "theirs");
  free(kept);
  ck_assert_uint_eq(library_stat(theirs, "trace_on"), 0);
  fcache_close(theirs);
}
END_TEST

/* ---- namespaces have owners ---- */

#define ENTRIES 10

static int put_some(struct fcache *cache) {
  for (uint32_t i = 0; i < ENTRIES; i++) {
    struct fcache_key key = library_key("op", "view", "prompt", i);
    CHILD_EXPECT(fcache_put(cache, &key, "value", 5, 0, FCACHE_UNRECORDED) == FCACHE_OK);
  }
  return 0;
}

static int creates_own(void *arg) {
  struct fcache *cache = library_open_in_child(served.socket, "own", NULL, LIBRARY_PATIENT_MS);

  (void)arg;
  CHILD_EXPECT(cache != NULL && fcache_connected(cache));
  CHILD_EXPECT(put_some(cache) == 0);
  fcache_close(cache);
  return 0;
}

/* Works in another user's namespace, with a worker's usual options. */
static int shares_without_harm(void *arg) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache_key key = library_key("op", "view", "prompt", 3);
  struct fcache_value value = {0};
  int64_t one = 1;
  struct fcache *cache;
  uint64_t removed = 0;

  (void)arg;
  options.socket = served.socket;
  options.name_space = "own";
  options.max_entries = &one;
  options.manifest = "not the owner's";
  options.deadline_ms = LIBRARY_PATIENT_MS;
  CHILD_EXPECT(fcache_open(&options, &cache, NULL) == FCACHE_OK && fcache_connected(cache));
  CHILD_EXPECT(fcache_get(cache, &key, FCACHE_UNRECORDED, &value) == FCACHE_OK);
  CHILD_EXPECT(fcache_put(cache, &key, "other", 5, 0, FCACHE_UNRECORDED) == FCACHE_OK);
  CHILD_EXPECT(fcache_clear(cache, NULL, NULL, &removed) == FCACHE_EDENIED);
  CHILD_EXPECT(strstr(fcache_last_error(cache), "namespace own"));
  CHILD_EXPECT(strstr(fcache_last_error(cache), "uid 54321"));
  fcache_value_free(&value);
  fcache_close(cache);
  return 0;
}

static int clears_and_leaves(void *arg) {
  struct raw raw;
  struct fc_buf buf = {0};
  struct fc_clear select = {.select.name_space = fc_str_of("own")};

  (void)arg;
  CHILD_EXPECT(open_raw(&raw, "own") == 0);
  CHILD_EXPECT(fc_encode_clear(&buf, 1, &select) == 0);
  CHILD_EXPECT(raw_send_buf(&raw, &buf) == 0);
  fc_buf_free(&buf);
  raw_close(&raw);
  return 0;
}

static int clears_own(void *arg) {
  uint64_t *want = arg, removed = 0;
  struct fcache *cache = library_open_in_child(served.socket, "own", NULL, LIBRARY_PATIENT_MS);

  CHILD_EXPECT(cache != NULL && fcache_clear(cache, NULL, NULL, &removed) == FCACHE_OK);
  CHILD_EXPECT(removed == *want);
  fcache_close(cache);
  return 0;
}

static int limits_own(void *arg) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  int64_t two = 2;
  struct fcache *cache;

  (void)arg;
  options.socket = served.socket;
  options.name_space = "own";
  options.max_entries = &two;
  options.deadline_ms = LIBRARY_PATIENT_MS;
  CHILD_EXPECT(fcache_open(&options, &cache, NULL) == FCACHE_OK && fcache_connected(cache));
  fcache_close(cache);
  return 0;
}

START_TEST(namespace_of_other_user_is_not_cleared) {
  if (!can_test())
    return;
  struct fcache *tool = library_open(served.socket, "tool", NULL, 0);
  ck_assert_int_eq(child_run(creates_own, NULL, &member), 0);
  ck_assert_int_eq(child_run(shares_without_harm, NULL, &neighbour), 0);
  ck_assert_int_eq(child_run(clears_and_leaves, NULL, &neighbour), 0);
  library_wait_stat(tool, "clients", 1);
  ck_assert_uint_eq(library_stat(tool, "entries"), ENTRIES);
  ck_assert_uint_eq(library_stat(tool, "settings_ignored"), 2);
  struct library_stats stats = {0};
  library_stats_read(tool, &stats);
  ck_assert_uint_eq(library_stats_count(&stats, "own", "entries"), ENTRIES);
  ck_assert_uint_eq(library_stats_count(&stats, "own", "evictions_entries"), 0);
  library_stats_free(&stats);
  fcache_close(tool);
}
END_TEST

START_TEST(namespace_owner_clears_and_limits_it) {
  uint64_t all = ENTRIES, two = 2;

  if (!can_test())
    return;
  struct fcache *tool = library_open(served.socket, "tool", NULL, 0);
  ck_assert_int_eq(child_run(creates_own, NULL, &member), 0);
  struct fcache *other = library_open(served.socket, "own", NULL, 0); /* keeps the namespace */
  ck_assert_int_eq(child_run(clears_own, &all, &member), 0);
  ck_assert_int_eq(child_run(creates_own, NULL, &neighbour), 0); /* it exists: its owner stays */
  ck_assert_int_eq(child_run(limits_own, NULL, &member), 0);
  ck_assert_uint_eq(library_stat(tool, "entries"), 2);
  ck_assert_int_eq(child_run(clears_own, &two, &member), 0);
  ck_assert_uint_eq(library_stat(tool, "settings_ignored"), 0);
  fcache_close(other);
  fcache_close(tool);
}
END_TEST

static int connects_to_own(void *arg) {
  struct raw raw;

  (void)arg;
  CHILD_EXPECT(open_raw(&raw, "own") == 0);
  raw_close(&raw);
  return 0;
}

/* A namespace without entries goes with its last client. The next client to create it owns it. */
START_TEST(namespace_created_again_has_a_new_owner) {
  uint64_t all = ENTRIES;

  if (!can_test())
    return;
  struct fcache *tool = library_open(served.socket, "tool", NULL, 0);
  ck_assert_int_eq(child_run(connects_to_own, NULL, &neighbour), 0);
  library_wait_stat(tool, "namespaces", 1);
  ck_assert_int_eq(child_run(creates_own, NULL, &member), 0);
  ck_assert_int_eq(child_run(shares_without_harm, NULL, &neighbour), 0);
  ck_assert_int_eq(child_run(clears_own, &all, &member), 0);
  fcache_close(tool);
}
END_TEST

static int may_do_everything(void *arg) {
  struct raw raw;

  (void)arg;
  CHILD_EXPECT(open_raw(&raw, "own") == 0);
  CHILD_EXPECT(admin_request_clear(&raw, "theirs") == 0);
  CHILD_EXPECT(admin_request_clear(&raw, NULL) == 0);
  CHILD_EXPECT(admin_request_trace(&raw, FC_TRACE_ON, "of-a-client") == 0);
  CHILD_EXPECT(admin_request_trace(&raw, FC_TRACE_OFF, "of-a-client") == 0);
  raw_close(&raw);
  return 0;
}

static int shuts_down(void *arg) {
  struct raw raw;

  (void)arg;
  CHILD_EXPECT(open_raw(&raw, NULL) == 0);
  CHILD_EXPECT(admin_request_latency(&raw, true) == 0);
  CHILD_EXPECT(admin_request_shutdown(&raw) == 0);
  raw_close(&raw);
  return 0;
}

START_TEST(admin_group_may_do_everything) {
  if (!can_test())
    return;
  ck_assert_int_eq(child_run(may_do_everything, NULL, NULL), 0); /* root */
  ck_assert_int_eq(child_run(may_do_everything, NULL, &admin_by_gid), 0);
  ck_assert_int_eq(child_run(may_do_everything, NULL, &admin), 0);
  ck_assert_int_eq(child_run(shuts_down, NULL, &admin), 0);
  pid_t pid = served.pid;
  served.pid = 0;
  ck_assert_int_eq(harness_wait(pid, 20000), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("permissions");
  TCase *tcase = tcase_create("daemon");

  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, start, stop);
  tcase_add_test(tcase, connect_needs_the_socket_group);
  tcase_add_test(tcase, connect_refused_worker_computes);
  tcase_add_test(tcase, member_without_ownership_is_denied);
  tcase_add_test(tcase, namespace_of_other_user_is_not_cleared);
  tcase_add_test(tcase, namespace_owner_clears_and_limits_it);
  tcase_add_test(tcase, namespace_created_again_has_a_new_owner);
  tcase_add_test(tcase, admin_group_may_do_everything);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
