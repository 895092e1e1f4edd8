/* The users of docs/fleet.md are enough for a node: with their ACLs, nodes share, clear, delete and
 * pass manifests on, and the server denies no command. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/tier_server.h"

#define SPACE "fleet"
#define RULES_SIZE 2048
#define TIMEOUT_MS 30000u

static struct tier_server server;
static struct daemon writer, reader;

/* Copies the rules of the user from the page: the words of "ACL SETUSER user on '>password' ...",
 * without the shell's quotes. Returns the password, and *rest is the text behind it. */
static const char *rules_of(const char *user, char rules[RULES_SIZE], char **rest) {
  char start[64];
  char *page = harness_read_file("docs/fleet.md", NULL);
  size_t used = 0;
  (void)snprintf(start, sizeof start, "redis-cli ACL SETUSER %s on ", user);
  ck_assert_ptr_nonnull(page);
  const char *line = strstr(page, start);
  ck_assert_ptr_nonnull(line);
  for (const char *at = line + strlen(start); *at != '\n'; at++) {
    ck_assert_uint_lt(used, RULES_SIZE - 1);
    if (*at != '\'')
      rules[used++] = *at;
  }
  rules[used] = '\0';
  free(page);
  ck_assert_int_eq(rules[0], '>');
  return strtok_r(rules + 1, " ", rest);
}

/* Adds the page's user. `file` becomes the path of its password, and `url` its URL. */
static void add_user(const char *user, char file[HARNESS_PATH_SIZE + 16], char url[256]) {
  char rules[RULES_SIZE], word[128], *rest = NULL;
  const char *password = rules_of(user, rules, &rest);
  (void)snprintf(file, HARNESS_PATH_SIZE + 16, "%s/%s", server.dir, user);
  FILE *out = fopen(file, "w");
  ck_assert_ptr_nonnull(out);
  ck_assert_int_gt(fprintf(out, "%s\n", password), 0);
  ck_assert_int_eq(fclose(out), 0);
  (void)snprintf(word, sizeof word, ">%s", password);
  tier_server_do(&server, "ACL", "SETUSER", user, "on", word, NULL);
  for (char *rule = strtok_r(NULL, " ", &rest); rule != NULL; rule = strtok_r(NULL, " ", &rest))
    tier_server_do(&server, "ACL", "SETUSER", user, rule, NULL);
  (void)snprintf(url, 256, "redis://%s@127.0.0.1:%u", user, server.port);
}

static void start_server(enum tier_engine engine) {
  const struct tier_server_config config = {.program = tier_engine_program(engine), .tcp = true};
  tier_server_start(&server, &config);
}

static void start_node(struct daemon *daemon, const char *user, const char *mode) {
  char file[HARNESS_PATH_SIZE + 16], url[256];
  *daemon = (struct daemon){0};
  add_user(user, file, url);
  harness_start(daemon, "--tier", url, "--tier-password-file", file, "--tier-mode", mode,
                "--tier-deadline", "20", NULL);
}

static struct fcache *open_with_manifest(const struct daemon *daemon) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache_error error;
  struct fcache *cache = NULL;
  options.socket = daemon->socket;
  options.name_space = SPACE;
  options.manifest = "model one";
  options.deadline_ms = LIBRARY_PATIENT_MS;
  ck_assert_int_eq(fcache_open(&options, &cache, &error), FCACHE_OK);
  return cache;
}

static void put(struct fcache *cache, const char *prompt, const char *text) {
  struct fcache_key key = library_key("op", "view", prompt, 0);
  library_put_text(cache, &key, text);
}

/* A get that asks for the lease, as a worker's: only such a miss asks the tier. NULL: a miss. */
static void expect(struct fcache *cache, const char *prompt, const char *text) {
  struct fcache_key key = library_key("op", "view", prompt, 0);
  struct fcache_value value = {0};
  int rc = fcache_get(cache, &key, FCACHE_LEASE, &value);
  if (text == NULL) {
    ck_assert_int_eq(rc, FCACHE_LEASED);
    return;
  }
  ck_assert_int_eq(rc, FCACHE_OK);
  ck_assert_uint_eq(value.size, strlen(text));
  ck_assert_mem_eq(value.data, text, value.size);
  fcache_value_free(&value);
}

static bool knows_no_b(void *arg) {
  struct fcache_key key = library_key("op", "view", "b", 0);
  char *text = library_get_text(arg, &key);
  bool gone = text == NULL;
  free(text);
  return gone;
}

