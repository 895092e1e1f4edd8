/* fcachectl doctor: a table of set-ups that are broken in one way, each with its finding. A set-up
 * that is well has no other finding than ok. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/ctl.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"
#include "tests/support/sanitizer.h"
#include "tests/support/screen.h"
#include "tests/support/scripted_daemon.h"

#define TIER_BOUND_NS UINT64_C(20000000000)

static struct daemon daemon_; /* of a set-up that has one */
static char dir[HARNESS_PATH_SIZE], path[HARNESS_PATH_SIZE + 16];
static struct fcache *workers[2];

static void serve(const char *option, const char *value) {
  harness_start(&daemon_, option, value, NULL);
  (void)snprintf(path, sizeof path, "%s", daemon_.socket);
}

static struct fcache *open_worker(const char *name_space, const char *manifest) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache *cache;
  options.socket = daemon_.socket;
  options.name_space = name_space;
  options.manifest = manifest;
  options.deadline_ms = 5000;
  ck_assert_int_eq(fcache_open(&options, &cache, NULL), FCACHE_OK);
  ck_assert(fcache_connected(cache));
  return cache;
}

static void put(struct fcache *cache, unsigned number, size_t size) {
  struct fcache_key key = library_key("op", "base", "prompt", number);
  char *value = calloc(1, size);
  ck_assert_ptr_nonnull(value);
  (void)fcache_put(cache, &key, value, size, 0, 0); /* it may be too large */
  free(value);
}

/* ---- set-ups ---- */

static void well(void) {
  serve("--max-bytes", "64M");
  workers[0] = open_worker("gpt2-base", "{\"model\": \"gpt2\", \"dtype\": \"f32\"}");
  workers[1] = open_worker("llama-8b", "{\"model\": \"llama\", \"dtype\": \"f16\"}");
  put(workers[0], 1, 100);
}

static void no_socket(void) {}

static void file_instead(void) {
  int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(close(fd), 0);
}

static void dead_socket(void) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  (void)snprintf(address.sun_path, sizeof address.sun_path, "%.107s", path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
  ck_assert_int_eq(close(fd), 0);
}

static void disabled(void) {
  well();
  ck_assert_int_eq(setenv("FCACHE_DISABLE", "1", 1), 0);
}

static void messages_only(void) {
  well();
  ck_assert_int_eq(setenv("FCACHE_REGION", "0", 1), 0);
}

static void bad_runtime(void) {
  well();
  ck_assert_int_eq(setenv("XDG_RUNTIME_DIR", "/no/such/dir", 1), 0);
}

static void no_region(void) {
  harness_start(&daemon_, "--no-region", NULL);
  (void)snprintf(path, sizeof path, "%s", daemon_.socket);
}

static void large_value(void) {
  serve("--max-value", "1000");
  workers[0] = open_worker("gpt2-base", NULL);
  put(workers[0], 1, 1001);
}

static void small_cache(void) {
  serve("--max-bytes", "64K");
  workers[0] = open_worker("gpt2-base", NULL);
  for (unsigned i = 0; i < 100; i++)
    put(workers[0], i, 4000);
}

static void near_names(void) {
  serve("--max-bytes", "64M");
  workers[0] = open_worker("gpt2-base", NULL);
  workers[1] = open_worker("gpt2-bsae", NULL);
}

static void other_case(void) {
  serve("--max-bytes", "64M");
  workers[0] = open_worker("Llama", NULL);
  workers[1] = open_worker("llama", NULL);
}

static void near_manifests(void) {
  serve("--max-bytes", "64M");
  workers[0] =
      open_worker("one", "{\"model\": \"gpt2\", \"dtype\": \"f32\", \"n\": [1, {\"a\": 2}]}");
  workers[1] =
      open_worker("two", "{\"model\": \"gpt2\", \"dtype\": \"f16\", \"n\": [1, {\"a\": 2}]}");
}

static void more_in_manifest(void) {
  serve("--max-bytes", "64M");
  workers[0] = open_worker("one", "{\"model\": \"gpt2\"}");
  workers[1] = open_worker("two", "{\"model\": \"gpt2\", \"torch\": \"2.5\"}");
}

/* Not JSON objects: nothing is compared, and nothing breaks. */
static void broken_manifests(void) {
  serve("--max-bytes", "64M");
  workers[0] = open_worker("one", "{\"model\": \"gpt2\", \"x");
  workers[1] = open_worker("two", "[1, {\"model\": ");
}

/* The daemon cannot write into a directory of this name. */
static void failed_snapshot(void) {
  char command[2 * HARNESS_PATH_SIZE];
  (void)snprintf(command, sizeof command, "mkdir -p %s/state/snapshot.tmp", dir);
  ck_assert_int_eq(harness_run((const char *const[]){"sh", "-c", command, NULL}, NULL, NULL), 0);
  (void)snprintf(command, sizeof command, "%s/state", dir);
  serve("--state", command);
  workers[0] = open_worker("gpt2-base", NULL);
  put(workers[0], 1, 100);
  ctl_expect_status(CTL("-S", path, "snapshot"), 1, "", "fcachectl: ");
}

