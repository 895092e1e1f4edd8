/* watch and events through the dispatcher: each kind of event with its fields, waits, and refusals.
 */
#include <check.h>
#include <string.h>

#include "daemon/requests/handlers.h"
#include "proto/errors.h"
#include "tests/support/dispatch_leases.h"
#include "tests/support/runner.h"

static struct test_client *const worker = &test_clients[0], *const second = &test_clients[1],
                                 *const watcher = &test_clients[2];

#define EVENTS_MAX 64u

static struct {
  struct fc_event events[EVENTS_MAX];
  uint32_t n;
} got;

static void hello(struct test_client *client, const char *name, const char *name_space) {
  struct fc_hello message = client_hello_of(FC_PROTOCOL_VERSION);
  message.client = fc_str_of(name);
  message.name_space = name_space == NULL ? (struct fc_str){0} : fc_str_of(name_space);
  (void)client_hello(client, message);
}

static void set_up(void) {
  static const struct dispatch_options options = {.rings = true};
  dispatch_set_up(&options);
  hello(worker, "worker", "ns");
  hello(second, "second", "ns");
  hello(watcher, "fcachectl", NULL);
  worker->session.admin = true;
}

static struct fc_reply subscribe(struct test_client *client, struct fc_watch wish) {
  struct fc_buf request = {0};
  ck_assert_int_eq(fc_encode_watch(&request, 7, &wish), 0);
  client_request(client, &request);
  return client_last_reply(client);
}

static void subscribe_to(uint32_t kinds) {
  struct fc_reply reply = subscribe(watcher, (struct fc_watch){.kinds = kinds});
  ck_assert_uint_eq(reply.type, FC_REPLY | FC_WATCH);
  ck_assert_uint_eq(reply.watching.buffer_bytes, EVENT_RING_BYTES);
}

static enum dispatch_result ask(uint32_t wait_ms) {
  struct fc_buf request = {0};
  ck_assert_int_eq(fc_encode_events(&request, 8, &(struct fc_events_request){wait_ms}), 0);
  return client_send(watcher, &request);
}

/* Sets `got`, whose names are valid until the watcher is freed. */
static void take(void) {
  ck_assert_int_eq(ask(0), DISPATCH_DONE);
  struct fc_reply reply = client_last_reply(watcher);
  ck_assert_uint_eq(reply.type, FC_REPLY | FC_EVENTS);
  ck_assert_uint_le(reply.list.n, EVENTS_MAX);
  got.n = 0;
  while (reply.list.n > 0)
    fc_events_next(&reply.list, &got.events[got.n++]);
}

static bool is(struct fc_str name, const char *text) {
  return text == NULL ? name.data == NULL : fc_str_equal(name, fc_str_of(text));
}

/* Returns the event number `i`, of that kind and client, about key `n` in "ns". */
static const struct fc_event *event_at(uint32_t i, enum fc_event_kind kind, const char *client,
                                       uint32_t n) {
  struct fc_key key = request_key(n);
  ck_assert_uint_lt(i, got.n);
  const struct fc_event *event = &got.events[i];
  ck_assert_uint_eq(event->kind, kind);
  ck_assert_uint_gt(event->time_ns, UINT64_C(1000000000000000000)); /* after 2001 */
  ck_assert(is(event->name_space, "ns") && is(event->client, client));
  ck_assert(is(event->key.op, "op") && is(event->key.view, "base") && event->has_prompt);
  ck_assert_mem_eq(event->key.prompt.bytes, key.prompt.bytes, FC_HASH_SIZE);
  ck_assert_uint_eq(event->key.top_k, key.top_k);
  return event;
}

static void put_costly(struct test_client *client, uint32_t n, uint32_t size, uint64_t cost_ns) {
  static const uint8_t value[2 * DISPATCH_VALUE_MAX];
  struct fc_buf request = {0};
  struct fc_put message = {
      .key = request_key(n), .value = value, .value_size = size, .compute_ns = cost_ns};
  ck_assert_int_eq(fc_encode_put_head(&request, 9, &message), 0);
  ck_assert_int_eq(fc_buf_append(&request, value, size), 0);
  client_request(client, &request);
}

static void get_plain(struct test_client *client, uint32_t n, uint32_t flags) {
  struct fc_buf request = {0};
  struct fc_get message = {.flags = flags, .key = request_key(n)};
  ck_assert_int_eq(fc_encode_get(&request, 9, &message), 0);
  client_request(client, &request);
}

