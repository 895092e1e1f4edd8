/* Who may do what, with processes of other users: the socket's group may connect;
 * a client may clear its own namespace; wider clears, the trace and shutdown are
 * for the daemon's user, root and the admin group. Needs root to become others;
 * elsewhere it says what it skips. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/errors.h"
#include "tests/system/child.h"
#include "tests/system/harness.h"
#include "tests/system/library.h"
#include "tests/system/raw.h"

/* Numbers that need no entry in any file. */
enum { STRANGER = 54321, SOCKET_GROUP = 54322, ADMIN_GROUP = 54323 };

static const struct child_user outsider = {.uid = STRANGER, .gid = STRANGER};
static const struct child_user member = {.uid = STRANGER, .gid = STRANGER, .group = SOCKET_GROUP};
static const struct child_user admin = {.uid = STRANGER, .gid = SOCKET_GROUP, .group = ADMIN_GROUP};
static const struct child_user admin_by_gid = {
    .uid = STRANGER, .gid = ADMIN_GROUP, .group = SOCKET_GROUP};

static struct daemon served;

/* The way to the socket is made passable; the socket itself is as the daemon made it. */
static void start(void) {
  char root[HARNESS_PATH_SIZE];

  if (geteuid() != 0)
    return;
  harness_start(&served, "--socket-group", "54322", "--admin-group", "54323", NULL);
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

/* ---- requests, by whoever is asking ---- */

/* The code of an error reply, 0 for any other reply, or a positive raw_result. */
static int ask(struct raw *raw, struct fc_buf *buf) {
  struct fc_reply reply;
  int rc = raw_send_buf(raw, buf);

  fc_buf_free(buf);
  if (rc == 0)
    rc = raw_recv(raw, &reply, 5000);
  return rc == 0 && reply.type == FC_ERROR ? reply.error.code : rc;
}

static int ask_clear(struct raw *raw, const char *name_space) {
  struct fc_buf buf = {0};
  struct fc_select select = {.name_space = name_space ? fc_str_of(name_space) : (struct fc_str){0}};

  (void)fc_encode_clear(&buf, raw->next_id++, &select); /* buf.failed says it */
  return ask(raw, &buf);
}

static int ask_trace(struct raw *raw, enum fc_trace_action action) {
  struct fc_buf buf = {0};
  struct fc_trace trace = {.action = action};

  if (action == FC_TRACE_ON)
    trace.path = fc_str_of("/dev/null");
  (void)fc_encode_trace(&buf, raw->next_id++, &trace); /* buf.failed says it */
  return ask(raw, &buf);
}

static int ask_shutdown(struct raw *raw) {
  struct fc_buf buf = {0};

  (void)fc_encode_simple(&buf, FC_SHUTDOWN, raw->next_id++); /* buf.failed says it */
  return ask(raw, &buf);
}

static int open_raw(struct raw *raw, const char *name_space) {
  int rc = raw_connect(raw, served.socket);

  return rc != 0 ? rc : raw_hello(raw, "client", name_space);
}

/* ---- who may connect ---- */

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

START_TEST(the_sockets_group_may_connect) {
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

START_TEST(who_may_not_connect_computes) {
  if (can_test())
    ck_assert_int_eq(child_run(works_without, NULL, &outsider), 0);
}
END_TEST

/* ---- who may do what ---- */

static int has_no_power(void *arg) {
  struct raw raw, tool;

  (void)arg;
  CHILD_EXPECT(open_raw(&raw, "own") == 0);
  CHILD_EXPECT(ask_clear(&raw, "own") == 0);
  CHILD_EXPECT(ask_clear(&raw, "theirs") == FC_EDENIED);
  CHILD_EXPECT(ask_clear(&raw, "nobody's") == FC_EDENIED); /* nor learn whether it is there */
  CHILD_EXPECT(ask_clear(&raw, NULL) == FC_EDENIED);
  CHILD_EXPECT(ask_trace(&raw, FC_TRACE_ON) == FC_EDENIED);
  CHILD_EXPECT(ask_trace(&raw, FC_TRACE_OFF) == FC_EDENIED);
  CHILD_EXPECT(ask_trace(&raw, FC_TRACE_STATUS) == 0);
  CHILD_EXPECT(ask_shutdown(&raw) == FC_EDENIED);
  CHILD_EXPECT(ask_clear(&raw, "own") == 0); /* still connected */
  CHILD_EXPECT(open_raw(&tool, NULL) == 0);
  CHILD_EXPECT(ask_clear(&tool, "own") == FC_EDENIED); /* it has none of its own */
  raw_close(&tool);
  raw_close(&raw);
  return 0;
}

static int clears_by_library(void *arg) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache *cache;
  uint64_t removed;

  (void)arg;
  options.socket = served.socket;
  options.name_space = "own";
  CHILD_EXPECT(fcache_open(&options, &cache, NULL) == FCACHE_OK);
  CHILD_EXPECT(fcache_clear(cache, NULL, NULL, &removed) == FCACHE_OK);
  CHILD_EXPECT(removed == 1);
  fcache_close(cache);
  return 0;
}

START_TEST(a_member_has_power_over_its_own_namespace_alone) {
  struct fcache_key key = library_key("op", "view", "prompt", 0);

  if (!can_test())
    return;
  struct fcache *own = library_open(served.socket, "own", NULL, 0);
  struct fcache *theirs = library_open(served.socket, "theirs", NULL, 0);
  library_put_text(own, &key, "mine");
  library_put_text(theirs, &key, "theirs");
  ck_assert_int_eq(child_run(clears_by_library, NULL, &member), 0);
  library_put_text(own, &key, "mine");
  ck_assert_int_eq(child_run(has_no_power, NULL, &member), 0);
  char *gone = library_get_text(own, &key), *kept = library_get_text(theirs, &key);
  ck_assert_ptr_null(gone);
  ck_assert_str_eq(kept, "theirs");
  free(kept);
  ck_assert_uint_eq(library_figure(own, "trace_on"), 0);
  fcache_close(own);
  fcache_close(theirs);
}
END_TEST

static int has_all_power(void *arg) {
  struct raw raw;

  (void)arg;
  CHILD_EXPECT(open_raw(&raw, "own") == 0);
  CHILD_EXPECT(ask_clear(&raw, "theirs") == 0);
  CHILD_EXPECT(ask_clear(&raw, NULL) == 0);
  CHILD_EXPECT(ask_trace(&raw, FC_TRACE_ON) == 0);
  CHILD_EXPECT(ask_trace(&raw, FC_TRACE_OFF) == 0);
  raw_close(&raw);
  return 0;
}

static int shuts_down(void *arg) {
  struct raw raw;

  (void)arg;
  CHILD_EXPECT(open_raw(&raw, NULL) == 0);
  CHILD_EXPECT(ask_shutdown(&raw) == 0);
  raw_close(&raw);
  return 0;
}

START_TEST(the_admin_group_has_power_over_everything) {
  if (!can_test())
    return;
  ck_assert_int_eq(child_run(has_all_power, NULL, NULL), 0); /* root */
  ck_assert_int_eq(child_run(has_all_power, NULL, &admin_by_gid), 0);
  ck_assert_int_eq(child_run(has_all_power, NULL, &admin), 0);
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
  tcase_add_test(tcase, the_sockets_group_may_connect);
  tcase_add_test(tcase, who_may_not_connect_computes);
  tcase_add_test(tcase, a_member_has_power_over_its_own_namespace_alone);
  tcase_add_test(tcase, the_admin_group_has_power_over_everything);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
