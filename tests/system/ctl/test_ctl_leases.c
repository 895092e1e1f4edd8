/* fcachectl leases and clients with a real daemon. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/child_process.h"
#include "tests/support/ctl.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"

#define PATIENCE_MS 60000u /* of leases, waits and expected replies */
#define MANY 700           /* more than a page */

static struct daemon daemon_;

static void start(void) {
  ctl_start_daemon(&daemon_);
}

static void stop(void) {
  ck_assert_int_eq(harness_stop(&daemon_), 0);
}

/* ---- clients ---- */

static struct raw client_of(const char *name, const char *name_space) {
  struct raw raw;

  ck_assert_int_eq(raw_connect(&raw, daemon_.socket), 0);
  ck_assert_int_eq(raw_hello(&raw, name, name_space), 0);
  return raw;
}

static struct fc_key key_of(const char *prompt) {
  return raw_key("logprob_of", "base", 7, prompt);
}

static struct fc_get get_of(const char *prompt, uint32_t wait_ms) {
  return (struct fc_get){.flags = FC_LEASE,
                         .key = key_of(prompt),
                         .has_terms = true,
                         .terms = {.lease_ms = PATIENCE_MS, .wait_ms = wait_ms}};
}

static void get_lease(struct raw *raw, const char *prompt) {
  struct fc_get get = get_of(prompt, 0);
  struct fc_reply reply;

  ck_assert_int_eq(raw_get(raw, &get, &reply), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_GET);
  ck_assert_ptr_null(reply.get.value);
  ck_assert_int_eq(reply.get.lease, FC_LEASE_GRANTED);
}

/* The client waits when this returns: the daemon handles a connection's requests in order. */
static void start_wait(struct raw *raw, const char *prompt) {
  struct fc_get get = get_of(prompt, PATIENCE_MS);
  struct fc_buf buf = {0};
  struct fc_reply reply;

  ck_assert_int_eq(fc_encode_get(&buf, raw->next_id++, &get), 0);
  ck_assert_int_eq(fc_encode_simple(&buf, FC_PING, raw->next_id++), 0);
  ck_assert_int_eq(raw_send_buf(raw, &buf), 0);
  fc_buf_free(&buf);
  ck_assert_int_eq(raw_recv(raw, &reply, PATIENCE_MS), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_PING);
}

static void put(struct raw *raw, const char *prompt) {
  struct fc_put put = {.key = key_of(prompt), .value = (const uint8_t *)"value", .value_size = 5};
  struct fc_reply reply;

  ck_assert_int_eq(raw_put(raw, &put, &reply), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_PUT);
  ck_assert_int_eq(reply.put, FC_STORED);
}

/* Receives the end of a wait: the value if `hit`, else the lease. */
static void finish_wait(struct raw *raw, bool hit) {
  struct fc_reply reply;

  ck_assert_int_eq(raw_recv(raw, &reply, PATIENCE_MS), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_GET);
  ck_assert_int_eq(reply.get.value != NULL, hit);
  if (!hit)
    ck_assert_int_eq(reply.get.lease, FC_LEASE_GRANTED);
}

/* ---- output ---- */

/* Returns the client of that name. */
static json_t *client_in(json_t *all, const char *name) {
  size_t i;
  json_t *client;

  json_array_foreach(all, i, client) {
    const char *its = json_string_value(json_object_get(client, "client"));

    if (its && strcmp(its, name) == 0)
      return client;
  }
  ck_abort_msg("no client %s", name);
  return NULL;
}

static long long number(const json_t *object, const char *name) {
  const json_t *value = json_object_get(object, name);

  if (!json_is_integer(value))
    ck_abort_msg("%s is no integer", name);
  return json_integer_value(value);
}

static double seconds(const json_t *object, const char *name) {
  const json_t *value = json_object_get(object, name);

  if (!json_is_real(value))
    ck_abort_msg("%s is no real", name);
  return json_real_value(value);
}

static const char *text(const json_t *object, const char *name) {
  return json_string_value(json_object_get(object, name));
}

static void check_key(const json_t *object, const char *prompt) {
  struct fc_key key = key_of(prompt);
  char hash[FC_HASH_HEX_SIZE];

  fc_hash_hex(&key.prompt, hash);
  ck_assert_pstr_eq(text(object, "op"), "logprob_of");
  ck_assert_pstr_eq(text(object, "view"), "base");
  ck_assert_pstr_eq(text(object, "prompt_hash"), hash);
  ck_assert_int_eq(number(object, "top_k"), 7);
}