static void refused_clients(void) {
  struct raw some[4];
  serve("--max-clients", "3");
  for (size_t i = 0; i < 4; i++) {
    ck_assert_int_eq(raw_connect(&some[i], daemon_.socket), 0);
    (void)raw_hello(&some[i], "worker", "m"); /* the last one is refused */
  }
  for (size_t i = 0; i < 4; i++)
    raw_close(&some[i]);
}

/* The daemon finds out a moment after its start. */
static void tier_gone(void) {
  const char *found = NULL;
  serve("--tier", "unix:///no/such/server");
  for (uint64_t until_ns = harness_now_ns() + TIER_BOUND_NS; found == NULL;) {
    char *out = ctl_printed(CTL("-S", path, "tier", "--json"));
    ck_assert_msg(harness_now_ns() < until_ns, "the breaker stays closed: %s", out);
    found = strstr(out, "\"open\"");
    free(out);
  }
}

/* ---- the table ---- */

static const struct {
  void (*set_up)(void);
  const char *shell; /* before the command */
  int status;
  const char *finding; /* "": all is well */
  const char *advice;
} table[] = {
    {well, "", 0, "", ""},
    {broken_manifests, "", 0, "", ""},
    {no_socket, "", 3, "problem  socket: there is no socket ",
     "start one there with \"fcached --socket /"},
    {file_instead, "", 3, "is not a socket", "give the path"},
    {dead_socket, "", 3, "problem  socket: no process listens at ", "start the daemon again"},
    {disabled, "", 1, "problem  environment: FCACHE_DISABLE=1: workers", "unset FCACHE_DISABLE"},
    {messages_only, "", 1, "warning  environment: FCACHE_REGION=0: hits go", "unset FCACHE_REGION"},
    {bad_runtime, "", 1, "warning  environment: XDG_RUNTIME_DIR=/no/such/dir", "loginctl"},
    {well, "ulimit -n 100;", 1, "warning  limits: this process may open 100 files", "ulimit -n"},
    {well, "ulimit -v 100000;", 1, "warning  limits: the address space", "ulimit -v unlimited"},
    {no_region, "", 1, "warning  shared memory: the daemon shares no memory", "--no-region"},
    {large_value, "", 1, "warning  values: 1 values were too large", "--max-value"},
    {small_cache, "", 1, "warning  evictions: the cache is too small: ", "set max-bytes SIZE"},
    {failed_snapshot, "", 1, "problem  snapshot: the latest snapshot failed", "state folder"},
    {refused_clients, "", 1, "warning  settings: 1 connections were refused", "--max-clients"},
    {tier_gone, "", 1,
     "problem  tier: the tier server unix:/no/such/server is not used for reads and writes: ",
     "docs/fleet.md"},
    {near_names, "", 1, "warning  names: namespaces gpt2-base (1 client) and gpt2-bsae", "same"},
    {other_case, "", 1, "warning  names: namespaces Llama (1 client) and llama", "same"},
    {near_manifests, "", 1, "differ only in dtype: \"f32\", and \"f16\"", "fcachectl namespaces"},
    {more_in_manifest, "", 1, "two and one differ only in torch: \"2.5\", and nothing", "version"},
};
#define ROWS (sizeof table / sizeof table[0])

static void set_up(void) {
  memset(&daemon_, 0, sizeof daemon_);
  harness_make_dir(dir);
  (void)snprintf(path, sizeof path, "%s/s", dir);
  ck_assert_int_eq(unsetenv("XDG_RUNTIME_DIR"), 0);
}

static void tear_down(void) {
  for (size_t i = 0; i < 2; i++) {
    if (workers[i] != NULL)
      fcache_close(workers[i]);
    workers[i] = NULL;
  }
  if (daemon_.pid > 0)
    ck_assert_int_eq(harness_stop(&daemon_), 0);
  ck_assert_int_eq(
      unsetenv("FCACHE_DISABLE") | unsetenv("FCACHE_REGION") | unsetenv("XDG_RUNTIME_DIR"), 0);
}

static unsigned count(const char *text, const char *part) {
  unsigned n = 0;
  for (; (text = strstr(text, part)) != NULL; text += strlen(part))
    n++;
  return n;
}

/* Each set-up has exactly its one finding. */
START_TEST(broken_set_up_has_its_finding) {
  char command[2 * HARNESS_PATH_SIZE + 200], *out;
  const char *const argv[] = {"sh", "-c", command, NULL};
  if (SANITIZER_SLOW && strstr(table[_i].shell, "ulimit -v") != NULL)
    return; /* a sanitizer reserves terabytes */
  table[_i].set_up();
  (void)snprintf(command, sizeof command, "%s exec %s -S %s doctor --quiet", table[_i].shell,
                 harness_fcachectl(), path);
  int status = harness_run(argv, &out, NULL);
  ck_assert_msg(status == table[_i].status && strstr(out, table[_i].finding) != NULL &&
                    strstr(out, table[_i].advice) != NULL,
                "row %d: status %d:\n%s", _i, status, out);
  ck_assert_msg(count(out, "\n         -> ") == (table[_i].finding[0] != '\0'), "row %d:\n%s", _i,
                out);
  free(out);
}
END_TEST

