/* Leases beyond the table of rules: times, due waits, keys, clears, listings. */
#include <check.h>
#include <string.h>

#include "tests/support/leases_fixture.h"
#include "tests/support/runner.h"

static struct lease_client *const a = &lease_clients[0], *const b = &lease_clients[1],
                                  *const c = &lease_clients[2];

static enum lease_answer acquire_for(struct lease_client *client, uint64_t term_ns,
                                     uint64_t wait_ns) {
  struct fc_key key = lease_key(1);
  struct lease_request request = lease_request(&key);
  request.term_ns = term_ns;
  request.wait_ns = wait_ns;
  return leases_acquire(&leases, client, &request, NOW);
}

START_TEST(wait_expired_ends_with_none) {
  ck_assert_int_eq(acquire_for(a, 100, 100), LEASE_GRANTED);
  ck_assert_int_eq(acquire_for(b, 100, 50), LEASE_WAITS);
  ck_assert_uint_eq(leases_next_ns(&leases), NOW + 50);
  leases_expire(&leases, NOW + 49);
  ck_assert_uint_eq(b->waits, 1);
  leases_expire(&leases, NOW + 50);
  ck_assert_int_eq(b->due_first->end, LEASE_END_NONE);
  ck_assert_uint_eq(leases.waits, 0);
  ck_assert_uint_eq(leases_next_ns(&leases), NOW + 100);
  ck_assert_uint_eq(counters.lease_wait_ns, 50);
}
END_TEST

/* One client waits for three keys at a time. The three waits share its time. */
START_TEST(overlapping_waits_share_time) {
  struct fc_key keys[] = {lease_key(1), lease_key(2), lease_key(3)};
  struct lease_request request;
  for (size_t i = 0; i < 3; i++) {
    request = lease_request(&keys[i]);
    ck_assert_int_eq(leases_acquire(&leases, a, &request, NOW), LEASE_GRANTED);
    request = lease_request(&keys[i]);
    ck_assert_int_eq(leases_acquire(&leases, b, &request, NOW), LEASE_WAITS);
    request = lease_request(&keys[i]);
    ck_assert_int_eq(leases_acquire(&leases, c, &request, NOW), LEASE_WAITS);
  }
  lease_put(2, NOW + 90);
  ck_assert_uint_eq(b->due_first->wall_ns, 30);
  lease_put(1, NOW + 100);
  lease_put(3, NOW + 100);
  uint64_t walls_ns = 0;
  for (const struct lease_wait *wait = b->due_first; wait != NULL; wait = wait->next_of_client)
    walls_ns += wait->wall_ns;
  ck_assert_uint_eq(walls_ns, 100);
  ck_assert_uint_eq(counters.lease_wait_ns, 200); /* of the two that waited */
  ck_assert_uint_eq(space.counters.lease_wait_ns, 200);
}
END_TEST

/* A waiter gets the lease if the lease ended before its wait, even if the timer is late, and not
 * otherwise. */
START_TEST(late_expire_keeps_order_of_times) {
  ck_assert_int_eq(acquire_for(a, 100, 100), LEASE_GRANTED);
  ck_assert_int_eq(acquire_for(b, 100, 99), LEASE_WAITS);
  ck_assert_int_eq(acquire_for(c, 100, 100), LEASE_WAITS);
  leases_expire(&leases, NOW + 150);
  ck_assert_int_eq(b->due_first->end, LEASE_END_NONE);
  ck_assert_int_eq(c->due_first->end, LEASE_END_GRANTED);
  ck_assert_uint_eq(leases_next_ns(&leases), NOW + 250);
  ck_assert_uint_eq(counters.lease_wait_ns, 300);
}
END_TEST

START_TEST(due_clients_queued_in_order_once) {
  ck_assert_int_eq(lease_acquire(a, 1), LEASE_GRANTED);
  ck_assert_int_eq(lease_acquire(a, 2), LEASE_GRANTED);
  ck_assert_int_eq(lease_acquire(c, 2), LEASE_WAITS);
  ck_assert_int_eq(lease_acquire(b, 1), LEASE_WAITS);
  ck_assert_int_eq(lease_acquire(b, 2), LEASE_WAITS);
  lease_put(1, NOW);
  lease_put(2, NOW);
  ck_assert_ptr_eq(leases_next_due(&leases), b);
  ck_assert_uint_eq(b->due, 2);
  ck_assert_ptr_eq(leases_next_due(&leases), c);
  ck_assert_ptr_null(leases_next_due(&leases)); /* b and c had no room for replies */
  ck_assert_int_eq(lease_acquire(a, 1), LEASE_GRANTED);
  ck_assert_int_eq(lease_acquire(c, 1), LEASE_WAITS);
  lease_put(1, NOW);
  ck_assert_ptr_eq(leases_next_due(&leases), c);
  ck_assert_uint_eq(c->due, 2);
  ck_assert_ptr_null(leases_next_due(&leases));
}
END_TEST

