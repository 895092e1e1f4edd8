/* What fcachectl shows of a fleet: two daemons and a real tier, which also fails. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/ctl.h"
#include "tests/support/fleet_calls.h"
#include "tests/support/library.h"
#include "tests/support/tier_server.h"

#define TIMEOUT_MS 30000u
#define SPACE "private-m"

static struct tier_server server;
static struct daemon nodes[2];
static struct fcache *caches[2];

/* The second node leaves private namespaces out, if `excludes`. */
static void start_nodes(bool excludes) {
  tier_server_start(&server, &(struct tier_server_config){.program = tier_any_program()});
  for (unsigned i = 0; i < 2; i++) {
    harness_start(&nodes[i], "--tier", server.unix_url, "--tier-deadline", "2", "--tier-namespaces",
                  i == 1 && excludes ? "!private-*" : "*", NULL);
    caches[i] = library_open(nodes[i].socket, SPACE, "worker", 0);
  }
}

static void set_up(void) {
  start_nodes(false);
}

static void set_up_exclusion(void) {
  start_nodes(true);
}

static void tear_down(void) {
  for (unsigned i = 0; i < 2; i++) {
    fcache_close(caches[i]);
    ck_assert_int_eq(harness_stop(&nodes[i]), 0);
  }
  tier_server_stop(&server);
}

/* Returns what `fcachectl tier --json` prints of a node. The caller frees it. */
static json_t *tier_of(unsigned node) {
  return ctl_json(CTL("-S", nodes[node].socket, "tier", "--json"));
}

static json_int_t integer_of(const json_t *object, const char *name) {
  const json_t *value = json_object_get(object, name);
  ck_assert_msg(json_is_integer(value), "%s is no integer", name);
  return json_integer_value(value);
}

static const json_t *server_of(const json_t *tier) {
  ck_assert_uint_eq(json_array_size(json_object_get(tier, "servers")), 1);
  return json_array_get(json_object_get(tier, "servers"), 0);
}

static json_int_t stored(const json_t *tier) {
  return integer_of(json_object_get(tier, "writes"), "stored");
}

static bool has_stored(void *arg) {
  json_t *tier = tier_of(0);
  bool has = stored(tier) > 0;
  (void)arg;
  json_decref(tier);
  return has;
}

START_TEST(tier_shows_value_that_passed_between_nodes) {
  ck_assert(fleet_call(caches[0], 1).computed);
  ck_assert(harness_wait_until(has_stored, NULL, TIMEOUT_MS));
  ck_assert(!fleet_call(caches[1], 1).computed);
  json_t *from = tier_of(0), *to = tier_of(1);
  ck_assert_int_eq(integer_of(from, "hits"), 0);
  ck_assert_int_eq(integer_of(from, "misses"), 1);
  ck_assert_int_eq(integer_of(from, "leases_taken"), 1);
  ck_assert_int_eq(integer_of(to, "hits"), 1);
  ck_assert_int_eq(stored(to), 0);
  ck_assert_int_eq(integer_of(server_of(to), "hits"), 1);
  ck_assert_int_gt(integer_of(json_object_get(server_of(to), "read"), "count"), 0);
  ck_assert_str_eq(json_string_value(json_object_get(server_of(to), "role")), "single");
  ck_assert_uint_eq(library_stat(caches[1], "tier_hits"), 1);
  ck_assert_uint_eq(library_stat(caches[1], "tier_open"), 0);
  json_decref(from);
  json_decref(to);
}
END_TEST

/* ---- a tier that fails ---- */

/* Returns whether both breakers of node 1 are in the state. */
static bool has_state(const char *wanted) {
  json_t *tier = tier_of(1);
  const json_t *is = server_of(tier);
  bool both = true;
  static const char *const classes[] = {"read", "write"};
  for (size_t i = 0; i < 2; i++) {
    const json_t *state = json_object_get(json_object_get(is, classes[i]), "state");
    both = both && strcmp(json_string_value(state), wanted) == 0;
  }
  json_decref(tier);
  return both;
}

static bool is_open(void *unused) {
  (void)unused;
  return has_state("open");
}

static bool is_closed(void *unused) {
  (void)unused;
  return has_state("closed");
}

START_TEST(frozen_tier_shown_with_its_cause_until_it_is_back) {
  tier_server_freeze(&server);
  (void)fleet_call(caches[1], 1);
  ck_assert(harness_wait_until(is_open, NULL, TIMEOUT_MS));
  ctl_expect_part(CTL("-S", nodes[1].socket, "tier"), "\n    cause: ");
  ctl_expect_part(CTL("-S", nodes[1].socket, "stats"), "1 server, 1 not in use");
  ctl_expect_status(CTL("-S", nodes[1].socket, "doctor", "-q"), 1,
                    "is not used for reads and writes: ", "");
  tier_server_thaw(&server);
  ck_assert(harness_wait_until(is_closed, NULL, TIMEOUT_MS));
  ctl_expect_part(CTL("-S", nodes[1].socket, "tier"), "\n    last cause: ");
  ck_assert_uint_eq(library_stat(caches[1], "tier_open"), 0);
}
END_TEST

/* ---- namespaces ---- */

START_TEST(doctor_names_namespace_that_tier_excludes) {
  ctl_expect_status(CTL("-S", nodes[1].socket, "doctor", "-q"), 1,
                    "no namespace of the workers uses the tier, for example " SPACE, "");
  struct fcache *public = library_open(nodes[1].socket, "public", "worker", 0);
  ctl_expect_part(CTL("-S", nodes[1].socket, "doctor"),
                  "1 of 2 namespaces of the workers do not use the tier");
  fcache_close(public);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fleet_visible");
  TCase *tests = tcase_create("fleet_visible"), *excluding = tcase_create("exclusion");

  if (tier_any_program() == NULL)
    return 0;
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_set_timeout(tests, 60);
  tcase_add_test(tests, tier_shows_value_that_passed_between_nodes);
  tcase_add_test(tests, frozen_tier_shown_with_its_cause_until_it_is_back);
  suite_add_tcase(suite, tests);
  tcase_add_checked_fixture(excluding, set_up_exclusion, tear_down);
  tcase_add_test(excluding, doctor_names_namespace_that_tier_excludes);
  suite_add_tcase(suite, excluding);
  return harness_main(suite);
}
