/* SIGHUP: the daemon reads its files again. What can change live changes, through the public face,
 * and a mistake changes nothing. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/errors.h"
#include "tests/support/configured_daemon.h"
#include "tests/support/ctl.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"

enum { TIMEOUT_MS = 20000, TEXT_SIZE = 4096 };

static size_t count_in_log(const char *text) {
  char *log = harness_log(&configured_daemon);
  size_t n = 0;
  for (const char *at = log; (at = strstr(at, text)) != NULL; at++)
    n++;
  free(log);
  return n;
}

/* A reload ends with one of two lines, and then the trace is opened again. */
struct ends {
  const char *line;
  size_t n;
};

static bool has_ended(void *arg) {
  const struct ends *ends = arg;
  return count_in_log(ends->line) > ends->n;
}

static void reload_until(const char *text, const char *line) {
  struct ends ends = {line, count_in_log(line)};
  configured_write(text);
  ck_assert_int_eq(kill(configured_daemon.pid, SIGHUP), 0);
  ck_assert(harness_wait_until(has_ended, &ends, TIMEOUT_MS));
}

static void reload(const char *text) {
  reload_until(text, "configuration read again");
}

static void reload_wrong(const char *text) {
  reload_until(text, "reload: the configuration stays as it was");
}

static bool takes_size(void *text) {
  const char *refused = "entries still move to the current region: try again in some seconds";
  struct ends read = {"configuration read again", count_in_log("configuration read again")};
  size_t n_refused = count_in_log(refused);
  configured_write(text);
  ck_assert_int_eq(kill(configured_daemon.pid, SIGHUP), 0);
  while (!has_ended(&read) && count_in_log(refused) == n_refused)
    (void)usleep(1000); /* the test's time limit ends it */
  return count_in_log(refused) == n_refused;
}

/* Another size is refused while entries still move after an earlier one. */
static void reload_when_moved(const char *text) {
  ck_assert(harness_wait_until(takes_size, (void *)(uintptr_t)text, TIMEOUT_MS));
}

/* ---- numbers that the statistics tell ---- */

static const struct {
  const char *key, *before, *after, *name;
  uint64_t was, is;
} numbers[] = {
    {"max-bytes", "64M", "128M", "max_bytes", 64u << 20, 128u << 20},
    {"max-bytes", "64M", "32M", "max_bytes", 64u << 20, 32u << 20},
    {"max-clients", "10", "20", "clients_max", 10, 20},
    {"max-clients", "20", "10", "clients_max", 20, 10},
    {"user-share", "50", "100", "user_share", 50, 100},
};

static bool has_value(void *arg) {
  size_t row = *(size_t *)arg;
  return configured_stat(numbers[row].name) == numbers[row].is;
}

START_TEST(reload_number_is_in_the_statistics) {
  char text[256];
  size_t row = (size_t)_i;
  (void)snprintf(text, sizeof text, "%s = %s\n", numbers[row].key, numbers[row].before);
  configured_start(text, NULL);
  ck_assert_uint_eq(configured_stat(numbers[row].name), numbers[row].was);
  (void)snprintf(text, sizeof text, "%s = %s\n", numbers[row].key, numbers[row].after);
  reload(text);
  ck_assert(harness_wait_until(has_value, &row, TIMEOUT_MS));
  (void)snprintf(text, sizeof text, "reload: %s: %s -> %s\n", numbers[row].key, numbers[row].before,
                 numbers[row].after);
  configured_expect_log(text);
  configured_stop();
}
END_TEST

/* ---- entries ---- */

static bool is_small(void *arg) {
  (void)arg;
  return configured_stat("max_bytes") == 8u << 20 && configured_stat("bytes") <= 8u << 20;
}

