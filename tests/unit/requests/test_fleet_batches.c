/* get_many that asks the fleet: the fills of a part begin together, and the session is parked until
 * all of them are resolved. */
#include <string.h>

#include "daemon/requests/handlers.h"
#include "tests/support/dispatch_fleet.h"
#include "tests/support/dispatch_leases.h"
#include "tests/support/runner.h"

#define SIZE 40u
#define KEYS_MAX 600u
#define ID 300u

static struct test_client *const one = &test_clients[0], *const two = &test_clients[1];
static struct latency latency;

static void set_up(void) {
  dispatch_set_up(&(struct dispatch_options){.store_bytes = 16u << 20});
  latency_reset(&latency, 1);
  dispatch.latency = &latency;
  dispatch.leases.limits = leases_limits_of(8 * KEYS_MAX, 3600000);
  dispatch.leases.highest = dispatch.leases.limits;
  dispatch_fleet_start();
}

static void tear_down(void) {
  dispatch_fleet_stop();
  dispatch_tear_down();
}

/* Returns a get_many of keys `first` to first + n - 1. */
static struct fc_buf many(uint32_t first, uint32_t n, uint32_t flags) {
  static uint8_t prompts[KEYS_MAX * FC_HASH_SIZE];
  struct fc_buf request = {0};
  struct fc_get_many message = {.flags = flags,
                                .key = request_key(0),
                                .prompts = prompts,
                                .n = n,
                                .has_terms = (flags & FC_LEASE) != 0,
                                .terms.lease_ms = 60000};
  ck_assert_uint_le(n, KEYS_MAX);
  for (uint32_t i = 0; i < n; i++) {
    struct fc_key key = request_key(first + i);
    memcpy(prompts + (size_t)i * FC_HASH_SIZE, key.prompt.bytes, FC_HASH_SIZE);
  }
  ck_assert_int_eq(fc_encode_get_many(&request, ID, &message), 0);
  return request;
}

/* Runs the request to its end, and settles each time that it is parked. Returns how often it was.
 */
static unsigned run(struct test_client *client, struct fc_buf *request) {
  unsigned parks = 0;
  for (enum dispatch_result result = DISPATCH_RETRY; result == DISPATCH_RETRY;) {
    client->resumes = 0;
    result = client_dispatch(client, request);
    ck_assert(result == DISPATCH_RETRY || result == DISPATCH_DONE);
    if (!client->session.waits_for_fleet)
      continue;
    parks++;
    dispatch_fleet_settle();
    ck_assert_uint_eq(client->resumes, 1);
  }
  fc_buf_free(request);
  return parks;
}

/* Returns the lease states of the misses of the next part, which has `n` values: 'h' for a hit of
 * its key's value, else 'n', 'g' or 't' for none, granted or taken. */
static const char *part(struct test_client *client, uint32_t first, uint32_t n) {
  static char text[KEYS_MAX + 1];
  struct fc_get_many_reply reply = client_reply(client).get_many;
  uint32_t misses = 0;
  ck_assert_uint_eq(reply.values.n, n);
  for (uint32_t i = 0; i < n; i++) {
    const uint8_t *value;
    uint32_t size;
    fc_bins_next(&reply.values, &value, &size);
    if (value != NULL)
      ck_assert(size > 0 && value[0] == (uint8_t)(first + reply.first + i));
    text[i] = value != NULL ? 'h' : "ngt"[reply.n_leases == 0 ? 0 : reply.leases[misses]];
    misses += value == NULL;
  }
  text[n] = '\0';
  return text;
}

START_TEST(part_asks_for_all_misses_at_once) {
  static const char *const expected = "hghtg";
  ck_assert_int_eq(put(two, 1, SIZE).put, FC_STORED); /* key 2 is nowhere */
  dispatch_fleet_publish(3, SIZE);
  dispatch_fleet_lease(4, true);
  struct fc_buf request = many(1, 5, FC_LEASE);
  uint64_t before_ns = call_clock_ns();
  ck_assert_int_eq(client_dispatch(one, &request), DISPATCH_RETRY);
  ck_assert_uint_eq(fake_io.submitted[FLEET_OP_READ], 4);
  ck_assert_uint_eq(fake_io.submitted[FLEET_OP_VERSION], 1);
  ck_assert_uint_eq(fleet.n_parked, 1);
  ck_assert_uint_le(run(one, &request), 4);
  ck_assert_str_eq(part(one, 1, 5), expected);
  const struct counters *counts = &one->session.ns->counters;
  ck_assert_uint_eq(counts->hits, 2);
  ck_assert_uint_eq(counts->shared_hits, 2);
  ck_assert_uint_eq(counts->saved_wall_ns, DISPATCH_COMPUTE_NS + 1000);
  ck_assert_uint_le(counts->scoring_wall_ns, call_clock_ns() - before_ns);
  ck_assert_uint_eq(latency.kinds[LATENCY_TIER].count, 1);
  ck_assert_uint_eq(one->session.leases.sharing.n, 0);
}
END_TEST

