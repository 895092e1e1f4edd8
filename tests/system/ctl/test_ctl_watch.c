/* fcachectl watch with a real daemon: its lines, its losses, its ends, and a daemon that restarts.
 */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <fcntl.h>

#include "tests/support/ctl.h"
#include "tests/support/harness.h"
#include "tests/support/raw.h"
#include "tests/support/screen.h"

#define PATIENCE_MS 20000u
#define WATCHERS 8u /* as many as the daemon takes */

static struct daemon daemon_;

static void start(void) {
  ctl_start_daemon(&daemon_);
}

static void stop(void) {
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}

/* ---- a watcher in the background ---- */

struct background {
  pid_t pid;
  char out[HARNESS_PATH_SIZE], err[HARNESS_PATH_SIZE];
};

static int create(const char *path) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  ck_assert_int_ge(fd, 0);
  return fd;
}

static uint64_t stat_of(const char *name) {
  json_t *stats = ctl_json(CTL("stats", "--json"));
  uint64_t value =
      (uint64_t)json_integer_value(json_object_get(json_object_get(stats, "daemon"), name));
  json_decref(stats);
  return value;
}

static bool has_watchers(void *arg) {
  return stat_of("watchers") == *(const uint64_t *)arg;
}

static void wait_for_watchers(uint64_t n) {
  ck_assert(harness_wait_until(has_watchers, &n, PATIENCE_MS));
}

/* Starts the command, and waits until it is watcher number `n`. */
static struct background spawn(const char *const argv[], uint64_t n) {
  struct background background;
  harness_make_dir(background.out);
  (void)snprintf(background.err, sizeof background.err, "%.90s/err", background.out);
  (void)strncat(background.out, "/out", sizeof background.out - strlen(background.out) - 1);
  int out = create(background.out), err = create(background.err);
  background.pid = harness_spawn(argv, out, err);
  (void)close(out);
  (void)close(err);
  wait_for_watchers(n);
  return background;
}

static char *output_of(const struct background *background) {
  char *text = harness_read_file(background->out, NULL);
  ck_assert_ptr_nonnull(text);
  return text;
}

static void expect_in_file(const char *path, const char *part) {
  char *text = harness_read_file(path, NULL);
  ck_assert_msg(text != NULL && strstr(text, part) != NULL, "\"%s\" is not in \"%s\"", part, text);
  free(text);
}

/* Ends the command as Ctrl-C does, and checks its last line. */
static void interrupt(struct background *background, const char *summary) {
  ck_assert_int_eq(kill(background->pid, SIGINT), 0);
  ck_assert_int_eq(harness_wait(background->pid, PATIENCE_MS), 0);
  expect_in_file(background->err, summary);
}

struct part {
  const char *path, *text;
};

static bool has_part(void *arg) {
  const struct part *part = arg;
  char *text = harness_read_file(part->path, NULL);
  bool found = text != NULL && strstr(text, part->text) != NULL;
  free(text);
  return found;
}

static void wait_for(const char *path, const char *text) {
  struct part part = {path, text};
  ck_assert_msg(harness_wait_until(has_part, &part, PATIENCE_MS), "no \"%s\"", text);
}

/* ---- a worker ---- */

static struct raw worker_of(const char *name_space) {
  struct raw raw;
  ck_assert_int_eq(raw_connect(&raw, daemon_.socket), 0);
  ck_assert_int_eq(raw_hello(&raw, "worker", name_space), 0);
  return raw;
}

static void put(struct raw *raw, const char *view, const char *prompt) {
  struct fc_reply reply;
  struct fc_put message = {.key = raw_key("logprob_of", view, 7, prompt),
                           .compute_ns = 1500000000,
                           .value = (const uint8_t *)"value",
                           .value_size = 5};
  ck_assert_int_eq(raw_put(raw, &message, &reply), RAW_REPLY);
}

static void get(struct raw *raw, const char *view, const char *prompt) {
  struct fc_reply reply;
  struct fc_get message = {.flags = FC_LEASE, .key = raw_key("logprob_of", view, 7, prompt)};
  ck_assert_int_eq(raw_get(raw, &message, &reply), RAW_REPLY);
}

/* ---- lines ---- */

/* Checks that the next JSON line has these members, and moves on. */
static void expect_line(char **at, const char *wanted) {
  json_error_t error;
  json_t *line = json_loads(*at, JSON_DISABLE_EOF_CHECK, &error);
  json_t *want = json_loads(wanted, 0, &error), *value;
  const char *key;
  ck_assert_msg(line != NULL && want != NULL, "%s: %s", error.text, *at);
  ck_assert(json_real_value(json_object_get(line, "ts")) > 1e9);
  json_object_foreach(want, key, value)
      ck_assert_msg(json_equal(json_object_get(line, key), value), "%s: not %s", *at, wanted);
  json_decref(line);
  json_decref(want);
  *at = strchr(*at, '\n');
  ck_assert_ptr_nonnull(*at);
  ++*at;
}