/* The cache follows a lower limit, and what is left stays right; a higher one takes more again. */
START_TEST(reload_size_down_and_up_keeps_the_latest_entries) {
  static char value[1u << 20];
  configured_start("max-bytes = 64M\n", NULL);
  struct fcache *cache = library_open(configured_daemon.socket, "size", NULL, 0);
  memset(value, 'v', sizeof value - 1);
  for (uint32_t i = 0; i < 40; i++) {
    struct fcache_key key = library_key("op", "view", "prompt", i);
    library_put_text(cache, &key, value);
  }
  reload("max-bytes = 8M\n");
  ck_assert(harness_wait_until(is_small, NULL, TIMEOUT_MS));
  struct fcache_key last = library_key("op", "view", "prompt", 39);
  char *text = library_get_text(cache, &last);
  ck_assert_str_eq(text, value);
  free(text);
  reload_when_moved("max-bytes = 64M\n");
  library_wait_stat(cache, "max_bytes", 64u << 20);
  text = library_get_text(cache, &last);
  ck_assert_str_eq(text, value);
  free(text);
  fcache_close(cache);
  configured_stop();
}
END_TEST

/* ---- clients ---- */

static void connect_silent(struct raw *raw) {
  ck_assert_int_eq(raw_connect(raw, configured_daemon.socket), 0);
}

/* The daemon closes the connection, and may tell the reason first. */
static void expect_closed(struct raw *raw) {
  struct fc_reply reply;
  enum raw_result result = raw_recv(raw, &reply, TIMEOUT_MS);
  if (result == RAW_REPLY) {
    ck_assert_uint_eq(reply.type, FC_ERROR);
    result = raw_recv(raw, &reply, TIMEOUT_MS);
  }
  ck_assert_int_eq(result, RAW_CLOSED);
  raw_close(raw);
}

START_TEST(reload_hello_timeout_concerns_open_connections) {
  struct raw raw;
  configured_start("hello-timeout = 3600\n", NULL);
  connect_silent(&raw);
  reload("hello-timeout = 0.05\n");
  expect_closed(&raw);
  configured_stop();
}
END_TEST

START_TEST(reload_stall_timeout_concerns_open_connections) {
  struct raw raw;
  uint8_t part[2] = {0};
  configured_start("stall-timeout = 3600\n", NULL);
  raw_open(&raw, configured_daemon.socket, "stall");
  ck_assert_int_eq(write(raw.fd, part, sizeof part), sizeof part); /* of a frame's head */
  reload("stall-timeout = 0.05\n");
  expect_closed(&raw);
  configured_stop();
}
END_TEST

START_TEST(reload_fewer_clients_keeps_those_that_are_connected) {
  enum { CLIENTS = 6 };
  struct raw raws[CLIENTS], more;
  configured_start("max-clients = 6\n", NULL);
  for (size_t i = 0; i < CLIENTS; i++)
    raw_open(&raws[i], configured_daemon.socket, "clients");
  reload("max-clients = 2\n");
  ck_assert_int_eq(raw_connect(&more, configured_daemon.socket), 0);
  ck_assert_int_eq(raw_hello(&more, "more", "clients"), FC_EBUSY);
  raw_close(&more);
  for (size_t i = 0; i < CLIENTS; i++) { /* they are served as before */
    struct fc_reply reply;
    ck_assert_int_eq(raw_give_up(&raws[i], NULL, &reply), RAW_REPLY);
  }
  reload("max-clients = 100\n");
  raw_open(&more, configured_daemon.socket, "clients");
  raw_close(&more);
  for (size_t i = 0; i < CLIENTS; i++)
    raw_close(&raws[i]);
  configured_stop();
}
END_TEST

/* ---- namespaces ---- */

static bool has_two_namespaces(void *arg) {
  (void)arg;
  return configured_stat("namespaces") <= 2;
}