/* ---- leases ---- */

START_TEST(leases_none_listed_as_such) {
  struct raw idle;

  start();
  ctl_expect(CTL("leases"), "no active leases\n");
  ctl_expect(CTL("leases", "--json"), "[]\n");
  idle = client_of("idle", "one");
  ctl_expect(CTL("leases", "--namespace", "one"), "no active leases in this namespace\n");
  ctl_expect_error(CTL("leases", "--namespace", "typo"),
                   "fcachectl: the daemon has no namespace \"typo\": see fcachectl namespaces\n");
  ctl_expect(CTL("leases", "-j", "-n", "typo"), "[]\n");
  raw_close(&idle);
  stop();
}
END_TEST

START_TEST(leases_listed_with_owner_and_waiters) {
  struct raw owner, other, waiters[2];
  json_t *all, *lease;

  start();
  owner = client_of("owner", "one");
  other = client_of("other", "two");
  get_lease(&owner, "a");
  get_lease(&other, "a"); /* another key, as the namespace differs */
  get_lease(&owner, "b");
  for (int i = 0; i < 2; i++) {
    waiters[i] = client_of("waiter", "one");
    start_wait(&waiters[i], "b");
  }
  all = ctl_json(CTL("leases", "--json"));
  ck_assert_uint_eq(json_array_size(all), 3); /* the oldest first */
  lease = json_array_get(all, 0);
  ck_assert_pstr_eq(text(lease, "namespace"), "one");
  check_key(lease, "a");
  ck_assert_pstr_eq(text(lease, "client"), "owner");
  ck_assert_int_eq(number(lease, "pid"), getpid());
  ck_assert_int_eq(number(lease, "waits"), 0);
  ck_assert(seconds(lease, "held_s") >= 0 && seconds(lease, "left_s") > 0);
  ck_assert_double_eq_tol(seconds(lease, "held_s") + seconds(lease, "left_s"), PATIENCE_MS / 1e3,
                          0.01);
  ck_assert_pstr_eq(text(json_array_get(all, 1), "client"), "other");
  lease = json_array_get(all, 2);
  check_key(lease, "b");
  ck_assert_int_eq(number(lease, "waits"), 2);
  json_decref(all);
  ck_assert_uint_eq(ctl_array_size(CTL("leases", "-j", "-n", "one")), 2);
  ck_assert_uint_eq(ctl_array_size(CTL("leases", "-j", "-l", "1")), 1);
  ctl_expect_part(CTL("leases"), "\none       logprob_of base ");
  ctl_expect_part(CTL("leases", "-n", "two"), "\nlogprob_of base ");
  put(&owner, "a");
  put(&owner, "b");
  put(&other, "a");
  ctl_expect(CTL("leases", "--json"), "[]\n");
  for (int i = 0; i < 2; i++) {
    finish_wait(&waiters[i], true);
    raw_close(&waiters[i]);
  }
  raw_close(&owner);
  raw_close(&other);
  stop();
}
END_TEST

START_TEST(leases_of_closed_client_go_to_waiter) {
  struct raw owner, waiter;
  json_t *all;

  start();
  owner = client_of("owner", "one");
  waiter = client_of("waiter", "one");
  get_lease(&owner, "a");
  start_wait(&waiter, "a");
  raw_close(&owner);
  finish_wait(&waiter, false);
  all = ctl_json(CTL("leases", "--json"));
  ck_assert_uint_eq(json_array_size(all), 1);
  ck_assert_pstr_eq(text(json_array_get(all, 0), "client"), "waiter");
  ck_assert_int_eq(number(json_array_get(all, 0), "waits"), 0);
  json_decref(all);
  raw_close(&waiter);
  stop();
}
END_TEST

/* Requests all leases by one message. */
static void get_many_leases(struct raw *raw) {
  struct fc_hash prompts[MANY];
  struct fc_get_many many = {.flags = FC_LEASE,
                             .key = key_of(""),
                             .prompts = prompts[0].bytes,
                             .n = MANY,
                             .has_terms = true,
                             .terms.lease_ms = PATIENCE_MS};
  struct fc_buf buf = {0};
  struct fc_reply reply;
  uint32_t granted = 0;

  for (int i = 0; i < MANY; i++)
    prompts[i] = fc_hash_prompt(&i, sizeof i);
  ck_assert_int_eq(fc_encode_get_many(&buf, raw->next_id++, &many), 0);
  ck_assert_int_eq(raw_send_buf(raw, &buf), 0);
  fc_buf_free(&buf);
  do {
    ck_assert_int_eq(raw_recv(raw, &reply, PATIENCE_MS), RAW_REPLY);
    ck_assert_int_eq(reply.type, FC_REPLY | FC_GET_MANY);
    for (uint32_t i = 0; i < reply.get_many.n_leases; i++)
      granted += reply.get_many.leases[i] == FC_LEASE_GRANTED;
  } while (!reply.get_many.last);
  ck_assert_uint_eq(granted, MANY);
}