START_TEST(json_has_each_kind_with_its_members) {
  struct raw raw = worker_of("m");
  struct background watcher = spawn(CTL("watch", "--all", "--json"), 1);
  get(&raw, "base", "one");
  put(&raw, "base", "one");
  get(&raw, "base", "one");
  ctl_expect(CTL("clear", "--namespace", "m", "--view", "base"), "removed 1 entry\n");
  wait_for(watcher.out, "\"clear\"");
  interrupt(&watcher, "6 events, 0 lost\n");
  char *text = output_of(&watcher), *at = text;
  expect_line(&at, "{\"event\": \"lease\", \"detail\": \"begins\", \"client\": \"worker\"}");
  expect_line(&at, "{\"event\": \"miss\", \"detail\": \"granted\", \"top_k\": 7}");
  expect_line(&at, "{\"event\": \"put\", \"detail\": \"stored\", \"bytes\": 5, \"compute_s\": 1.5,"
                   " \"namespace\": \"m\", \"op\": \"logprob_of\", \"view\": \"base\"}");
  expect_line(&at, "{\"event\": \"lease\", \"detail\": \"put\"}");
  expect_line(&at, "{\"event\": \"hit\", \"detail\": \"message\", \"saved_s\": 1.5}");
  expect_line(&at, "{\"event\": \"clear\", \"removed\": 1, \"namespace\": \"m\", \"op\": null,"
                   " \"view\": \"base\", \"prompt_hash\": null}");
  ck_assert_str_eq(at, "");
  free(text);
  raw_close(&raw);
}
END_TEST

/* As from the other commands, so that a program can use it. */
START_TEST(pipe_gets_whole_hashes) {
  struct raw raw = worker_of("m");
  struct background watcher = spawn(CTL("watch", "--puts", "--count", "1"), 1);
  const struct fc_hash hash = fc_hash_prompt("one", 3);
  char part[FC_HASH_HEX_SIZE + 32], hex[FC_HASH_HEX_SIZE];
  put(&raw, "base", "one");
  ck_assert_int_eq(harness_wait(watcher.pid, PATIENCE_MS), 0);
  fc_hash_hex(&hash, hex);
  (void)snprintf(part, sizeof part, " %s m/logprob_of/base/7 worker\n", hex);
  expect_in_file(watcher.out, part);
  expect_in_file(watcher.out, " PROMPT                           KEY CLIENT\n");
  raw_close(&raw);
}
END_TEST

START_TEST(filters_and_count_select) {
  struct raw raw = worker_of("m"), other = worker_of("other");
  struct background watcher =
      spawn(CTL("watch", "--puts", "--view", "ft", "--namespace", "m", "--count", "2"), 1);
  for (int i = 0; i < 2; i++) {
    put(&other, "ft", "one");
    put(&raw, "base", "one");
    get(&raw, "ft", "none");
    put(&raw, "ft", "one");
  }
  ck_assert_int_eq(harness_wait(watcher.pid, PATIENCE_MS), 0);
  expect_in_file(watcher.err, "2 events, 0 lost\n");
  char *text = output_of(&watcher);
  char *second = strstr(strstr(text, "put "), "\n") + 1;
  ck_assert_ptr_nonnull(strstr(second, "m/logprob_of/ft/7 worker\n"));
  ck_assert_ptr_null(strstr(text, "other/"));
  ck_assert_ptr_null(strstr(text, "base"));
  free(text);
  wait_for_watchers(0);
  raw_close(&raw);
  raw_close(&other);
}
END_TEST

/* ---- slow and stopped watchers ---- */

#define PUTS 30000u /* more than the daemon keeps for a watcher */

/* Returns the number of events that a watcher has printed, without those of lost ones. */
static uint64_t events_and_losses(const char *text, uint64_t *lost) {
  uint64_t events = 0;
  *lost = 0;
  for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
    const char *at = strstr(line, "\"lost\":");
    if (at != NULL && at < strchr(line, '\n'))
      *lost += strtoull(at + strlen("\"lost\":"), NULL, 10);
    else
      events++;
  }
  return events;
}

START_TEST(stopped_watcher_counts_each_lost_event) {
  struct raw raw = worker_of("m");
  uint64_t lost;
  struct background watcher = spawn(CTL("watch", "--puts", "--json"), 1);
  struct daemon process = {.pid = watcher.pid};
  put(&raw, "base", "first");
  wait_for(watcher.out, "put");
  ck_assert(harness_freeze(&process));
  for (unsigned i = 0; i < PUTS; i++)
    put(&raw, "base", "one");
  ck_assert_uint_gt(stat_of("events_lost"), 0);
  ck_assert_int_eq(kill(watcher.pid, SIGCONT), 0);
  wait_for(watcher.out, "\"lost\":");
  put(&raw, "last", "one");
  wait_for(watcher.out, "\"last\"");
  interrupt(&watcher, " lost\n");
  char *text = output_of(&watcher);
  ck_assert_uint_eq(events_and_losses(text, &lost) + lost, PUTS + 2);
  ck_assert_uint_gt(lost, 0);
  free(text);
  raw_close(&raw);
}
END_TEST