START_TEST(answered_or_gone_client_not_due) {
  ck_assert_int_eq(lease_acquire(a, 1), LEASE_GRANTED);
  for (size_t i = 1; i < CLIENTS; i++)
    ck_assert_int_eq(lease_acquire(&lease_clients[i], 1), LEASE_WAITS);
  lease_put(1, NOW);
  leases_due_done(&leases, &lease_clients[1]);
  leases_client_gone(&leases, &lease_clients[4], NOW); /* the queue's last */
  leases_client_gone(&leases, &lease_clients[2], NOW); /* in its middle */
  ck_assert_ptr_eq(leases_next_due(&leases), &lease_clients[3]);
  ck_assert_ptr_null(leases_next_due(&leases));
}
END_TEST

/* The reply and the trace need these, even after the lease has ended. */
START_TEST(due_wait_keeps_request_and_key) {
  char probe[] = "probe";
  struct fc_key key = lease_key(9);
  struct lease_request request = lease_request(&key);
  ck_assert_int_eq(lease_acquire(a, 9), LEASE_GRANTED);
  request.id = 77;
  request.flags = FC_LEASE | FC_UNRECORDED;
  request.probe = fc_str_of(probe);
  ck_assert_int_eq(leases_acquire(&leases, b, &request, NOW + 3), LEASE_WAITS);
  request.probe = (struct fc_str){0};
  ck_assert_int_eq(leases_acquire(&leases, c, &request, NOW + 3), LEASE_WAITS);
  probe[0] = 'x';
  lease_put(9, NOW + 5);
  const struct lease_wait *wait = b->due_first;
  ck_assert_uint_eq(wait->id, 77);
  ck_assert_uint_eq(wait->flags, FC_LEASE | FC_UNRECORDED);
  ck_assert_uint_eq(wait->since_ns, NOW + 3);
  ck_assert(fc_str_equal(wait->probe, fc_str_of("probe")));
  ck_assert_ptr_null(c->due_first->probe.data);
  ck_assert_ptr_null(wait->lease->owner);
  ck_assert_ptr_eq(wait->lease->ns, &space);
  ck_assert(fc_str_equal(wait->lease->key.op, key.op));
  ck_assert(fc_str_equal(wait->lease->key.view, key.view));
  ck_assert_mem_eq(&wait->lease->key.prompt, &key.prompt, sizeof key.prompt);
}
END_TEST

/* Under one digest, each differs in one part of the key. */
START_TEST(equal_digests_keys_distinct) {
  struct fc_key keys[6];
  for (size_t i = 0; i < 6; i++)
    keys[i] = lease_key(1);
  keys[1].op = fc_str_of("logprob_oF");
  keys[2].view = fc_str_of("bas");
  keys[3].top_k = 1;
  keys[4].prompt.bytes[FC_HASH_SIZE - 1] = 1;
  for (size_t i = 0; i < 6; i++) {
    struct lease_request request = lease_request(&keys[i]);
    request.digest = 5;
    request.ns = i == 5 ? &other_space : &space;
    ck_assert_int_eq(leases_acquire(&leases, a, &request, NOW), LEASE_GRANTED);
  }
  for (size_t i = 6; i-- > 0;) {
    struct lease_request request = lease_request(&keys[i]);
    request.digest = 5;
    request.ns = i == 5 ? &other_space : &space;
    ck_assert_int_eq(leases_acquire(&leases, b, &request, NOW), LEASE_WAITS);
    leases_put(&leases, request.ns, 5, &keys[i], NOW);
    ck_assert_uint_eq(b->waits, 0);
    ck_assert_uint_eq(leases.n, i);
  }
  ck_assert_uint_eq(space.counters.leases_granted, 5);
  ck_assert_uint_eq(other_space.counters.leases_granted, 1);
  ck_assert_uint_eq(counters.leases_granted, 6);
}
END_TEST

struct clear_case {
  bool other_space;
  const char *view, *op;
  uint32_t left; /* of the eight leases */
};

