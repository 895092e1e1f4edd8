/* Rings through the dispatcher: which clients get one, and requests for another. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "proto/errors.h"
#include "proto/shm/region_layout.h"
#include "tests/support/dispatch_rings.h"
#include "tests/support/runner.h"

static void assert_given_none(struct fc_hello hello) {
  struct fc_welcome welcome = client_hello(one, hello);
  ck_assert_uint_eq(welcome.namespace_id, 0);
  ck_assert_uint_eq(welcome.client_id, 0);
  ck_assert_int_eq(one->fds[0], -1);
  ck_assert_ptr_null(one->session.ring);
  ck_assert_uint_eq(dispatch.rings.n, 0);
  ck_assert(one->session.handshake_done);
}

static struct fc_ring_reply request_ring(struct test_client *client, uint32_t layout,
                                         uint32_t want_slots) {
  struct fc_buf request = {0};
  struct fc_ring_request ring = {layout, want_slots};
  ck_assert_int_eq(fc_encode_ring(&request, 3, &ring), 0);
  ck_assert_int_eq(client_send(client, &request), DISPATCH_DONE);
  struct fc_reply reply = client_last_reply(client);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_RING);
  ck_assert_uint_eq(reply.id, 3);
  return reply.ring;
}

/* Sends a hello of version 5, so that the client's ring can grow. */
static void join_version_5(struct test_client *client) {
  struct fc_hello hello = client_hello_of(4);
  hello.version_max = FC_PROTOCOL_VERSION;
  (void)client_hello(client, hello);
  client_open_ring(client);
}

static uint64_t stat_of(const char *name) {
  struct fc_buf request = {0};
  struct fc_stats_walk walk = {0};
  struct fc_stat stat;
  ck_assert_int_eq(fc_encode_stats(&request, 1, (struct fc_str){0}), 0);
  ck_assert_int_eq(client_send(one, &request), DISPATCH_DONE);
  struct fc_reply reply = client_last_reply(one);
  while (fc_stats_next(&reply.stats, &walk, &stat))
    if (fc_str_equal(stat.name, fc_str_of(name)))
      return stat.integer;
  ck_abort_msg("stats have no %s", name);
  return 0;
}

START_TEST(hello_with_region_layout_gets_region_and_ring) {
  struct fc_welcome welcome = client_hello(one, client_hello_of(4));
  ck_assert_uint_eq(welcome.namespace_id, one->session.ns->seed);
  ck_assert_uint_eq(welcome.client_id, 11);
  ck_assert_int_ge(one->fds[0], 0);
  ck_assert_ptr_nonnull(one->session.ring);
  ck_assert_uint_eq(dispatch.rings.n, 1);
  client_open_ring(one);
  dispatch_client_gone(&dispatch, &one->session);
  ck_assert_ptr_null(one->session.ring);
  ck_assert_uint_eq(dispatch.rings.n, 0);
}
END_TEST

START_TEST(hello_without_means_gets_no_ring) {
  struct fc_hello hello = client_hello_of(4);
  switch (_i) {
  case 0:
    hello.region_layout = 0;
    break;
  case 1:
    hello.region_layout = FC_REGION_LAYOUT + 1;
    break;
  case 2:
    hello.name_space = (struct fc_str){0};
    break;
  case 3:
    hello.version_max = 1;
    break;
  case 4:
    dispatch.region = NULL;
    break;
  case 5:
    dispatch.rings.config.pool_bytes = 1000;
    break;
  default:
    one->no_fds = true;
    break;
  }
  assert_given_none(hello);
}
END_TEST

START_TEST(ring_request_replaces_ring_with_larger) {
  dispatch.rings.base_slots = FC_RING_SLOTS_MIN;
  join_version_5(one);
  ck_assert_int_eq(put(one, 1), DISPATCH_DONE);
  hit(one, 1);
  struct fc_ring_reply reply = request_ring(one, FC_REGION_LAYOUT, 2048);
  ck_assert_uint_eq(reply.namespace_id, one->session.ns->seed);
  ck_assert_uint_eq(reply.client_id, 11);
  ck_assert_uint_eq(dispatch.totals->counters.hits, 1);
  client_open_ring(one);
  ck_assert_uint_eq(one->writer.header->n_slots, 2048);
  hit(one, 1);
  ck_assert_int_eq(ping(one), DISPATCH_DONE);
  ck_assert_uint_eq(dispatch.totals->counters.hits, 2);
  ck_assert_uint_eq(one->session.ring->account.hits, 2);
  ck_assert_uint_eq(dispatch.rings.n, 1);
  /* A ring that is no larger is refused. One of the ordinary size is granted. */
  ck_assert_uint_eq(request_ring(one, FC_REGION_LAYOUT, 2048).namespace_id, 0);
  ck_assert_int_eq(one->fds[0], -1);
  ck_assert_uint_ne(request_ring(one, FC_REGION_LAYOUT, 0).namespace_id, 0);
  client_open_ring(one);
  ck_assert_uint_eq(one->writer.header->n_slots, FC_RING_SLOTS_MIN);
  ck_assert_uint_eq(stat_of("rings"), 1);
  ck_assert_uint_eq(stat_of("rings_bytes"), rings_charge(FC_RING_SLOTS_MIN));
}
END_TEST