START_TEST(reload_fewer_namespaces_drops_the_idle_ones) {
  struct raw held[3];
  char name[16];
  configured_start("max-namespaces = 8\n", NULL);
  for (size_t i = 0; i < 3; i++) {
    (void)snprintf(name, sizeof name, "held%zu", i);
    raw_open(&held[i], configured_daemon.socket, name);
  }
  for (int i = 0; i < 4; i++) {
    (void)snprintf(name, sizeof name, "idle%d", i);
    struct fcache *cache = library_open(configured_daemon.socket, name, NULL, 0);
    struct fcache_key key = library_key("op", "view", "prompt", 0);
    library_put_text(cache, &key, "value");
    fcache_close(cache);
  }
  reload("max-namespaces = 2\n");
  /* Three have clients, so a new one is refused. */
  struct raw more;
  ck_assert_int_eq(raw_connect(&more, configured_daemon.socket), 0);
  ck_assert_int_eq(raw_hello(&more, "more", "new"), FC_EREFUSED);
  raw_close(&more);
  for (size_t i = 0; i < 3; i++)
    raw_close(&held[i]);
  ck_assert(harness_wait_until(has_two_namespaces, NULL, TIMEOUT_MS));
  reload("max-namespaces = 8\n");
  raw_open(&more, configured_daemon.socket, "new");
  raw_close(&more);
  configured_stop();
}
END_TEST

/* ---- leases ---- */

/* Asks for the lease of a key that is missing. Returns the state of the reply. */
static enum fc_lease_state ask_lease(struct raw *raw, const char *prompt) {
  struct fc_key key = raw_key("op", "view", 0, prompt);
  struct fc_get get = raw_lease_get(&key, 60000, 0);
  struct fc_reply reply;
  ck_assert_int_eq(raw_get(raw, &get, &reply), RAW_REPLY);
  ck_assert_uint_eq(reply.type, FC_REPLY | FC_GET);
  return reply.get.lease;
}

/* Leases above a lower number stay, and their terms end as they were granted. */
START_TEST(reload_fewer_leases_keeps_those_that_are_granted) {
  struct raw raws[3];
  configured_start("max-leases = 100\n", NULL);
  for (size_t i = 0; i < 3; i++) {
    char prompt[16];
    raw_open(&raws[i], configured_daemon.socket, "leases");
    (void)snprintf(prompt, sizeof prompt, "%zu", i);
    ck_assert_int_eq(ask_lease(&raws[i], prompt), FC_LEASE_GRANTED);
  }
  reload("max-leases = 1\n");
  ck_assert_uint_eq(configured_stat("leases"), 3);
  ck_assert_int_eq(ask_lease(&raws[0], "x"), FC_LEASE_NONE);
  ck_assert_int_eq(ask_lease(&raws[0], "1"), FC_LEASE_TAKEN);
  for (size_t i = 0; i < 3; i++)
    raw_close(&raws[i]);
  struct fcache *watch = library_open(configured_daemon.socket, "watch", NULL, 0);
  library_wait_stat(watch, "leases", 0);
  fcache_close(watch);
  raw_open(&raws[0], configured_daemon.socket, "leases");
  ck_assert_int_eq(ask_lease(&raws[0], "x"), FC_LEASE_GRANTED);
  ck_assert_int_eq(ask_lease(&raws[0], "y"), FC_LEASE_NONE);
  reload("max-leases = 100\n");
  ck_assert_int_eq(ask_lease(&raws[0], "y"), FC_LEASE_GRANTED);
  raw_close(&raws[0]);
  configured_stop();
}
END_TEST

START_TEST(reload_lease_max_bounds_further_leases) {
  struct raw raw;
  configured_start("lease-max = 3600\n", NULL);
  raw_open(&raw, configured_daemon.socket, "leases");
  ck_assert_int_eq(ask_lease(&raw, "before"), FC_LEASE_GRANTED);
  reload("lease-max = 0.05\n");
  ck_assert_int_eq(ask_lease(&raw, "after"), FC_LEASE_GRANTED);
  struct fcache *watch = library_open(configured_daemon.socket, "watch", NULL, 0);
  library_wait_stat(watch, "leases", 1); /* the earlier one has its term */
  fcache_close(watch);
  raw_close(&raw);
  configured_stop();
}
END_TEST