START_TEST(lookups_and_puts_have_their_fields) {
  subscribe_to(0);
  get_plain(worker, 1, 0);
  put_costly(worker, 1, 100, 5000000);
  get_plain(second, 1, 0);
  put_costly(second, 2, 2 * DISPATCH_VALUE_MAX, 7);
  get_plain(second, 1, FC_UNRECORDED);
  get_plain(second, 3, FC_UNRECORDED);
  take();
  ck_assert_uint_eq(got.n, 4);
  ck_assert_uint_eq(event_at(0, FC_EVENT_MISS, "worker", 1)->detail, FC_MISS_PLAIN);
  const struct fc_event *put = event_at(1, FC_EVENT_PUT, "worker", 1);
  ck_assert(put->bytes == 100 && put->cost_ns == 5000000 && put->detail == FC_PUT_STORED);
  const struct fc_event *hit = event_at(2, FC_EVENT_HIT, "second", 1);
  ck_assert(hit->bytes == 100 && hit->cost_ns == 5000000 && hit->detail == FC_HIT_MESSAGE);
  put = event_at(3, FC_EVENT_PUT, "second", 2);
  ck_assert(put->bytes == (size_t)2 * DISPATCH_VALUE_MAX && put->detail == FC_PUT_TOO_BIG);
}
END_TEST

START_TEST(many_keys_have_an_event_each) {
  struct fc_buf request = {0};
  struct fc_key keys[] = {request_key(1), request_key(2), request_key(3)};
  uint8_t prompts[3 * FC_HASH_SIZE];
  for (int i = 0; i < 3; i++)
    memcpy(prompts + i * FC_HASH_SIZE, keys[i].prompt.bytes, FC_HASH_SIZE);
  put_costly(worker, 2, 10, 1);
  subscribe_to(0);
  struct fc_get_many many = {.flags = FC_LEASE, .key = keys[0], .prompts = prompts, .n = 3};
  ck_assert_int_eq(fc_encode_get_many(&request, 9, &many), 0);
  client_request(second, &request);
  take();
  ck_assert_uint_eq(got.n, 5);
  (void)event_at(0, FC_EVENT_LEASE, "second", 1);
  (void)event_at(1, FC_EVENT_LEASE, "second", 3);
  ck_assert_uint_eq(event_at(2, FC_EVENT_MISS, "second", 1)->detail, FC_MISS_GRANTED);
  ck_assert_uint_eq(event_at(3, FC_EVENT_MISS, "second", 3)->detail, FC_MISS_GRANTED);
  (void)event_at(4, FC_EVENT_HIT, "second", 2);
}
END_TEST

START_TEST(hits_in_a_ring_come_with_their_time) {
  put_costly(worker, 1, 100, 5000000);
  client_open_ring(second);
  subscribe_to(1u << FC_EVENT_HIT);
  struct fc_key key = request_key(1);
  client_record_hit(second, &key);
  take(); /* reads the rings, as each request */
  ck_assert_uint_eq(got.n, 1);
  const struct fc_event *hit = event_at(0, FC_EVENT_HIT, "second", 1);
  ck_assert(hit->bytes == 100 && hit->detail == FC_HIT_REGION);
}
END_TEST

START_TEST(leases_begin_and_end_with_their_reason) {
  subscribe_to(1u << FC_EVENT_LEASE | 1u << FC_EVENT_HIT | 1u << FC_EVENT_MISS);
  get(worker, 1, 0);
  get(second, 1, 1000);
  (void)put(worker, 1, 10);
  get(worker, 2, 0);
  client_disconnect(worker);
  take();
  ck_assert_uint_eq(got.n, 8);
  ck_assert_uint_eq(event_at(0, FC_EVENT_LEASE, "worker", 1)->detail, FC_LEASE_BEGINS);
  ck_assert_uint_eq(event_at(1, FC_EVENT_MISS, "worker", 1)->detail, FC_MISS_GRANTED);
  ck_assert_uint_eq(event_at(2, FC_EVENT_MISS, "second", 1)->detail, FC_MISS_WAITS);
  const struct fc_event *end = event_at(3, FC_EVENT_LEASE, "worker", 1);
  ck_assert(end->detail == FC_LEASE_PUT && end->cost_ns > 0);
  ck_assert_uint_eq(event_at(4, FC_EVENT_HIT, "second", 1)->detail, FC_HIT_AFTER_WAIT);
  ck_assert_uint_eq(event_at(7, FC_EVENT_LEASE, "worker", 2)->detail, FC_LEASE_ENDED);
}
END_TEST

START_TEST(expired_lease_is_an_event) {
  subscribe_to(1u << FC_EVENT_LEASE);
  get(worker, 1, 0);
  leases_expire(&dispatch.leases, call_clock_ns() + UINT64_C(61000000000));
  take();
  ck_assert_uint_eq(got.n, 2);
  ck_assert_uint_eq(event_at(1, FC_EVENT_LEASE, "worker", 1)->detail, FC_LEASE_EXPIRED);
}
END_TEST

