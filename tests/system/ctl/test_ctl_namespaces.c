/* fcachectl namespaces with a real daemon: counters and manifests, and malformed manifests. */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/errors.h"
#include "proto/limits.h"
#include "proto/wire/frame.h"
#include "tests/support/ctl.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"

#define REPLY_MS 5000u
#define NAMESPACES_MAX 1250 /* of --max-namespaces */

static struct daemon daemon_;

static void start(const char *max_namespaces) {
  memset(&daemon_, 0, sizeof daemon_);
  harness_start(&daemon_, "--max-namespaces", max_namespaces, NULL);
  (void)setenv("FCACHE_SOCKET", daemon_.socket, 1);
}

static void stop(void) {
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}

/* ---- clients ---- */

static struct fcache *open_with(const char *name_space, const char *manifest) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache_error error;
  struct fcache *cache;

  options.socket = daemon_.socket;
  options.name_space = name_space;
  options.manifest = manifest;
  options.deadline_ms = LIBRARY_PATIENT_MS;
  if (fcache_open(&options, &cache, &error) != FCACHE_OK)
    ck_abort_msg("a handle: %s", error.text);
  ck_assert(fcache_connected(cache));
  return cache;
}

static void put(struct fcache *cache) {
  struct fcache_key key = library_key("op", "base", "prompt", 0);

  ck_assert_int_eq(fcache_put(cache, &key, "value", 5, 1000000, 0), FCACHE_OK);
}

/* Sends a hello of that protocol version. Returns the reply. */
static struct fc_reply hello(struct raw *raw, const char *name_space, struct fc_str manifest,
                             uint32_t version) {
  struct fc_hello message = {.version_min = FC_PROTOCOL_VERSION_MIN,
                             .version_max = version,
                             .client = fc_str_of("raw"),
                             .name_space = fc_str_of(name_space),
                             .manifest = manifest};
  struct fc_buf buf = {0};
  struct fc_reply reply;

  ck_assert_int_eq(raw_connect(raw, daemon_.socket), 0);
  ck_assert_int_eq(fc_encode_hello(&buf, 1, &message), 0);
  ck_assert_int_eq(raw_send_buf(raw, &buf), 0);
  fc_buf_free(&buf);
  ck_assert_int_eq(raw_recv(raw, &reply, REPLY_MS), RAW_REPLY);
  return reply;
}

static void open_raw(struct raw *raw, const char *name_space, struct fc_str manifest) {
  struct fc_reply reply = hello(raw, name_space, manifest, FC_PROTOCOL_VERSION);

  ck_assert_int_eq(reply.type, FC_REPLY | FC_HELLO);
}

static void put_raw(struct raw *raw) {
  struct fc_put message = {
      .key = raw_key("op", "base", 0, "prompt"), .value = (const uint8_t *)"v", .value_size = 1};
  struct fc_reply reply;

  ck_assert_int_eq(raw_put(raw, &message, &reply), RAW_REPLY);
  ck_assert_int_eq(reply.put, FC_STORED);
}

/* ---- output ---- */

/* Returns the namespace of that name. The caller frees *all. */
static json_t *namespace_of(const char *name, json_t **all) {
  *all = ctl_json(CTL("namespaces", "-j", "-n", name));
  ck_assert_uint_eq(json_array_size(*all), 1);
  return json_array_get(*all, 0);
}

static void expect_manifest(const char *name, const char *key, const char *value) {
  json_t *all, *manifest = json_object_get(namespace_of(name, &all), "manifest");

  if (key)
    ck_assert_pstr_eq(json_string_value(json_object_get(manifest, key)), value);
  else if (value)
    ck_assert_pstr_eq(json_string_value(manifest), value);
  else
    ck_assert(json_is_null(manifest));
  json_decref(all);
}

static long long number(const json_t *object, const char *name) {
  const json_t *value = json_object_get(object, name);

  if (!json_is_integer(value))
    ck_abort_msg("%s is no integer", name);
  return json_integer_value(value);
}

static double idle_s(const char *name) {
  json_t *all;
  double seconds = json_real_value(json_object_get(namespace_of(name, &all), "idle_s"));

  json_decref(all);
  return seconds;
}

/* ---- a worker's manifest ---- */

START_TEST(namespaces_none_listed_as_such) {

  start("10");
  ctl_expect(CTL("namespaces"), "no namespaces yet\n");
  ctl_expect(CTL("namespaces", "--json"), "[]\n");
  ctl_expect_error(CTL("namespaces", "--namespace", "typo"),
                   "fcachectl: the daemon has no namespace \"typo\": it has none yet\n");
  ctl_expect(CTL("namespaces", "-j", "-n", "typo"), "[]\n");
  stop();
}
END_TEST