START_TEST(leases_beyond_a_page_are_all_listed) {
  struct raw owner;
  json_t *all;

  start();
  owner = client_of("owner", "one");
  get_many_leases(&owner);
  ck_assert_uint_eq(ctl_array_size(CTL("leases", "-j")), 100);
  ck_assert_uint_eq(ctl_array_size(CTL("leases", "-j", "-l", "600")), 600);
  all = ctl_json(CTL("leases", "-j", "-l", "0"));
  ck_assert_uint_eq(json_array_size(all), MANY);
  for (int i = 0; i < MANY; i++) { /* each once, in the order in which they were granted */
    struct fc_hash hash = fc_hash_prompt(&i, sizeof i);
    char hex[FC_HASH_HEX_SIZE];

    fc_hash_hex(&hash, hex);
    ck_assert_pstr_eq(text(json_array_get(all, (size_t)i), "prompt_hash"), hex);
  }
  json_decref(all);
  all = ctl_json(CTL("clients", "-j"));
  ck_assert_int_eq(number(client_in(all, "owner"), "leases"), MANY);
  json_decref(all);
  ctl_expect_part(CTL("clients"), ", +699 more\n");
  raw_close(&owner);
  stop();
}
END_TEST

/* ---- clients ---- */

static void check_self(const json_t *client, const char *name_space, const char *plane) {
  ck_assert_int_eq(number(client, "pid"), getpid());
  ck_assert_int_eq(number(client, "uid"), geteuid());
  ck_assert_pstr_eq(text(client, "namespace"), name_space);
  ck_assert_pstr_eq(text(client, "plane"), plane);
  ck_assert(seconds(client, "connected_s") > 0);
}

START_TEST(clients_listed_with_lease_and_wait) {
  struct raw owner, waiter, idle;
  json_t *all, *client, *wait;
  char want[128];

  start();
  owner = client_of("owner", "one");
  waiter = client_of("waiter", "one");
  idle = client_of("idle", "two");
  get_lease(&owner, "a");
  get_lease(&owner, "b");
  start_wait(&waiter, "b");
  all = ctl_json(CTL("clients", "--json"));
  client = client_in(all, "owner");
  check_self(client, "one", "socket");
  ck_assert_int_eq(number(client, "leases"), 2);
  check_key(json_object_get(client, "held"), "a"); /* the oldest */
  ck_assert_int_eq(number(client, "waits"), 0);
  ck_assert(json_is_null(json_object_get(client, "wait")));
  wait = client_in(all, "waiter");
  ck_assert_int_eq(number(wait, "leases"), 0);
  ck_assert(json_is_null(json_object_get(wait, "held")));
  ck_assert_int_eq(number(wait, "waits"), 1);
  wait = json_object_get(wait, "wait");
  check_key(wait, "b");
  ck_assert(seconds(wait, "waited_s") > 0);
  ck_assert_pstr_eq(text(wait, "owner"), "owner");
  ck_assert_int_eq(number(wait, "owner_pid"), getpid());
  ck_assert_int_eq(number(wait, "owner_id"), number(client, "client_id"));
  check_self(client_in(all, "idle"), "two", "socket");
  json_decref(all);
  ck_assert_uint_eq(ctl_array_size(CTL("clients", "-j", "-n", "one")), 2);
  ck_assert_uint_eq(ctl_array_size(CTL("clients", "-j", "-n", "one", "-l", "1")), 1);
  ck_assert_uint_eq(ctl_array_size(CTL("clients", "-j", "-n", "typo")), 0);
  ctl_expect_part(CTL("clients", "-n", "one"), "\n    holds logprob_of base ");
  snprintf(want, sizeof want, " of owner (pid %d)\n", (int)getpid());
  ctl_expect_part(CTL("clients"), want);
  raw_close(&owner);
  raw_close(&waiter);
  raw_close(&idle);
  stop();
}
END_TEST