START_TEST(evictions_name_their_limit) {
  put_costly(worker, 1, 100, 5000000);
  get_plain(second, 1, 0);
  subscribe_to(1u << FC_EVENT_EVICTION);
  (void)store_limit_entries(&store, worker->session.ns, 1);
  put_costly(worker, 2, 100, 1);
  take();
  ck_assert_uint_eq(got.n, 1);
  const struct fc_event *event = event_at(0, FC_EVENT_EVICTION, NULL, 1);
  ck_assert_uint_eq(event->detail, FC_EVICTION_ENTRIES);
  ck_assert(event->bytes == 100 && event->cost_ns == 5000000 && event->count == 1);
  (void)store_limit_entries(&store, worker->session.ns, 1000);
  (void)store_limit_bytes(&store, worker->session.ns, 1);
  take();
  ck_assert_uint_eq(event_at(0, FC_EVENT_EVICTION, NULL, 2)->detail, FC_EVICTION_OWN_BYTES);
}
END_TEST

static void clear(struct test_client *client, struct fc_select select) {
  const struct fc_clear message = {.select = select};
  struct fc_buf request = {0};
  ck_assert_int_eq(fc_encode_clear(&request, 9, &message), 0);
  while (client_dispatch(client, &request) == DISPATCH_RETRY)
    ;
  fc_buf_free(&request);
}

START_TEST(clear_has_its_filter_and_number) {
  put_costly(worker, 1, 10, 1);
  put_costly(worker, 2, 10, 1);
  (void)subscribe(watcher, (struct fc_watch){.name_space = fc_str_of("ns"), .op = fc_str_of("op")});
  clear(worker, (struct fc_select){.name_space = fc_str_of("ns"), .view = fc_str_of("base")});
  clear(worker, (struct fc_select){.name_space = fc_str_of("ns"), .op = fc_str_of("another")});
  worker->sink.peer_gone = true; /* it has left: the clear is finished in the background */
  clear(worker, (struct fc_select){0});
  while (dispatch_background_step(&dispatch))
    ;
  take();
  ck_assert_uint_eq(got.n, 2);
  const struct fc_event *event = &got.events[0];
  ck_assert(event->kind == FC_EVENT_CLEAR && event->count == 2 && !event->has_prompt);
  ck_assert(is(event->name_space, "ns") && is(event->key.view, "base") && is(event->key.op, NULL));
  ck_assert(is(event->client, "worker"));
  event = &got.events[1];
  ck_assert(event->kind == FC_EVENT_CLEAR && event->count == 0 && is(event->name_space, NULL));
  ck_assert(is(event->client, NULL));
}
END_TEST

START_TEST(delete_says_whether_there_was_an_entry) {
  put_costly(worker, 1, 10, 1);
  subscribe_to(1u << FC_EVENT_DELETE);
  for (int i = 0; i < 2; i++) {
    struct fc_buf request = {0};
    struct fc_delete message = {.name_space = fc_str_of("ns"), .key = request_key(1)};
    ck_assert_int_eq(fc_encode_delete(&request, 9, &message), 0);
    client_request(worker, &request);
  }
  take();
  ck_assert_uint_eq(got.n, 2);
  ck_assert_uint_eq(event_at(0, FC_EVENT_DELETE, "worker", 1)->count, 1);
  ck_assert_uint_eq(event_at(1, FC_EVENT_DELETE, "worker", 1)->count, 0);
}
END_TEST

START_TEST(filters_select_by_name) {
  static const struct {
    struct fc_watch wish;
    uint32_t n;
  } cases[] = {
      {{.client = {"worker", 6}}, 3},
      {{.client = {"second", 6}}, 1},
      {{.client = {"other", 5}}, 0},
      {{.op = {"op", 2}, .view = {"base", 4}}, 4},
      {{.op = {"other", 5}}, 0},
      {{.view = {"other", 5}}, 0},
      {{.name_space = {"other", 5}}, 0},
      {{.kinds = 1u << FC_EVENT_PUT}, 2},
      {{.kinds = 1u << FC_EVENT_DELETE}, 0},
      {{.kinds = 1u << FC_EVENT_LOST}, 0},
      {{.kinds = 1u << 31 | 1u << FC_EVENT_MISS}, 1},
  };
  (void)subscribe(watcher, cases[_i].wish);
  get_plain(worker, 1, 0);
  put_costly(worker, 1, 10, 1);
  get_plain(worker, 1, 0);
  put_costly(second, 1, 10, 1);
  take();
  ck_assert_uint_eq(got.n, cases[_i].n);
}
END_TEST