START_TEST(namespaces_listed_with_counters_and_manifest) {
  struct fcache *one, *two, *other;
  struct fcache_value value = {0};
  struct fcache_key key = library_key("op", "base", "prompt", 0);
  json_t *all, *ns;

  start("10");
  one = open_with("gpt2", "{\"model\": \"gpt2\", \"layers\": 12}");
  put(one);
  two = open_with("gpt2", NULL); /* keeps the manifest */
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(fcache_get(two, &key, 0, &value), FCACHE_OK);
  other = open_with("plain", NULL);
  all = ctl_json(CTL("namespaces", "--json"));
  ck_assert_uint_eq(json_array_size(all), 2); /* oldest first */
  ns = json_array_get(all, 0);
  ck_assert_pstr_eq(json_string_value(json_object_get(ns, "namespace")), "gpt2");
  ck_assert_int_eq(number(ns, "entries"), 1);
  ck_assert_int_gt(number(ns, "bytes"), 5);
  ck_assert_int_eq(number(ns, "cache_hits"), 3); /* hits from rings included */
  ck_assert_int_eq(number(ns, "cache_misses"), 1);
  ck_assert_double_eq(json_real_value(json_object_get(ns, "hit_rate")), 0.75);
  ck_assert_int_eq(number(ns, "clients"), 2);
  ns = json_object_get(ns, "manifest");
  ck_assert_pstr_eq(json_string_value(json_object_get(ns, "model")), "gpt2");
  ck_assert_int_eq(number(ns, "layers"), 12);
  ns = json_array_get(all, 1);
  ck_assert_pstr_eq(json_string_value(json_object_get(ns, "namespace")), "plain");
  ck_assert(json_is_null(json_object_get(ns, "manifest")));
  json_decref(all);
  ctl_expect_part(CTL("namespaces"), "NAMESPACE ENTRIES ");
  ctl_expect_part(CTL("namespaces"), "CLIENTS LAST USE\ngpt2            1 ");
  ctl_expect_part(CTL("namespaces"), "\n    model   gpt2\n    layers  12\nplain ");
  ctl_expect_part(CTL("namespaces", "--no-manifest"), "3 / 4 (75.00%)       2 ");
  ctl_expect_part(CTL("namespaces", "-n", "plain"), "LAST USE\nplain           0  0 B ");
  all = ctl_json(CTL("namespaces", "-j", "--no-manifest", "-l", "1"));
  ck_assert_uint_eq(json_array_size(all), 1);
  ck_assert_ptr_null(json_object_get(json_array_get(all, 0), "manifest"));
  json_decref(all);
  fcache_value_free(&value);
  fcache_close(one);
  fcache_close(two);
  fcache_close(other);
  stop();
}
END_TEST

static bool was_left_for_a_while(void *name) {
  return idle_s(name) > 0.2;
}

START_TEST(last_use_includes_shared_memory_hits) {
  struct fcache_key key = library_key("op", "base", "prompt", 0);
  struct fcache_value value = {0};
  struct fcache *cache;
  uint64_t before_ns, since_ns;
  char name[] = "gpt2";
  double idle;

  start("10");
  cache = open_with("gpt2", NULL);
  put(cache);
  ck_assert(harness_wait_until(was_left_for_a_while, name, 20000));
  before_ns = harness_now_ns();
  ck_assert_int_eq(fcache_get(cache, &key, 0, &value), FCACHE_OK);
  idle = idle_s("gpt2");
  since_ns = harness_now_ns() - before_ns;
  ck_assert_double_le(idle, (double)since_ns / 1e9);
  fcache_value_free(&value);
  fcache_close(cache);
  stop();
}
END_TEST

static bool is_connected(void *cache) {
  struct fcache_key key = library_key("op", "base", "prompt", 0);
  struct fcache_value value = {0};
  int rc = fcache_get(cache, &key, 0, &value);

  fcache_value_free(&value);
  return rc >= 0 && fcache_connected(cache);
}

START_TEST(manifest_sent_again_after_restart) {
  struct fcache *cache;

  start("10");
  cache = open_with("gpt2", "{\"model\": \"gpt2\"}");
  harness_kill9(&daemon_);
  harness_start(&daemon_, NULL);
  ck_assert(harness_wait_until(is_connected, cache, 20000));
  expect_manifest("gpt2", "model", "gpt2");
  fcache_close(cache);
  stop();
}
END_TEST

START_TEST(manifest_last_writer_wins_until_eviction) {
  struct raw first, second;

  start("1");
  open_raw(&first, "one", fc_str_of("{\"model\": \"a\"}"));
  put_raw(&first);
  open_raw(&second, "one", fc_str_of("{\"model\": \"b\"}"));
  expect_manifest("one", "model", "b");
  raw_close(&first);
  raw_close(&second);
  expect_manifest("one", "model", "b"); /* a namespace with an entry stays without clients */
  open_raw(&first, "two", (struct fc_str){0});
  put_raw(&first);
  ctl_expect(CTL("namespaces", "-j", "-n", "one"), "[]\n");
  raw_close(&first);
  open_raw(&second, "one", (struct fc_str){0});
  expect_manifest("one", NULL, NULL); /* a new namespace of that name */
  raw_close(&second);
  stop();
}
END_TEST

/* ---- versions ---- */