/* ---- the log, the snapshot, the trace ---- */

static void clear_all(void) {
  ctl_expect_status(CTL("clear", "--all"), 0, NULL, NULL);
}

START_TEST(reload_verbose_logs_clears) {
  configured_start("", NULL);
  clear_all();
  ck_assert_uint_eq(count_in_log("clear"), 0);
  reload("verbose = yes\n");
  clear_all();
  ck_assert_uint_ge(count_in_log("clear"), 1);
  reload("verbose = no\n");
  size_t n = count_in_log("clear");
  clear_all();
  ck_assert_uint_eq(count_in_log("clear"), n);
  configured_stop();
}
END_TEST

static bool has_snapshot(void *arg) {
  (void)arg;
  return configured_stat("snapshots_written") > 0;
}

START_TEST(reload_snapshot_interval_starts_the_timer) {
  char state[HARNESS_PATH_SIZE + 16], option[HARNESS_PATH_SIZE + 32];
  harness_make_dir(state);
  (void)snprintf(option, sizeof option, "--state=%s", state);
  configured_start("snapshot-interval = 0\n", option);
  ck_assert_uint_eq(configured_stat("snapshots_written"), 0);
  reload("snapshot-interval = 1\n");
  ck_assert(harness_wait_until(has_snapshot, NULL, TIMEOUT_MS));
  configured_expect_log("reload: snapshot-interval: 0 -> 1\n");
  reload("snapshot-interval = 0\n");
  configured_stop();
}
END_TEST

/* Fills `text` with the name in the directory for each "%". */
static const char *filled(const char *format, char text[TEXT_SIZE]) {
  size_t used = 0;
  for (; *format != '\0'; format++)
    used += (size_t)snprintf(text + used, TEXT_SIZE - used, "%.*s",
                             *format == '%' ? (int)strlen(configured_dir) : 1,
                             *format == '%' ? configured_dir : format);
  return text;
}

static void look_up(void) {
  struct fcache *cache = library_open(configured_daemon.socket, "traced", NULL, 0);
  struct fcache_key key = library_key("op", "view", "prompt", 0);
  struct fcache_value value = {0};
  library_put_text(cache, &key, "value");
  ck_assert_int_eq(fcache_get(cache, &key, 0, &value), 0);
  fcache_value_free(&value);
  fcache_close(cache);
}

static bool file_has_a_line(void *arg) {
  size_t size = 0;
  char *text = harness_read_file(arg, &size);
  free(text);
  return size > 0;
}

static void expect_line(const char *name) {
  char file[TEXT_SIZE];
  ck_assert(harness_wait_until(file_has_a_line, (void *)(uintptr_t)filled(name, file), TIMEOUT_MS));
}

START_TEST(reload_trace_on_other_file_and_off) {
  char text[TEXT_SIZE];
  configured_start("", NULL);
  reload(filled("trace = %/new/a.jsonl\n", text));
  look_up();
  expect_line("%/new/a.jsonl");
  reload(filled("trace = %/b.jsonl\n", text));
  look_up();
  expect_line("%/b.jsonl");
  ctl_expect_status(CTL("trace", "on", "c.jsonl"), 0, "c.jsonl", NULL); /* beside the trace */
  reload("");
  ctl_expect_part(CTL("trace", "status"), "off");
  configured_expect_log("b.jsonl -> none");
  configured_stop();
}
END_TEST

START_TEST(reload_trace_directory_bounds_clients) {
  char text[TEXT_SIZE];
  configured_start("", NULL);
  ctl_expect_status(CTL("trace", "on", "x.jsonl"), 1, NULL, "no trace directory");
  reload(filled("trace-dir = %/traces\n", text));
  ctl_expect_part(CTL("trace", "on", "x.jsonl"), filled("%/traces/x.jsonl", text));
  /* The trace that fcachectl started goes on, and is opened again after a rotation. */
  char file[TEXT_SIZE];
  ck_assert_int_eq(unlink(filled("%/traces/x.jsonl", file)), 0);
  reload(filled("trace-dir = %/traces\nverbose = yes\n", text));
  look_up();
  expect_line("%/traces/x.jsonl");
  configured_stop();
}
END_TEST