START_TEST(json_has_all_findings) {
  near_names();
  json_t *findings;
  const char *const argv[] = {harness_fcachectl(), "-S", path, "doctor", "--json", NULL};
  char *out;
  ck_assert_int_eq(harness_run(argv, &out, NULL), 1);
  findings = json_loads(out, 0, NULL);
  ck_assert_msg(json_is_array(findings) && json_array_size(findings) > 10, "%s", out);
  for (size_t i = 0; i < json_array_size(findings); i++) {
    const char *level = json_string_value(json_object_get(json_array_get(findings, i), "level"));
    const char *advice = json_string_value(json_object_get(json_array_get(findings, i), "advice"));
    ck_assert_int_eq(strcmp(level, "ok") == 0, advice[0] == '\0');
  }
  json_decref(findings);
  free(out);
}
END_TEST

/* A daemon of another version, which ends before it has given its statistics. What they would say
 * is not made up. */
START_TEST(other_daemon_without_statistics_has_its_findings) {
  struct scripted_daemon scripted;
  char *out;
  scripted_start(&scripted, scripted_hello_alone, NULL);
  scripted.welcome.server = fc_str_of("fcached 0.0.1");
  ck_assert_int_eq(harness_run(CTL("-S", scripted.path, "doctor", "-q"), &out, NULL), 1);
  ck_assert_msg(strstr(out, "warning  versions: the daemon is fcached 0.0.1, and fcachectl is ") &&
                    strstr(out, "problem  statistics: the daemon gives no statistics, ") &&
                    count(out, "\n         -> ") == 2,
                "%s", out);
  free(out);
  scripted_stop(&scripted);
}
END_TEST

/* Another user is told which group may connect, or that none may. */
static const struct {
  unsigned dir_mode, socket_mode;
  const char *finding, *advice;
} closed[] = {
    {0700, 0666, "a directory of ", "let this user enter"},
    {0755, 0600, "only uid 0 may connect to ", "--socket-group"},
    {0755, 0660, "is for uid 0 and group root (gid 0, mode 0660)", "usermod -aG root"},
};

START_TEST(denied_user_has_its_finding) {
  char command[5 * HARNESS_PATH_SIZE + 200], *out;
  const char *const argv[] = {"sh", "-c", command, NULL};
  if (geteuid() != 0) {
    (void)printf("skipped: needs root\n");
    return;
  }
  dead_socket();
  (void)snprintf(command, sizeof command,
                 "chmod 711 %s/.. && chmod %o %s && chmod %o %s && exec setpriv --reuid 12345 "
                 "--regid 12345 --clear-groups %s -S %s doctor -q",
                 dir, closed[_i].dir_mode, dir, closed[_i].socket_mode, path, harness_fcachectl(),
                 path);
  ck_assert_int_eq(harness_run(argv, &out, NULL), 3);
  ck_assert_msg(strstr(out, "problem  group: ") && strstr(out, closed[_i].finding) &&
                    strstr(out, closed[_i].advice),
                "%s", out);
  free(out);
}
END_TEST

/* No client remains, and no namespace is made. */
START_TEST(doctor_changes_nothing) {
  well();
  double namespaces = (double)library_stat(workers[0], "namespaces");
  free(ctl_printed(CTL("-S", path, "doctor")));
  ck_assert_uint_eq(library_stat(workers[0], "namespaces"), (uint64_t)namespaces);
  ck_assert_uint_eq(library_stat(workers[0], "entries"), 1);
  ck_assert_uint_eq(library_stat(workers[0], "cache_misses"), 1);
}
END_TEST

START_TEST(screen_of_80_columns_is_kept) {
  struct screen screen;
  near_names();
  put(workers[0], 1, 100);
  if (!screen_start(&screen, 80, 24,
                    (const char *const[]){"sh", "-c", "\"$0\" -S \"$1\" doctor --quiet; read x",
                                          harness_fcachectl(), path, NULL}))
    return;
  screen_expect(&screen, "doctor");
  screen_stop(&screen);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ctl_doctor");
  TCase *tests = tcase_create("ctl_doctor");
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_loop_test(tests, broken_set_up_has_its_finding, 0, (int)ROWS);
  tcase_add_test(tests, json_has_all_findings);
  tcase_add_test(tests, other_daemon_without_statistics_has_its_findings);
  tcase_add_loop_test(tests, denied_user_has_its_finding, 0, sizeof closed / sizeof closed[0]);
  tcase_add_test(tests, doctor_changes_nothing);
  tcase_add_test(tests, screen_of_80_columns_is_kept);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