static void expect_version(struct fc_reply reply, uint32_t version) {
  ck_assert_int_eq(reply.type, FC_REPLY | FC_HELLO);
  ck_assert_uint_eq(reply.welcome.version, version);
}

/* Version 3 has no field for a manifest. */
START_TEST(manifest_kept_by_client_of_version_3) {
  struct raw now, before;

  start("10");
  expect_version(hello(&now, "one", fc_str_of("{\"model\": \"a\"}"), 4), 4);
  expect_version(hello(&before, "one", fc_str_of("{\"model\": \"b\"}"), 3), 3);
  put_raw(&before);
  expect_manifest("one", "model", "a");
  raw_close(&now);
  raw_close(&before);
  stop();
}
END_TEST

/* ---- malformed and hostile manifests ---- */

START_TEST(manifest_malformed_refused) {
  static char large[FC_MANIFEST_MAX + 1];
  const struct fc_str manifests[] = {
      {large, sizeof large}, {"", 0},        {"{\0}", 3}, {"\xff\xfe", 2}, {"{\"a\": \xc3", 7},
      {"\xed\xa0\x80", 3},   {"\xc0\x80", 2}};

  start("10");
  memset(large, '{', sizeof large);
  for (size_t i = 0; i < sizeof manifests / sizeof manifests[0]; i++) {
    struct raw raw;
    struct fc_reply reply = hello(&raw, "one", manifests[i], FC_PROTOCOL_VERSION);
    struct fc_str text = reply.error.text;

    ck_assert_int_eq(reply.type, FC_ERROR);
    ck_assert_int_eq(reply.error.code, FC_EINVAL);
    ck_assert_msg(
        memmem(text.data, text.size, "its field manifest must be a str of 1 to 16384", 46), "%.*s",
        (int)text.size, text.data);
    ck_assert_int_eq(raw_recv(&raw, &reply, REPLY_MS), RAW_CLOSED);
    raw_close(&raw);
  }
  ctl_expect(CTL("namespaces", "-j"), "[]\n");
  stop();
}
END_TEST

START_TEST(manifest_hostile_printed_safely) {
  struct raw raw;

  start("10");
  open_raw(&raw, "one", fc_str_of("a\x1b[2J\xc2\x9b\r"));
  ctl_expect_part(CTL("namespaces"), "\n    a?[2J??\n");
  expect_manifest("one", NULL, "a\x1b[2J\xc2\x9b\r");
  raw_close(&raw);
  open_raw(&raw, "two", fc_str_of("{\"k\\u001b[2J\": \"v\\u001b]0;x\\u0007\"}"));
  ctl_expect_part(CTL("namespaces", "-n", "two"), "\n    k?[2J  v?]0;x?\n");
  raw_close(&raw);
  stop();
}
END_TEST

/* The pages list each namespace once. */
START_TEST(manifest_maximum_number_and_size_listed) {
  static char manifest[FC_MANIFEST_MAX];
  char most[8];
  json_t *all, *ns;
  size_t i;

  (void)snprintf(most, sizeof most, "%d", NAMESPACES_MAX);
  start(most);
  memset(manifest, 'm', sizeof manifest);
  for (int n = 0; n < NAMESPACES_MAX + 50; n++) { /* the first 50 are evicted */
    struct raw raw;
    char name[32];

    (void)snprintf(name, sizeof name, "space-%04d", n);
    open_raw(&raw, name, (struct fc_str){manifest, sizeof manifest});
    put_raw(&raw);
    raw_close(&raw);
  }
  all = ctl_json(CTL("namespaces", "-j"));
  ck_assert_uint_eq(json_array_size(all), 100);
  json_decref(all);
  all = ctl_json(CTL("namespaces", "-j", "-l", "0"));
  ck_assert_uint_eq(json_array_size(all), NAMESPACES_MAX);
  json_array_foreach(all, i, ns) {
    char name[32];

    (void)snprintf(name, sizeof name, "space-%04d", (int)i + 50);
    ck_assert_pstr_eq(json_string_value(json_object_get(ns, "namespace")), name);
    ck_assert_uint_eq(json_string_length(json_object_get(ns, "manifest")), FC_MANIFEST_MAX);
  }
  json_decref(all);
  stop();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ctl_namespaces");
  TCase *tests = tcase_create("commands");

  tcase_set_timeout(tests, 120);
  tcase_add_test(tests, namespaces_none_listed_as_such);
  tcase_add_test(tests, namespaces_listed_with_counters_and_manifest);
  tcase_add_test(tests, last_use_includes_shared_memory_hits);
  tcase_add_test(tests, manifest_sent_again_after_restart);
  tcase_add_test(tests, manifest_last_writer_wins_until_eviction);
  tcase_add_test(tests, manifest_kept_by_client_of_version_3);
  tcase_add_test(tests, manifest_malformed_refused);
  tcase_add_test(tests, manifest_hostile_printed_safely);
  tcase_add_test(tests, manifest_maximum_number_and_size_listed);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
