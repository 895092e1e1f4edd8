/* fcachectl leases and clients with a real daemon: who computes what, and who waits for whom. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/child_process.h"
#include "tests/support/ctl_says.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"

#define CTL(...) ((const char *const[]){harness_fcachectl(), __VA_ARGS__, NULL})
#define PATIENCE_MS 60000u /* of leases and waits, and for what is expected to come */
#define MANY 700           /* more than a page */

static struct daemon daemon_;

static void start(void) {
  memset(&daemon_, 0, sizeof daemon_);
  harness_start(&daemon_, NULL);
  (void)setenv("FCACHE_SOCKET", daemon_.socket, 1);
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

static void take_lease(struct raw *raw, const char *prompt) {
  struct fc_get get = get_of(prompt, 0);
  struct fc_reply reply;

  ck_assert_int_eq(raw_get(raw, &get, &reply), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_GET);
  ck_assert_ptr_null(reply.get.value);
  ck_assert_int_eq(reply.get.lease, FC_LEASE_GRANTED);
}

/* It waits when this returns: the daemon takes up a connection's requests in their order. */
static void begin_to_wait(struct raw *raw, const char *prompt) {
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

/* The end of a wait: the value where `hit`, else the lease. */
static void end_wait(struct raw *raw, bool hit) {
  struct fc_reply reply;

  ck_assert_int_eq(raw_recv(raw, &reply, PATIENCE_MS), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_GET);
  ck_assert_int_eq(reply.get.value != NULL, hit);
  if (!hit)
    ck_assert_int_eq(reply.get.lease, FC_LEASE_GRANTED);
}

/* ---- what fcachectl says ---- */

static size_t size_of(const char *const argv[]) {
  json_t *all = ctl_json(argv);
  size_t n = json_array_size(all);

  ck_assert(json_is_array(all));
  json_decref(all);
  return n;
}

/* The client of that name; the caller frees *all. */
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

START_TEST(nothing_is_computed) {
  struct raw idle;
  char *err;

  start();
  ctl_expect(CTL("leases"), "no leases: nobody computes anything at the moment\n");
  ctl_expect(CTL("leases", "--json"), "[]\n");
  idle = client_of("idle", "one");
  ctl_expect(CTL("leases", "--namespace", "one"),
             "no leases: nobody computes anything in this namespace at the moment\n");
  ck_assert_int_eq(harness_run(CTL("leases", "--namespace", "typo"), NULL, &err), 1);
  ck_assert_str_eq(err, "fcachectl: the daemon has no namespace \"typo\"\n");
  free(err);
  ctl_expect(CTL("leases", "-j", "-n", "typo"), "[]\n");
  raw_close(&idle);
  stop();
}
END_TEST

START_TEST(leases_tell_who_computes_what) {
  struct raw owner, other, waiters[2];
  json_t *all, *lease;

  start();
  owner = client_of("owner", "one");
  other = client_of("other", "two");
  take_lease(&owner, "a");
  take_lease(&other, "a"); /* another key: another namespace */
  take_lease(&owner, "b");
  for (int i = 0; i < 2; i++) {
    waiters[i] = client_of("waiter", "one");
    begin_to_wait(&waiters[i], "b");
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
  ck_assert_uint_eq(size_of(CTL("leases", "-j", "-n", "one")), 2);
  ck_assert_uint_eq(size_of(CTL("leases", "-j", "-l", "1")), 1);
  ctl_expect_part(CTL("leases"), "\none       logprob_of base ");
  ctl_expect_part(CTL("leases", "-n", "two"), "\nlogprob_of      base ");
  put(&owner, "a");
  put(&owner, "b");
  put(&other, "a");
  ctl_expect(CTL("leases", "--json"), "[]\n");
  for (int i = 0; i < 2; i++) {
    end_wait(&waiters[i], true);
    raw_close(&waiters[i]);
  }
  raw_close(&owner);
  raw_close(&other);
  stop();
}
END_TEST

START_TEST(leases_go_over_to_who_waits) {
  struct raw owner, waiter;
  json_t *all;

  start();
  owner = client_of("owner", "one");
  waiter = client_of("waiter", "one");
  take_lease(&owner, "a");
  begin_to_wait(&waiter, "a");
  raw_close(&owner);
  end_wait(&waiter, false);
  all = ctl_json(CTL("leases", "--json"));
  ck_assert_uint_eq(json_array_size(all), 1);
  ck_assert_pstr_eq(text(json_array_get(all, 0), "client"), "waiter");
  ck_assert_int_eq(number(json_array_get(all, 0), "waits"), 0);
  json_decref(all);
  raw_close(&waiter);
  stop();
}
END_TEST

/* All by one message. */
static void take_many(struct raw *raw) {
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

START_TEST(leases_come_in_pages) {
  struct raw owner;
  json_t *all;

  start();
  owner = client_of("owner", "one");
  take_many(&owner);
  ck_assert_uint_eq(size_of(CTL("leases", "-j")), 100);
  ck_assert_uint_eq(size_of(CTL("leases", "-j", "-l", "600")), 600);
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

START_TEST(clients_tell_who_waits_for_whom) {
  struct raw owner, waiter, idle;
  json_t *all, *client, *wait;
  char want[128];

  start();
  owner = client_of("owner", "one");
  waiter = client_of("waiter", "one");
  idle = client_of("idle", "two");
  take_lease(&owner, "a");
  take_lease(&owner, "b");
  begin_to_wait(&waiter, "b");
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
  ck_assert_uint_eq(size_of(CTL("clients", "-j", "-n", "one")), 2);
  ck_assert_uint_eq(size_of(CTL("clients", "-j", "-n", "one", "-l", "1")), 1);
  ck_assert_uint_eq(size_of(CTL("clients", "-j", "-n", "typo")), 0);
  ctl_expect_part(CTL("clients", "-n", "one"), "\n    computes logprob_of base ");
  snprintf(want, sizeof want, " of owner (pid %d)\n", (int)getpid());
  ctl_expect_part(CTL("clients"), want);
  raw_close(&owner);
  raw_close(&waiter);
  raw_close(&idle);
  stop();
}
END_TEST

/* From a process of its own. */
static int put_from_elsewhere(void *arg) {
  struct fcache_key key = library_key("op", "base", "elsewhere", 0);
  struct fcache *cache = library_open_in_child(arg, "one", "elsewhere", LIBRARY_PATIENT_MS);
  CHILD_EXPECT(cache != NULL);
  CHILD_EXPECT(fcache_put(cache, &key, "value", 5, 1000000, 0) == FCACHE_OK);
  fcache_close(cache);
  return 0;
}

START_TEST(clients_tell_their_hits_and_plane) {
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
  ck_assert_int_eq(child_run(put_from_elsewhere, daemon_.socket, NULL), 0);
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(fcache_get(reader, &key, 0, &value), FCACHE_OK);
  for (int i = 0; i < 2; i++)
    ck_assert_int_eq(fcache_get(reader, &elsewhere, 0, &value), FCACHE_OK);
  plane =
      library_counters(reader).region_hits > 0 ? "region" : "socket"; /* as the machine has it */
  all = ctl_json(CTL("clients", "--json"));
  client = client_in(all, "writer");
  check_self(client, "one", plane);
  ck_assert_int_eq(number(client, "hits"), 1);
  ck_assert_int_eq(number(client, "shared_hits"), 0);
  client = client_in(all, "reader");
  check_self(client, "one", plane);
  ck_assert_int_eq(number(client, "hits"), 5);
  ck_assert_int_eq(number(client, "shared_hits"), 2); /* the writer is of the reader's process */
  json_decref(all);
  fcache_value_free(&value);
  fcache_close(writer);
  fcache_close(reader);
  stop();
}
END_TEST

/* ---- stats ---- */

START_TEST(stats_count_leases) {
  struct raw owner, waiter;
  json_t *all, *daemon, *one;

  start();
  owner = client_of("owner", "one");
  waiter = client_of("waiter", "one");
  take_lease(&owner, "a");
  begin_to_wait(&waiter, "a");
  ctl_expect_part(CTL("stats"), "\nleases           1 granted, 0 abandoned, 0 expired\n"
                                "  now            1 held, 1 waiting\n");
  put(&owner, "a");
  end_wait(&waiter, true);
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
  ctl_expect_part(CTL("stats", "-n", "one"), " in all, 1 ended with a hit\n");
  raw_close(&owner);
  raw_close(&waiter);
  stop();
}
END_TEST

START_TEST(wrong_usage_is_2) {
  static const char *const commands[] = {"leases", "clients"};

  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    char *err;

    ck_assert_int_eq(harness_run(CTL(commands[i], "a\x1b[31m"), NULL, &err), 2);
    ck_assert_ptr_nonnull(strstr(err, "takes no \"a?[31m\""));
    free(err);
    ck_assert_int_eq(harness_run(CTL(commands[i], "--limit", "-1"), NULL, NULL), 2);
    ck_assert_int_eq(harness_run(CTL(commands[i], "--view", "base"), NULL, NULL), 2);
    ck_assert_int_eq(harness_run(CTL(commands[i], "--socket", "/no/such"), NULL, NULL), 3);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ctl_leases");
  TCase *tests = tcase_create("commands");

  tcase_set_timeout(tests, 120);
  tcase_add_test(tests, nothing_is_computed);
  tcase_add_test(tests, leases_tell_who_computes_what);
  tcase_add_test(tests, leases_go_over_to_who_waits);
  tcase_add_test(tests, leases_come_in_pages);
  tcase_add_test(tests, clients_tell_who_waits_for_whom);
  tcase_add_test(tests, clients_tell_their_hits_and_plane);
  tcase_add_test(tests, stats_count_leases);
  tcase_add_test(tests, wrong_usage_is_2);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