/* Runs in another process. */
static int put_in_child(void *arg) {
  struct fcache_key key = library_key("op", "base", "elsewhere", 0);
  struct fcache *cache = library_open_in_child(arg, "one", "elsewhere", LIBRARY_PATIENT_MS);
  CHILD_EXPECT(cache != NULL);
  CHILD_EXPECT(fcache_put(cache, &key, "value", 5, 1000000, 0) == FCACHE_OK);
  fcache_close(cache);
  return 0;
}

START_TEST(clients_listed_with_hits) {
  struct fcache *writer, *reader;
  struct fcache_key key = library_key("op", "base", "prompt", 0);
  struct fcache_key elsewhere = library_key("op", "base", "elsewhere", 0);
  struct fcache_value value = {0};
  json_t *all, *client;
  const char *plane;

  start();
  writer = library_open(daemon_.socket, "one", "writer", 0);
  reader = library_open(daemon_.socket, "one", "reader", 0);
  ck_assert_int_eq(fcache_put(writer, &key, "value", 5, 1000000, 0), FCACHE_OK);
  ck_assert_int_eq(fcache_get(writer, &key, 0, &value), FCACHE_OK);
  ck_assert_int_eq(child_run(put_in_child, daemon_.socket, NULL), 0);
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(fcache_get(reader, &key, 0, &value), FCACHE_OK);
  for (int i = 0; i < 2; i++)
    ck_assert_int_eq(fcache_get(reader, &elsewhere, 0, &value), FCACHE_OK);
  plane =
      library_counters(reader).region_hits > 0 ? "region" : "socket"; /* depends on the kernel */
  all = ctl_json(CTL("clients", "--json"));
  client = client_in(all, "writer");
  check_self(client, "one", plane);
  ck_assert_int_eq(number(client, "hits"), 1);
  ck_assert_int_eq(number(client, "shared_hits"), 0);
  client = client_in(all, "reader");
  check_self(client, "one", plane);
  ck_assert_int_eq(number(client, "hits"), 5);
  ck_assert_int_eq(number(client, "shared_hits"), 2); /* the writer is in the reader's process */
  json_decref(all);
  fcache_value_free(&value);
  fcache_close(writer);
  fcache_close(reader);
  stop();
}
END_TEST

/* ---- stats ---- */

START_TEST(stats_of_leases_counted) {
  struct raw owner, waiter;
  json_t *all, *daemon, *one;

  start();
  owner = client_of("owner", "one");
  waiter = client_of("waiter", "one");
  get_lease(&owner, "a");
  start_wait(&waiter, "a");
  ctl_expect_part(CTL("stats"), "\nleases           1 granted, 0 abandoned, 0 expired\n"
                                "  now            1 held, 1 waiting\n");
  put(&owner, "a");
  finish_wait(&waiter, true);
  all = ctl_json(CTL("stats", "--json"));
  daemon = json_object_get(all, "daemon");
  one = json_array_get(json_object_get(all, "namespaces"), 0);
  ck_assert_int_eq(number(daemon, "leases"), 0);
  ck_assert_int_eq(number(daemon, "lease_waits"), 0);
  ck_assert_int_eq(number(daemon, "leases_granted"), 1);
  ck_assert_int_eq(number(one, "leases_granted"), 1);
  ck_assert_int_eq(number(one, "coalesced_hits"), 1);
  ck_assert_int_eq(number(one, "cache_hits"), 1);
  ck_assert(seconds(one, "lease_wait_s") > 0);
  ck_assert(seconds(daemon, "lease_wait_s") == seconds(one, "lease_wait_s"));
  json_decref(all);
  ctl_expect_part(CTL("stats", "-n", "one"), " total, 1 hit after waiting\n");
  raw_close(&owner);
  raw_close(&waiter);
  stop();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ctl_leases");
  TCase *tests = tcase_create("commands");

  tcase_set_timeout(tests, 120);
  tcase_add_test(tests, leases_none_listed_as_such);
  tcase_add_test(tests, leases_listed_with_owner_and_waiters);
  tcase_add_test(tests, leases_of_closed_client_go_to_waiter);
  tcase_add_test(tests, leases_beyond_a_page_are_all_listed);
  tcase_add_test(tests, clients_listed_with_lease_and_wait);
  tcase_add_test(tests, clients_listed_with_hits);
  tcase_add_test(tests, stats_of_leases_counted);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