START_TEST(ring_request_without_ring_gets_one_when_pool_has_room) {
  size_t pool_bytes = dispatch.rings.config.pool_bytes;
  dispatch.rings.config.pool_bytes = 1000;
  ck_assert_uint_eq(client_hello(one, client_hello_of(4)).namespace_id, 0);
  ck_assert_uint_eq(stat_of("clients_without_ring"), 1);
  ck_assert_uint_eq(request_ring(one, FC_REGION_LAYOUT, 0).namespace_id, 0);
  struct fc_hello without = client_hello_of(4);
  without.region_layout = 0;
  (void)client_hello(other, without);
  ck_assert_uint_eq(stat_of("clients_without_ring"), 1); /* the other requested none */
  dispatch.rings.config.pool_bytes = pool_bytes;
  ck_assert_uint_ne(request_ring(one, FC_REGION_LAYOUT, _i == 0 ? 0 : 4096).namespace_id, 0);
  client_open_ring(one);
  ck_assert_uint_eq(stat_of("clients_without_ring"), 0);
  ck_assert_int_eq(put(one, 1), DISPATCH_DONE);
  hit(one, 1);
  ck_assert_int_eq(ping(one), DISPATCH_DONE);
  ck_assert_uint_eq(dispatch.totals->counters.hits, 1);
}
END_TEST

START_TEST(ring_request_refused_keeps_old_ring) {
  dispatch.rings.base_slots = FC_RING_SLOTS_MIN;
  join_version_5(one);
  hit(one, 1);
  if (_i == 0)
    one->no_fds = true;
  else if (_i == 1)
    traced_fall_behind(&traced);
  struct fc_ring_reply reply =
      request_ring(one, _i == 2 ? FC_REGION_LAYOUT + 1 : FC_REGION_LAYOUT, FC_RING_SLOTS_MAX);
  ck_assert_uint_eq(reply.namespace_id, 0);
  ck_assert_uint_eq(reply.client_id, 0);
  ck_assert_int_eq(one->fds[0], -1);
  ck_assert_uint_eq(dispatch.rings.n, 1);
  traced_write_out(&traced);
  hit(one, 2);
  ck_assert_int_eq(ping(one), DISPATCH_DONE);
  ck_assert_uint_eq(dispatch.totals->counters.hits, 2);
}
END_TEST

/* A client of version 5 sends a ping after its first hit. Until then the daemon does not read its
 * ring. */
START_TEST(new_ring_among_many_is_asleep) {
  static struct test_client many[RINGS_AWAKE - 1];
  struct fc_hello hello = client_hello_of(4);
  for (unsigned i = 0; i < RINGS_AWAKE - 1; i++) {
    client_init(&many[i], DISPATCH_CLIENTS + i);
    (void)client_hello(&many[i], hello);
    client_close_fds(&many[i]);
  }
  join(other);
  join_version_5(one);
  ck_assert_uint_eq(one->writer.header->state, FC_RING_ASLEEP);
  hit(one, 1);
  ck_assert_int_eq(ping(other), DISPATCH_DONE);
  ck_assert_uint_eq(dispatch.totals->counters.hits, 0);
  ck_assert_int_eq(ping(one), DISPATCH_DONE);
  ck_assert_uint_eq(dispatch.totals->counters.hits, 1);
  ck_assert_uint_eq(one->writer.header->state, 0);
  hit(one, 2);
  ck_assert_int_eq(ping(other), DISPATCH_DONE);
  ck_assert_uint_eq(dispatch.totals->counters.hits, 2);
  for (unsigned i = 0; i < RINGS_AWAKE - 1; i++)
    client_free(&many[i]);
}
END_TEST

START_TEST(corrupt_ring_closes_its_connection_only) {
  join(one);
  join(other);
  atomic_store_explicit(&one->writer.header->head, UINT64_MAX, memory_order_release);
  ck_assert_ptr_null(dispatch_session_error(&one->session));
  ck_assert_int_eq(ping(one), DISPATCH_CLOSE);
  struct fc_reply reply = client_last_reply(one);
  ck_assert_int_eq(reply.type, FC_ERROR);
  ck_assert_int_eq(reply.error.code, FC_EPROTOCOL);
  ck_assert_ptr_nonnull(memmem(reply.error.text.data, reply.error.text.size, "head", 4));
  ck_assert_uint_eq(dispatch.totals->dropped, 1);
  dispatch_client_gone(&dispatch, &one->session);
  ck_assert_int_eq(ping(other), DISPATCH_DONE);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ring_requests");
  TCase *tcase = tcase_create("ring_requests");
  tcase_add_checked_fixture(tcase, set_up_rings, dispatch_tear_down);
  tcase_add_test(tcase, hello_with_region_layout_gets_region_and_ring);
  tcase_add_loop_test(tcase, hello_without_means_gets_no_ring, 0, 7);
  tcase_add_test(tcase, ring_request_replaces_ring_with_larger);
  tcase_add_loop_test(tcase, ring_request_without_ring_gets_one_when_pool_has_room, 0, 2);
  tcase_add_loop_test(tcase, ring_request_refused_keeps_old_ring, 0, 3);
  tcase_add_test(tcase, new_ring_among_many_is_asleep);
  tcase_add_test(tcase, corrupt_ring_closes_its_connection_only);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