START_TEST(get_many_without_lease_asks_nothing) {
  struct fc_buf request = many(1, 5, 0);
  ck_assert_uint_eq(run(one, &request), 0);
  ck_assert_uint_eq(fake_io.submitted[FLEET_OP_READ], 0);
  ck_assert_str_eq(part(one, 1, 5), "nnnnn");
}
END_TEST

/* Parts have 256 keys at most, and 256 KiB of values. */
START_TEST(each_part_asks_once_for_its_keys) {
  for (uint32_t n = 1; n <= KEYS_MAX; n++)
    if (n % 3 != 0)
      dispatch_fleet_publish(n, SIZE);
  struct fc_buf request = many(1, KEYS_MAX, FC_LEASE);
  ck_assert_uint_ge(run(one, &request), 3);
  ck_assert_uint_eq(fake_io.submitted[FLEET_OP_READ], KEYS_MAX);
  for (uint32_t first = 0; first < KEYS_MAX;) {
    uint32_t n = KEYS_MAX - first < 256 ? KEYS_MAX - first : 256;
    const char *states = part(one, 1, n);
    for (uint32_t i = 0; i < n; i++)
      ck_assert_int_eq(states[i], (first + i + 1) % 3 != 0 ? 'h' : 'g');
    first += n;
  }
  ck_assert_uint_eq(one->session.ns->counters.hits, KEYS_MAX / 3 * 2);
}
END_TEST

/* The values that the fills store make the part too large. The rest is of the next part, and is not
 * asked for again. */
START_TEST(part_that_grows_is_cut_and_asks_no_key_again) {
  enum { N = 100 };
  for (uint32_t n = 1; n <= N; n++)
    if (n % 10 != 0)
      dispatch_fleet_publish(n, DISPATCH_VALUE_MAX);
  struct fc_buf request = many(1, N, FC_LEASE);
  (void)run(one, &request);
  ck_assert_uint_eq(fake_io.submitted[FLEET_OP_READ], N);
  ck_assert_uint_eq(one->session.ns->counters.hits, N / 10 * 9);
  ck_assert_uint_eq(dispatch.leases.n, N / 10);
  ck_assert_uint_ge(one->n, 2 + 1); /* parts, behind the welcome */
}
END_TEST

START_TEST(batch_at_deadline_goes_on_without_tier) {
  struct fc_buf request = many(1, 3, FC_LEASE);
  ck_assert_int_eq(client_dispatch(one, &request), DISPATCH_RETRY);
  dispatch_fleet_be_late();
  ck_assert_uint_eq(one->resumes, 1);
  ck_assert_int_eq(client_send(one, &request), DISPATCH_DONE);
  ck_assert_str_eq(part(one, 1, 3), "ggg");
  ck_assert_uint_eq(fake_io.submitted[FLEET_OP_READ], 3);
}
END_TEST

START_TEST(batch_dispatched_early_waits_for_fills_that_are_left) {
  struct fc_buf request = many(1, 2, FC_LEASE);
  ck_assert_int_eq(client_dispatch(one, &request), DISPATCH_RETRY);
  ck_assert_int_eq(client_dispatch(one, &request), DISPATCH_RETRY);
  ck_assert_uint_eq(fleet.n_parked, 1);
  ck_assert_int_eq(put(two, 1, SIZE).put, FC_STORED); /* of the key that it is parked on */
  ck_assert_int_eq(client_dispatch(one, &request), DISPATCH_RETRY);
  ck_assert_uint_eq(fleet.n_parked, 1);
  ck_assert_int_eq(put(two, 2, SIZE).put, FC_STORED);
  ck_assert_int_eq(client_send(one, &request), DISPATCH_DONE);
  ck_assert_str_eq(part(one, 1, 2), "hh");
  ck_assert_uint_eq(fleet.n_parked, 0);
  ck_assert_uint_eq(fake_io.submitted[FLEET_OP_READ], 2);
}
END_TEST

START_TEST(puts_of_batch_publish_and_release) {
  struct fc_buf request = many(1, 3, FC_LEASE);
  (void)run(one, &request);
  ck_assert_str_eq(part(one, 1, 3), "ggg");
  for (uint8_t n = 1; n <= 3; n++)
    ck_assert_int_eq(put(one, n, SIZE).put, FC_STORED);
  dispatch_fleet_settle();
  for (uint8_t n = 1; n <= 3; n++) {
    ck_assert(dispatch_fleet_has(n, FLEET_KEY_VALUE));
    ck_assert(!dispatch_fleet_has(n, FLEET_KEY_LEASE));
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fleet_batches");
  TCase *tcase = tcase_create("fleet_batches");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, part_asks_for_all_misses_at_once);
  tcase_add_test(tcase, get_many_without_lease_asks_nothing);
  tcase_add_test(tcase, each_part_asks_once_for_its_keys);
  tcase_add_test(tcase, part_that_grows_is_cut_and_asks_no_key_again);
  tcase_add_test(tcase, batch_at_deadline_goes_on_without_tier);
  tcase_add_test(tcase, batch_dispatched_early_waits_for_fills_that_are_left);
  tcase_add_test(tcase, puts_of_batch_publish_and_release);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