/* Everything that a node sends to the tier. */
static void use_all(struct fcache *one, struct fcache *other) {
  struct fcache_key key = library_key("op", "view", "b", 0);
  uint64_t removed;
  expect(one, "a", NULL); /* takes the lease, and the put releases it */
  put(one, "a", "1");
  put(one, "a", "2"); /* replaces */
  put(one, "b", "3");
  library_wait_stat(one, "tier_queue_entries", 0);
  expect(other, "a", "2");
  expect(other, "b", "3");
  ck_assert_int_eq(fcache_delete(one, &key), FCACHE_OK);
  ck_assert(harness_wait_until(knows_no_b, other, TIMEOUT_MS)); /* which reads the log */
  ck_assert_int_eq(fcache_clear(one, "view", "op", &removed), FCACHE_OK);
  expect(one, "a", NULL);
  put(one, "a", "4");
  library_wait_stat(one, "tier_queue_entries", 0);
}

static void expect_nothing_denied(void) {
  char *log = tier_server_command(&server, "ACL", "LOG", NULL);
  ck_assert_msg(log[0] == '\0', "the server denied: %s", log);
  free(log);
}

START_TEST(fleet_users_of_the_page_are_denied_nothing) {
  start_server((enum tier_engine)_i);
  start_node(&writer, "fleet", "read-write");
  start_node(&reader, "reader", "read-only");
  struct fcache *one = open_with_manifest(&writer), *other = open_with_manifest(&reader);
  use_all(one, other);
  ck_assert_uint_eq(library_stat(one, "tier_open"), 0);
  ck_assert_uint_eq(library_stat(other, "tier_open"), 0);
  fcache_close(one);
  fcache_close(other);
  ck_assert_int_eq(harness_stop(&writer), 0);
  ck_assert_int_eq(harness_stop(&reader), 0);
  expect_nothing_denied();
  tier_server_stop(&server);
}
END_TEST

/* A user without a right is named in the log, and its workers get no error. */
START_TEST(fleet_user_without_a_right_does_not_disturb_workers) {
  char file[HARNESS_PATH_SIZE + 16], url[256];
  start_server((enum tier_engine)_i);
  add_user("fleet", file, url);
  tier_server_do(&server, "ACL", "SETUSER", "fleet", "-set", NULL);
  writer = (struct daemon){0};
  harness_start(&writer, "--tier", url, "--tier-password-file", file, "--tier-deadline", "20",
                NULL);
  struct fcache *cache = library_open(writer.socket, SPACE, "worker", 0);
  for (char prompt[2] = "a"; prompt[0] < 'z'; prompt[0]++) {
    expect(cache, prompt, NULL);
    put(cache, prompt, "1");
    expect(cache, prompt, "1");
  }
  ck_assert(harness_log_has(&writer, "NOPERM"));
  fcache_close(cache);
  ck_assert_int_eq(harness_stop(&writer), 0);
  tier_server_stop(&server);
}
END_TEST

/* The server starts again without its users, and refuses the node until it has them. */
START_TEST(fleet_reader_of_the_page_uses_the_tier_again_after_a_restart) {
  char file[HARNESS_PATH_SIZE + 16], url[256];
  start_server((enum tier_engine)_i);
  start_node(&reader, "reader", "read-only");
  struct fcache *cache = open_with_manifest(&reader);
  library_wait_stat(cache, "tier_open", 0);
  tier_server_kill9(&server);
  tier_server_restart(&server);
  library_wait_stat(cache, "tier_open", 1);
  add_user("reader", file, url);
  tier_server_do(&server, "ACL", "LOG", "RESET", NULL);
  library_wait_stat(cache, "tier_open", 0);
  fcache_close(cache);
  ck_assert_int_eq(harness_stop(&reader), 0);
  expect_nothing_denied();
  tier_server_stop(&server);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fleet_acl");
  TCase *tcase = tcase_create("fleet_acl");
  tcase_set_timeout(tcase, 120);
  for (int engine = 0; engine < TIER_ENGINES; engine++) {
    if (tier_engine_program((enum tier_engine)engine) == NULL)
      continue;
    tcase_add_loop_test(tcase, fleet_users_of_the_page_are_denied_nothing, engine, engine + 1);
    tcase_add_loop_test(tcase, fleet_reader_of_the_page_uses_the_tier_again_after_a_restart, engine,
                        engine + 1);
    tcase_add_loop_test(tcase, fleet_user_without_a_right_does_not_disturb_workers, engine,
                        engine + 1);
  }
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
