/* Deletes of one key: what they remove, and which puts they make stale. The random sequences of
 * test_model.c and of the crash storm delete, too. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"
#include "tests/support/worker_pair.h"

static const struct parts {
  const char *op, *view, *prompt;
  uint32_t top_k;
} parts[] = {{"op", "base", "p", 5},
             {"roll", "base", "p", 5},
             {"op", "ft", "p", 5},
             {"op", "base", "q", 5},
             {"op", "base", "p", 6}};
#define PARTS (sizeof parts / sizeof parts[0])

static struct fcache_key key_at(size_t i) {
  return library_key(parts[i].op, parts[i].view, parts[i].prompt, parts[i].top_k);
}

static bool is_stored(size_t i) {
  struct fcache_key key = key_at(i);
  char *got = library_get_text(pair.other, &key);
  bool found = got != NULL;
  free(got);
  return found;
}

/* Each part of the key counts, and the delete of a key without an entry says so. Without a tier
 * there is no fleet, and a local delete does the same. */
START_TEST(delete_removes_its_key_alone) {
  int (*remove_key)(struct fcache *, const struct fcache_key *) =
      _i == 0 ? fcache_delete : fcache_delete_local;
  for (size_t i = 0; i < PARTS; i++) {
    struct fcache_key key = key_at(i);
    library_put_text(pair.worker, &key, "value");
  }
  for (size_t i = 0; i < PARTS; i++) {
    struct fcache_key key = key_at(i);
    ck_assert_int_eq(remove_key(pair.worker, &key), FCACHE_OK);
    ck_assert_int_eq(remove_key(pair.worker, &key), FCACHE_MISS);
    for (size_t j = 0; j < PARTS; j++)
      ck_assert_int_eq(is_stored(j), j > i);
  }
  ck_assert_uint_eq(library_stat(pair.other, "deletes"), 2 * PARTS);
}
END_TEST

struct computation {
  size_t deleted; /* index of the key; PARTS: the key itself, by the computing handle */
};

static int compute(void *arg, struct fcache_value *value) {
  const struct computation *computation = arg;
  struct fcache_key key = key_at(computation->deleted % PARTS);
  ck_assert_int_eq(fcache_delete(computation->deleted == PARTS ? pair.worker : pair.other, &key),
                   FCACHE_MISS);
  return fcache_value_set(value, "computed", 8);
}

START_TEST(delete_during_computation_rejects_put_of_its_key) {
  struct fcache_key key = key_at(0);
  for (size_t i = 0; i <= PARTS; i++) {
    struct computation computation = {i};
    struct fcache_value value = {0};
    ck_assert_int_eq(fcache_cached(pair.worker, &key, compute, &computation, &value), FCACHE_OK);
    ck_assert_mem_eq(value.data, "computed", 8); /* the caller has its value in any case */
    fcache_value_free(&value);
    ck_assert_int_eq(is_stored(0), i % PARTS != 0);
    (void)fcache_delete(pair.worker, &key); /* there was an entry or not */
  }
  ck_assert_uint_eq(library_stat(pair.other, "puts_stale"), 2);
}
END_TEST

/* Thousands of deletes take away nothing from results that others compute. */
START_TEST(many_deletes_accept_puts_of_others) {
  struct fcache_key key = key_at(0), gone = key_at(1);
  struct fcache_value value = {0};
  char prompt[24];
  ck_assert_int_eq(fcache_get(pair.worker, &key, 0, &value), FCACHE_MISS);
  for (int i = 0; i < 5000; i++) {
    (void)snprintf(prompt, sizeof prompt, "gone %d", i);
    gone.prompt = fcache_hash(prompt, strlen(prompt));
    ck_assert_int_eq(fcache_delete(pair.other, &gone), FCACHE_MISS);
  }
  ck_assert_int_eq(fcache_put(pair.worker, &key, "value", 5, 0, 0), FCACHE_OK);
  ck_assert(is_stored(0));
}
END_TEST

/* The waiter computes, and its result is stored. That of the first owner is stale. */
START_TEST(delete_of_leased_key_grants_the_lease_to_the_waiter) {
  struct fcache_key key = key_at(0);
  struct fcache_value value = {0};
  struct raw raw;
  struct fc_reply reply;
  uint32_t id;
  struct fc_get get = {.flags = FC_LEASE,
                       .key = raw_key("op", "base", 5, "p"),
                       .has_terms = true,
                       .terms = {.lease_ms = 60000, .wait_ms = 60000}};
  ck_assert_int_eq(fcache_get(pair.worker, &key, FCACHE_LEASE, &value), FCACHE_LEASED);
  raw_open(&raw, pair.daemon.socket, "shared");
  ck_assert_int_eq(raw_send_get(&raw, &get, &id), 0);
  ck_assert_int_eq(fcache_delete(pair.other, &key), FCACHE_MISS);
  ck_assert_int_eq(raw_recv(&raw, &reply, 20000), RAW_REPLY);
  ck_assert(reply.get.value == NULL && reply.get.lease == FC_LEASE_GRANTED);
  ck_assert_int_eq(fcache_put(pair.worker, &key, "old", 3, 0, 0), FCACHE_NOT_STORED);
  ck_assert(!is_stored(0));
  raw_close(&raw);
}
END_TEST

START_TEST(delete_without_daemon_is_unavailable) {
  struct fcache_key key = key_at(0), unnamed = {.op = "", .view = "base"};
  ck_assert_int_eq(fcache_delete(pair.worker, &unnamed), FCACHE_ENAME);
  ck_assert_int_eq(harness_stop(&pair.daemon), 0);
  ck_assert_int_eq(fcache_delete(pair.worker, &key), FCACHE_EUNAVAILABLE);
  harness_start(&pair.daemon, NULL);
  ck_assert_int_eq(fcache_delete(pair.worker, &key), FCACHE_MISS); /* despite the back-off */
}
END_TEST

int main(void) {
  Suite *suite = suite_create("deleting");
  TCase *tests = tcase_create("deleting");
  tcase_add_checked_fixture(tests, pair_set_up, pair_tear_down);
  tcase_add_loop_test(tests, delete_removes_its_key_alone, 0, 2);
  tcase_add_test(tests, delete_during_computation_rejects_put_of_its_key);
  tcase_add_test(tests, many_deletes_accept_puts_of_others);
  tcase_add_test(tests, delete_of_leased_key_grants_the_lease_to_the_waiter);
  tcase_add_test(tests, delete_without_daemon_is_unavailable);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