START_TEST(eight_stopped_watchers_delay_no_call) {
  struct background watchers[WATCHERS];
  struct raw raw = worker_of("m");
  for (unsigned i = 0; i < WATCHERS; i++) {
    watchers[i] = spawn(CTL("watch", "--all", "--json"), i + 1);
    struct daemon process = {.pid = watchers[i].pid};
    ck_assert(harness_freeze(&process));
  }
  ctl_expect_status(CTL("watch"), 1, NULL, "8 watchers are connected, which is the limit");
  for (unsigned i = 0; i < 2000; i++) {
    put(&raw, "base", "one");
    get(&raw, "base", "one");
  }
  for (unsigned i = 0; i < WATCHERS; i++) {
    ck_assert_int_eq(kill(watchers[i].pid, SIGKILL), 0);
    (void)harness_wait(watchers[i].pid, PATIENCE_MS);
  }
  wait_for_watchers(0);
  raw_close(&raw);
}
END_TEST

/* ---- ends ---- */

START_TEST(closed_pipe_ends_quietly) {
  struct raw raw = worker_of("m");
  char *out, *err;
  /* No event comes: the command finds out by itself that its reader has gone. */
  int status = harness_run(
      (const char *const[]){"sh", "-c", "\"$0\" watch | head -n 1", harness_fcachectl(), NULL},
      &out, &err);
  ck_assert_int_eq(status, 0);
  ck_assert_ptr_nonnull(strstr(out, "KEY CLIENT"));
  ck_assert_msg(strstr(err, "fcachectl:") == NULL, "%s", err);
  free(out);
  free(err);
  raw_close(&raw);
}
END_TEST

START_TEST(daemon_restarts_and_the_watch_continues) {
  struct background watcher = spawn(CTL("watch", "--puts"), 1);
  harness_kill9(&daemon_);
  wait_for(watcher.err, "waiting for the next daemon\n");
  harness_start(&daemon_, NULL);
  wait_for(watcher.err, "connected again, to fcached ");
  struct raw raw = worker_of("m");
  put(&raw, "base", "one");
  wait_for(watcher.out, "m/logprob_of/base/7");
  raw_close(&raw);
  ck_assert_int_eq(harness_stop(&daemon_), 0); /* does not wait for the watcher */
  interrupt(&watcher, "1 event, 0 lost\n");
  harness_start(&daemon_, NULL);
}
END_TEST

START_TEST(killed_watcher_says_so_and_connects_again) {
  struct background watcher = spawn(CTL("watch"), 1);
  json_t *clients = ctl_json(CTL("clients", "--json"));
  char id[32];
  (void)snprintf(
      id, sizeof id, "%lld",
      (long long)json_integer_value(json_object_get(json_array_get(clients, 0), "client_id")));
  json_decref(clients);
  ctl_expect_status(CTL("kill", id), 0, NULL, NULL);
  wait_for(watcher.err, "waiting for the next daemon\n");
  wait_for(watcher.err, "connected again");
  interrupt(&watcher, "0 events, 0 lost\n");
}
END_TEST

START_TEST(screen_cuts_names_in_the_middle) {
  struct screen screen;
  struct raw raw = worker_of("a-namespace-with-a-long-name@revision-3f2c1");
  if (!screen_start(&screen, 80, 24, CTL("watch", "--all"))) {
    raw_close(&raw);
    return;
  }
  wait_for_watchers(1);
  get(&raw, "base", "one");
  put(&raw, "base", "one");
  get(&raw, "base", "one");
  ctl_expect_part(CTL("clear", "--all", "--view", "base"), "removed 1 entry");
  screen_expect(&screen, "watch");
  screen_keys(&screen, "C-c");
  screen_expect_status(&screen, 0);
  screen_stop(&screen);
  raw_close(&raw);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ctl_watch");
  TCase *tests = tcase_create("ctl_watch");
  tcase_add_checked_fixture(tests, start, stop);
  tcase_set_timeout(tests, 120);
  tcase_add_test(tests, json_has_each_kind_with_its_members);
  tcase_add_test(tests, pipe_gets_whole_hashes);
  tcase_add_test(tests, filters_and_count_select);
  tcase_add_test(tests, stopped_watcher_counts_each_lost_event);
  tcase_add_test(tests, eight_stopped_watchers_delay_no_call);
  tcase_add_test(tests, closed_pipe_ends_quietly);
  tcase_add_test(tests, daemon_restarts_and_the_watch_continues);
  tcase_add_test(tests, killed_watcher_says_so_and_connects_again);
  tcase_add_test(tests, screen_cuts_names_in_the_middle);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
