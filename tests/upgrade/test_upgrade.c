/* Daemons of two versions, each of which starts from the memory of the other after SIGKILL or a
 * restart, or from its snapshot alone. And clients of each version with daemons of the other.
 * run.sh sets the paths. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/ctl.h"
#include "tests/support/service_manager.h"

#define N "600"       /* values that the snapshot has */
#define MORE "200"    /* values that were put after it */
#define ALL "800"     /* both */
#define N_VALUES 600u /* as above */
#define ALL_VALUES 800u

enum version { PREVIOUS, TODAY, OTHER, VERSIONS };
static const struct {
  const char *name, *daemon, *client, *ctl; /* names of variables with paths */
  const char *layout;                       /* of its memory */
} versions[VERSIONS] = {
    [PREVIOUS] = {"previous", "UPGRADE_PREVIOUS_DAEMON", "UPGRADE_PREVIOUS_CLIENT",
                  "UPGRADE_PREVIOUS_CTL", "UPGRADE_PREVIOUS_LAYOUT"},
    [TODAY] = {"today", "UPGRADE_TODAY_DAEMON", "UPGRADE_TODAY_CLIENT", "UPGRADE_TODAY_CTL",
               "UPGRADE_TODAY_LAYOUT"},
    /* today's daemon with memory of another layout */
    [OTHER] = {"other", "UPGRADE_OTHER_DAEMON", "UPGRADE_TODAY_CLIENT", "UPGRADE_TODAY_CTL",
               "UPGRADE_OTHER_LAYOUT"},
};

enum end {
  KILLED,  /* SIGKILL; the service manager keeps the memory */
  RESTART, /* SIGTERM; it keeps the memory too */
  STOPPED, /* SIGTERM; the memory is gone */
  ENDS
};
static const char *const end_names[ENDS] = {"killed", "restarted", "stopped"};

static struct service_manager manager;
static char state[HARNESS_PATH_SIZE];

static void setup(void) {
  service_manager_init(&manager);
  harness_make_dir(state);
}

static void teardown(void) {
  service_manager_deinit(&manager);
}

static const char *path_of(const char *variable) {
  const char *path = getenv(variable);
  if (path == NULL)
    ck_abort_msg("$%s is not set: run tests/upgrade/run.sh", variable);
  return path;
}

static void start(enum version version) {
  ck_assert_int_eq(setenv("FCACHED", path_of(versions[version].daemon), 1), 0);
  service_manager_start(&manager, "--max-bytes=64m", "--state", state, NULL);
}

/* Returns the number that the client prints. */
static unsigned run_client(enum version version, const char *what, const char *first,
                           const char *n) {
  const char *argv[] = {
      path_of(versions[version].client), what, manager.daemon.socket, first, n, NULL};
  char *out, *err;
  int status = harness_run(argv, &out, &err);
  ck_assert_msg(status == 0, "the client of %s: %s", versions[version].name, err);
  unsigned found = (unsigned)strtoul(out, NULL, 10);
  free(out);
  free(err);
  return found;
}

/* Returns the output of a command of fcachectl, which the caller frees. */
static char *run_ctl(enum version version, const char *command) {
  const char *argv[] = {path_of(versions[version].ctl), command, "--socket", manager.daemon.socket,
                        NULL};
  return ctl_printed(argv);
}

/* Returns the prompt hashes of all entries in LRU order, which the caller frees. */
static char *order_of_entries(enum version version) {
  const char *argv[] = {path_of(versions[version].ctl), "list", "--json", "--socket",
                        manager.daemon.socket,          NULL};
  json_t *list = ctl_json(argv), *entry;
  char *order = NULL;
  size_t i, size = 0;
  FILE *stream = open_memstream(&order, &size);
  ck_assert_ptr_nonnull(stream);
  json_array_foreach(list, i, entry) {
    const char *hash = json_string_value(json_object_get(entry, "prompt_hash"));
    ck_assert_ptr_nonnull(hash);
    (void)fprintf(stream, "%s\n", hash); /* fclose reports a failure */
  }
  ck_assert_int_eq(fclose(stream), 0);
  json_decref(list);
  return order;
}