/* ---- restarts, precedence, mistakes ---- */

START_TEST(reload_option_that_needs_a_restart_is_named_each_time) {
  char text[TEXT_SIZE];
  configured_start("max-value = 1M\n", NULL);
  for (size_t n = 1; n <= 2; n++) {
    reload(filled("max-value = 2M\nstate = %/state\n", text));
    ck_assert_uint_eq(count_in_log("reload: max-value: 1M -> 2M needs a restart\n"), n);
    ck_assert_uint_eq(count_in_log("/state needs a restart\n"), n);
  }
  ck_assert_uint_eq(configured_stat("max_value"), 1u << 20);
  ck_assert(!harness_exists(filled("%/state", text)));
  reload("max-value = 1M\n");
  configured_expect_log("configuration read again, nothing has changed");
  configured_stop();
}
END_TEST

/* A region that is not shared cannot be replaced. */
/* A tier that nobody serves: the daemon goes on without it. */
START_TEST(reload_of_the_tier_names_what_needs_a_restart) {
  configured_start("tier = unix:///nowhere\ntier-deadline = 1\n", NULL);
  reload("tier = unix:///elsewhere\ntier-deadline = 2\ntier-ttl = 60\ntier-queue-age = 3\n"
         "tier-namespaces = gpt2-*\ntier-mode = read-only\ntier-lease = 5\n");
  configured_expect_log("reload: tier: unix:///nowhere -> unix:///elsewhere needs a restart\n");
  configured_expect_log("reload: tier-mode: read-write -> read-only needs a restart\n");
  configured_expect_log("reload: tier-lease: 3 -> 5 needs a restart\n");
  configured_expect_log("reload: tier-namespaces: * -> gpt2-*\n");
  configured_expect_log("reload: tier-deadline: 1 -> 2\n");
  configured_expect_log("reload: tier-ttl: 0 -> 60\n");
  configured_expect_log("reload: tier-queue-age: 10 -> 3\n");
  configured_stop();
}
END_TEST

START_TEST(reload_size_without_a_region_needs_a_restart) {
  configured_start("max-bytes = 64M\nmax-clients = 10\n", "--no-region");
  reload("max-bytes = 32M\nmax-clients = 20\n");
  configured_expect_log("reload: max-bytes: 64M -> 32M needs a restart\n");
  ck_assert_uint_eq(configured_stat("max_bytes"), 64u << 20);
  ck_assert_uint_eq(configured_stat("clients_max"), 20);
  configured_stop();
}
END_TEST

START_TEST(reload_command_line_stays_the_strongest) {
  configured_start("max-clients = 10\n", "--max-clients=7");
  reload("max-clients = 20\n");
  ck_assert_uint_eq(configured_stat("clients_max"), 7);
  configured_expect_log("nothing has changed");
  configured_stop();
}
END_TEST

/* A size of fcachectl set stays until the file's own value changes. */
START_TEST(reload_keeps_a_size_that_was_set_until_the_file_changes) {
  configured_start("max-bytes = 64M\n", NULL);
  struct fcache *watch = library_open(configured_daemon.socket, "watch", NULL, 0);
  ctl_expect_status(CTL("set", "max-bytes", "96M"), 0, NULL, NULL);
  library_wait_stat(watch, "max_bytes", 96u << 20);
  reload("max-bytes = 64M\nverbose = yes\n");
  ck_assert_uint_eq(library_stat(watch, "max_bytes"), 96u << 20);
  configured_expect_log(
      "reload: max-bytes stays 96M, as fcachectl set it: the configuration has 64M as before");
  reload_when_moved("max-bytes = 32M\n");
  library_wait_stat(watch, "max_bytes", 32u << 20);
  fcache_close(watch);
  configured_stop();
}
END_TEST

