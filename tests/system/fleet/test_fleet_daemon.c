/* One daemon with a real tier: its options, a reload, its stop, and a tier that is not there. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/configured_daemon.h"
#include "tests/support/library.h"
#include "tests/support/tier_server.h"

#define SPACE "one"

static struct tier_server server;
static struct fcache *cache;

/* Starts the daemon with the tier and more lines of configuration. */
static void start(const char *more) {
  char text[1024];
  int n = snprintf(text, sizeof text, "tier = %s\ntier-deadline = 20\n%s", server.unix_url, more);
  ck_assert(n > 0 && (size_t)n < sizeof text);
  configured_start(text, NULL);
  cache = library_open(configured_daemon.socket, SPACE, NULL, 0);
}

static void reload_with(const char *more) {
  char text[1024], *out;
  (void)snprintf(text, sizeof text, "tier = %s\ntier-deadline = 20\n%s", server.unix_url, more);
  configured_write(text);
  const char *const argv[] = {harness_fcachectl(), "reload", NULL};
  ck_assert_int_eq(harness_run(argv, &out, NULL), 0);
  free(out);
}

static void set_up(void) {
  tier_server_start(&server, &(struct tier_server_config){.program = tier_any_program()});
}

static void tear_down(void) {
  fcache_close(cache);
  cache = NULL;
  configured_stop();
  tier_server_stop(&server);
}

/* Looks a key up with a lease, and puts it. The daemon stores it in any case. */
static void miss_and_put(const char *prompt) {
  struct fcache_key key = library_key("op", "view", prompt, 0);
  struct fcache_value value = {0};
  ck_assert_int_eq(fcache_get(cache, &key, FCACHE_LEASE, &value), FCACHE_LEASED);
  ck_assert_int_eq(fcache_put(cache, &key, "x", 1, 1000, 0), FCACHE_OK);
}

/* Returns how many values the tier has. Its other keys are leases, and what the fleet shares. */
static uint64_t values_of_tier(void) {
  return (uint64_t)tier_server_number(&server, "EVAL", "return #redis.call('KEYS', '*:v')", "0",
                                      NULL);
}

/* How many fills the daemon has begun, and how many values it has written. */
static void expect(uint64_t fills, uint64_t writes) {
  library_wait_stat(cache, "tier_writes", writes);
  ck_assert_uint_eq(library_stat(cache, "tier_fills"), fills);
  ck_assert_uint_eq(values_of_tier(), writes);
}

static const struct {
  const char *more;
  uint64_t fills, writes;
} modes[] = {
    {"", 1, 1},
    {"tier-mode = read-write\n", 1, 1},
    {"tier-mode = read-only\n", 1, 0},
    {"tier-mode = write-only\n", 0, 1},
    {"tier-namespaces = none\n", 0, 0},
    {"tier-namespaces = other-*\n", 0, 0},
    {"tier-namespaces = !one\n", 0, 0},
    {"tier-namespaces = o*\n", 1, 1},
};

START_TEST(miss_and_put_use_tier_as_options_say) {
  start(modes[_i].more);
  miss_and_put("prompt");
  expect(modes[_i].fills, modes[_i].writes);
}
END_TEST

START_TEST(reload_selects_other_namespaces) {
  start("tier-namespaces = none\n");
  miss_and_put("before");
  reload_with("");
  miss_and_put("selected");
  expect(1, 1);
  reload_with("tier-namespaces = !one\n");
  miss_and_put("after");
  expect(1, 1);
}
END_TEST

/* The value was put, but not sent before the daemon was told to stop. */
START_TEST(stop_lets_tier_take_last_writes) {
  enum { N = 50 };
  start("");
  tier_server_freeze(&server);
  for (int i = 0; i < N; i++) {
    char prompt[16];
    (void)snprintf(prompt, sizeof prompt, "%d", i);
    struct fcache_key key = library_key("op", "view", prompt, 0);
    ck_assert_int_eq(fcache_put(cache, &key, "x", 1, 1000, 0), FCACHE_OK);
  }
  ck_assert_int_eq(kill(configured_daemon.pid, SIGTERM), 0);
  tier_server_thaw(&server);
  ck_assert_int_eq(harness_stop(&configured_daemon), 0);
  ck_assert_uint_eq(values_of_tier(), N);
}
END_TEST

/* It starts and shares locally, says once that the tier is away, and uses it when it comes. */
START_TEST(tier_that_is_not_there_does_not_keep_daemon_from_serving) {
  tier_server_kill9(&server);
  start("");
  miss_and_put("alone");
  configured_expect_log(server.socket);
  tier_server_restart(&server);
  library_wait_stat(cache, "tier_open", 0);
  miss_and_put("with");
  library_wait_stat(cache, "tier_writes", 2); /* also the value that has waited */
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fleet_daemon");
  TCase *tcase = tcase_create("fleet_daemon");
  tcase_set_timeout(tcase, 120);
  if (tier_any_program() != NULL) {
    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, miss_and_put_use_tier_as_options_say, 0,
                        sizeof modes / sizeof modes[0]);
    tcase_add_test(tcase, reload_selects_other_namespaces);
    tcase_add_test(tcase, stop_lets_tier_take_last_writes);
    tcase_add_test(tcase, tier_that_is_not_there_does_not_keep_daemon_from_serving);
  }
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