static bool has_layout_of(enum version a, enum version b) {
  return strcmp(path_of(versions[a].layout), path_of(versions[b].layout)) == 0;
}

static void end_daemon(enum end end) {
  if (end == KILLED)
    service_manager_kill9(&manager);
  else
    ck_assert_int_eq(
        end == RESTART ? service_manager_end(&manager) : service_manager_stop(&manager), 0);
}

/* One line names the failed check. */
static void expect_layout_in_log(void) {
  char *log = harness_log(&manager.daemon);
  ck_assert_msg(strstr(log, "layout") != NULL, "no line about the layout in: %s", log);
  free(log);
}

struct scene {
  enum version from, to;
  enum end end;
};

static struct scene scene_of(int number) {
  static const enum version pairs[][2] = {
      {PREVIOUS, TODAY}, {TODAY, PREVIOUS}, {TODAY, OTHER}, {OTHER, TODAY}, {TODAY, TODAY}};
  return (struct scene){pairs[number / ENDS][0], pairs[number / ENDS][1],
                        (enum end)(number % ENDS)};
}
#define SCENES (5 * ENDS)

START_TEST(daemon_starts_from_memory_or_file_of_other_version) {
  struct scene scene = scene_of(_i);
  bool adopts = scene.end != STOPPED && has_layout_of(scene.from, scene.to);
  unsigned expected = scene.end == KILLED && !adopts ? N_VALUES : ALL_VALUES;
  printf("%s, %s, then %s\n", versions[scene.from].name, end_names[scene.end],
         versions[scene.to].name);
  start(scene.from);
  (void)run_client(scene.from, "put", "0", N);
  free(run_ctl(scene.from, "snapshot"));
  (void)run_client(scene.from, "put", N, MORE);
  char *before = order_of_entries(scene.from);
  end_daemon(scene.end);
  start(scene.to);
  char *after = order_of_entries(scene.to);
  if (expected == ALL_VALUES)
    ck_assert_msg(strcmp(after, before) == 0, "entries are missing, or the LRU order differs");
  free(before);
  free(after);
  ck_assert_uint_eq(run_client(scene.to, "get", "0", ALL), expected);
  if (scene.end != STOPPED && !adopts)
    expect_layout_in_log();
  ck_assert_int_eq(service_manager_stop(&manager), 0);
}
END_TEST

START_TEST(client_of_other_version_shares_with_daemon) {
  enum version daemon = _i == 0 ? PREVIOUS : TODAY, client = _i == 0 ? TODAY : PREVIOUS;
  start(daemon);
  (void)run_client(client, "put", "0", N);
  ck_assert_uint_eq(run_client(daemon, "get", "0", N), N_VALUES);
  (void)run_client(daemon, "put", N, MORE);
  ck_assert_uint_eq(run_client(client, "get", "0", ALL), ALL_VALUES);
  char *stats = run_ctl(client, "stats");
  ck_assert_ptr_nonnull(strstr(stats, "upgrade"));
  free(stats);
  ck_assert_int_eq(service_manager_stop(&manager), 0);
}
END_TEST

/* A worker of the previous library keeps its values over a restart into today's daemon. */
START_TEST(client_of_other_version_finds_values_after_upgrade) {
  start(PREVIOUS);
  (void)run_client(PREVIOUS, "put", "0", N);
  end_daemon(RESTART);
  start(TODAY);
  ck_assert_uint_eq(run_client(PREVIOUS, "get", "0", N), N_VALUES);
  ck_assert_int_eq(service_manager_stop(&manager), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("upgrade");
  TCase *tests = tcase_create("upgrade");
  (void)setvbuf(stdout, NULL, _IOLBF, 0);
  tcase_set_timeout(tests, 60);
  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_add_loop_test(tests, daemon_starts_from_memory_or_file_of_other_version, 0, SCENES);
  tcase_add_loop_test(tests, client_of_other_version_shares_with_daemon, 0, 2);
  tcase_add_test(tests, client_of_other_version_finds_values_after_upgrade);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