/* Each has one mistake, and other keys that are right: none of them is applied. */
static const struct {
  const char *text, *log;
} wrong[] = {
    {"max-clients = 20\nmax-byts = 1G\n",
     ":2: there is no key \"max-byts\": did you mean max-bytes?"},
    {"max-clients = 20\nverbose = 2\n", ":2: verbose: \"2\" is neither yes nor no"},
    {"max-clients = 20\nmax-bytes = 900T\n", "not enough memory: "},
    {"max-clients = 20\ntrace = /proc/nothing/x\n", "/proc/nothing/x"},
    {"max-clients = 20\ntrace-dir = /proc/nothing/x\n", "/proc/nothing/x"},
    {"max-clients = 20\nmax-value = 1G\n", "max-value: 1 GiB (1073741824 bytes) is more than"},
};

START_TEST(reload_with_a_mistake_changes_nothing) {
  configured_start("max-clients = 10\n", NULL);
  reload_wrong(wrong[_i].text);
  configured_expect_log(wrong[_i].log);
  ck_assert_uint_eq(configured_stat("clients_max"), 10);
  ctl_expect_part(CTL("trace", "status"), "off");
  reload("max-clients = 30\n");
  ck_assert_uint_eq(configured_stat("clients_max"), 30);
  configured_stop();
}
END_TEST

START_TEST(reload_without_its_file_changes_nothing) {
  configured_start("max-clients = 10\n", NULL);
  struct ends ends = {"there is no such file", 0};
  ck_assert_int_eq(unlink(configured_path), 0);
  ck_assert_int_eq(kill(configured_daemon.pid, SIGHUP), 0);
  ck_assert(harness_wait_until(has_ended, &ends, TIMEOUT_MS));
  ck_assert_uint_eq(configured_stat("clients_max"), 10);
  configured_stop();
}
END_TEST

#define ROWS(table) (int)(sizeof(table) / sizeof(table)[0])

int main(void) {
  Suite *suite = suite_create("reload");
  TCase *tc = tcase_create("reload");
  tcase_add_loop_test(tc, reload_number_is_in_the_statistics, 0, ROWS(numbers));
  tcase_add_test(tc, reload_size_down_and_up_keeps_the_latest_entries);
  tcase_add_test(tc, reload_hello_timeout_concerns_open_connections);
  tcase_add_test(tc, reload_stall_timeout_concerns_open_connections);
  tcase_add_test(tc, reload_fewer_clients_keeps_those_that_are_connected);
  tcase_add_test(tc, reload_fewer_namespaces_drops_the_idle_ones);
  tcase_add_test(tc, reload_fewer_leases_keeps_those_that_are_granted);
  tcase_add_test(tc, reload_lease_max_bounds_further_leases);
  tcase_add_test(tc, reload_verbose_logs_clears);
  tcase_add_test(tc, reload_snapshot_interval_starts_the_timer);
  tcase_add_test(tc, reload_trace_on_other_file_and_off);
  tcase_add_test(tc, reload_trace_directory_bounds_clients);
  tcase_add_test(tc, reload_option_that_needs_a_restart_is_named_each_time);
  tcase_add_test(tc, reload_of_the_tier_names_what_needs_a_restart);
  tcase_add_test(tc, reload_size_without_a_region_needs_a_restart);
  tcase_add_test(tc, reload_command_line_stays_the_strongest);
  tcase_add_test(tc, reload_keeps_a_size_that_was_set_until_the_file_changes);
  tcase_add_loop_test(tc, reload_with_a_mistake_changes_nothing, 0, ROWS(wrong));
  tcase_add_test(tc, reload_without_its_file_changes_nothing);
  suite_add_tcase(suite, tc);
  return harness_main(suite);
}