static const struct clear_case clear_cases[] = {
    {false, "base", "roll", 7}, {false, "ft", NULL, 6},     {false, NULL, "roll", 6},
    {true, NULL, NULL, 4},      {true, "nothing", NULL, 8},
};

static void get_eight(void) {
  const char *const views[] = {"base", "ft"}, *const ops[] = {"roll", "logprob_of"};
  for (size_t i = 0; i < 8; i++) {
    struct fc_key key = {.op = fc_str_of(ops[i % 2]), .view = fc_str_of(views[i / 2 % 2])};
    struct lease_request request = lease_request(&key);
    request.ns = i < 4 ? &space : &other_space;
    request.digest = fc_key_digest(request.ns->seed, &key);
    ck_assert_int_eq(leases_acquire(&leases, a, &request, NOW), LEASE_GRANTED);
  }
}

START_TEST(clear_ends_selected_leases) {
  const struct clear_case *clear = &clear_cases[_i];
  get_eight();
  leases_clear(&leases, clear->other_space ? &other_space : &space, fc_str_of(clear->view),
               fc_str_of(clear->op), NOW);
  ck_assert_uint_eq(leases.n, clear->left);
  ck_assert_uint_eq(a->held, clear->left);
  ck_assert_uint_eq(clear->other_space ? other_space.counters.leases_abandoned
                                       : space.counters.leases_abandoned,
                    8 - clear->left);
}
END_TEST

START_TEST(listing_ordered_by_serial) {
  for (uint8_t prompt = 1; prompt <= 3; prompt++)
    ck_assert_int_eq(lease_acquire(a, prompt), LEASE_GRANTED);
  ck_assert_int_eq(lease_acquire(b, 1), LEASE_WAITS);
  ck_assert(lease_give_up(a, 1, false, NOW)); /* it is b's now, and the last */
  const uint8_t expected[] = {2, 3, 1};
  uint64_t serial = 0;
  for (size_t i = 0; i < 3; i++) {
    const struct lease *lease = leases_after(&leases, serial);
    ck_assert_ptr_nonnull(lease);
    ck_assert_uint_gt(lease->serial, serial);
    ck_assert_uint_eq(lease->key.prompt.bytes[0], expected[i]);
    serial = lease->serial;
  }
  ck_assert_ptr_null(leases_after(&leases, serial));
}
END_TEST

#define MANY 20000u

static struct fc_key numbered(uint32_t i) {
  struct fc_key key = lease_key(3);
  memcpy(key.prompt.bytes + 4, &i, sizeof i);
  return key;
}

/* Each lease is found while the table grows. */
START_TEST(many_leases_all_found) {
  for (uint32_t i = 0; i < MANY; i++) {
    struct fc_key key = numbered(i);
    struct lease_request request = lease_request(&key);
    if (leases_acquire(&leases, &lease_clients[i % CLIENTS], &request, NOW) != LEASE_GRANTED)
      ck_abort_msg("not granted: %u", i);
  }
  ck_assert_uint_eq(leases.n, MANY);
  ck_assert_uint_le(leases.n_buckets, 2 * MANY);
  ck_assert_uint_ge(leases.n_buckets, MANY);
  for (uint32_t i = 0; i < MANY; i++) {
    struct fc_key key = numbered(i);
    if (!leases_give_up(&leases, &lease_clients[i % CLIENTS], &space,
                        fc_key_digest(space.seed, &key), &key, false, NOW))
      ck_abort_msg("not found: %u", i);
  }
  ck_assert_uint_eq(leases.n, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("leases");
  TCase *tcase = tcase_create("leases");
  tcase_add_checked_fixture(tcase, leases_fixture_start, leases_fixture_end);
  tcase_set_timeout(tcase, 30);
  tcase_add_test(tcase, wait_expired_ends_with_none);
  tcase_add_test(tcase, overlapping_waits_share_time);
  tcase_add_test(tcase, late_expire_keeps_order_of_times);
  tcase_add_test(tcase, due_clients_queued_in_order_once);
  tcase_add_test(tcase, answered_or_gone_client_not_due);
  tcase_add_test(tcase, due_wait_keeps_request_and_key);
  tcase_add_test(tcase, equal_digests_keys_distinct);
  tcase_add_loop_test(tcase, clear_ends_selected_leases, 0,
                      sizeof clear_cases / sizeof clear_cases[0]);
  tcase_add_test(tcase, listing_ordered_by_serial);
  tcase_add_test(tcase, many_leases_all_found);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