START_TEST(request_waits_for_an_event) {
  subscribe_to(0);
  ck_assert_int_eq(ask(60000), DISPATCH_RETRY);
  ck_assert(watcher->session.waits_for_events);
  ck_assert(dispatch_resume_watchers(&dispatch));
  ck_assert_uint_eq(watcher->resumes, 0);
  get_plain(worker, 1, 0);
  ck_assert_uint_eq(watcher->resumes, 0); /* not before the timer */
  ck_assert(dispatch_resume_watchers(&dispatch));
  ck_assert_uint_eq(watcher->resumes, 1);
  take();
  ck_assert_uint_eq(got.n, 1);
  ck_assert(!dispatch_resume_watchers(&dispatch));
}
END_TEST

START_TEST(wait_ends_with_its_time_and_with_the_daemon) {
  subscribe_to(0);
  ck_assert_int_eq(ask(1), DISPATCH_RETRY);
  while (watcher->resumes == 0)
    ck_assert(dispatch_resume_watchers(&dispatch));
  ck_assert_int_eq(ask(1), DISPATCH_DONE);
  ck_assert_uint_eq(client_last_reply(watcher).list.n, 0);
  ck_assert_int_eq(ask(60000), DISPATCH_RETRY);
  dispatch_stop_leases(&dispatch);
  ck_assert_int_eq(ask(60000), DISPATCH_DONE);
  ck_assert_uint_eq(client_last_reply(watcher).list.n, 0);
}
END_TEST

START_TEST(waiting_watcher_disconnects) {
  subscribe_to(0);
  ck_assert_int_eq(ask(60000), DISPATCH_RETRY);
  client_disconnect(watcher);
  get_plain(worker, 1, 0);
  ck_assert(!dispatch_resume_watchers(&dispatch));
  ck_assert(!dispatch_has_watchers(&dispatch));
}
END_TEST

START_TEST(replies_are_small_and_complete) {
  uint32_t seen = 0;
  subscribe_to(0);
  for (uint32_t n = 0; n < 1000; n++)
    get_plain(worker, n, 0);
  do {
    ck_assert_int_eq(ask(0), DISPATCH_DONE);
    struct fc_reply reply = client_last_reply(watcher);
    ck_assert_uint_le(client_last_size(watcher), CALL_COPIED_BYTES);
    for (got.n = 0; reply.list.n > 0; seen++) {
      fc_events_next(&reply.list, &got.events[0]);
      got.n = 1;
      (void)event_at(0, FC_EVENT_MISS, "worker", seen);
    }
  } while (seen < 1000);
  take();
  ck_assert_uint_eq(got.n, 0);
}
END_TEST

START_TEST(events_without_watch_refused) {
  ck_assert_int_eq(ask(1000), DISPATCH_DONE);
  struct fc_reply reply = client_last_reply(watcher);
  ck_assert_uint_eq(reply.type, FC_ERROR);
  ck_assert_int_eq(reply.error.code, FC_EINVAL);
}
END_TEST

START_TEST(ninth_watcher_refused_with_the_limit) {
  struct watcher *others[WATCH_MAX] = {NULL};
  struct fc_watch all = {0};
  for (unsigned i = 0; i < WATCH_MAX; i++)
    ck_assert_int_eq(watch_begin(&dispatch.watch, &all, NULL, &others[i]), 0);
  struct fc_reply reply = subscribe(watcher, all);
  ck_assert_uint_eq(reply.type, FC_ERROR);
  ck_assert_int_eq(reply.error.code, FC_EREFUSED);
  ck_assert_ptr_null(watcher->session.watcher);
  for (unsigned i = 0; i < WATCH_MAX; i++)
    watch_end(&dispatch.watch, others[i]);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("watch_requests");
  TCase *tests = tcase_create("watch_requests");
  tcase_add_checked_fixture(tests, set_up, dispatch_tear_down);
  tcase_add_test(tests, lookups_and_puts_have_their_fields);
  tcase_add_test(tests, many_keys_have_an_event_each);
  tcase_add_test(tests, hits_in_a_ring_come_with_their_time);
  tcase_add_test(tests, leases_begin_and_end_with_their_reason);
  tcase_add_test(tests, expired_lease_is_an_event);
  tcase_add_test(tests, evictions_name_their_limit);
  tcase_add_test(tests, clear_has_its_filter_and_number);
  tcase_add_test(tests, delete_says_whether_there_was_an_entry);
  tcase_add_loop_test(tests, filters_select_by_name, 0, 11);
  tcase_add_test(tests, request_waits_for_an_event);
  tcase_add_test(tests, wait_ends_with_its_time_and_with_the_daemon);
  tcase_add_test(tests, waiting_watcher_disconnects);
  tcase_add_test(tests, replies_are_small_and_complete);
  tcase_add_test(tests, events_without_watch_refused);
  tcase_add_test(tests, ninth_watcher_refused_with_the_limit);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
