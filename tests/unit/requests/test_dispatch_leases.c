/* Leases through the dispatcher, without a socket: who is granted, who waits, and what comes of it.
 * The rules themselves are test_leases.c's. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/base/log.h"
#include "daemon/requests/dispatch.h"
#include "daemon/trace/trace.h"
#include "proto/errors.h"
#include "proto/wire/frame.h"
#include "tests/support/colliding.h"
#include "tests/support/private_store.h"
#include "tests/support/runner.h"

#define CLIENTS 4u
#define REPLIES_MAX 2000u
#define VALUE_MAX 4096u

static struct region region;
static struct store store;
static struct namespace_table table;
static struct trace trace; /* off */
static struct log quiet;
static struct users users;
static struct dispatch dispatch;
static size_t never_in_flight;

/* A connection, and the replies that it was sent. */
static struct client {
  struct reply_sink sink; /* first */
  struct session session;
  bool full; /* it has no room */
  unsigned wakes;
  uint8_t *replies[REPLIES_MAX]; /* frames */
  size_t sizes[REPLIES_MAX];
  unsigned n, taken;
} clients[CLIENTS];

static bool can_send(struct reply_sink *sink, size_t bytes) {
  (void)bytes;
  return !((struct client *)sink)->full;
}

static void keep(struct reply_sink *sink, const struct iovec *pieces, struct entry *const *owners,
                 size_t n) {
  struct client *client = (struct client *)sink;
  struct fc_buf frame = {0};
  (void)owners;
  for (size_t i = 0; i < n; i++)
    ck_assert_int_eq(fc_buf_append(&frame, pieces[i].iov_base, pieces[i].iov_len), 0);
  ck_assert_uint_lt(client->n, REPLIES_MAX);
  client->sizes[client->n] = frame.size;
  client->replies[client->n++] = frame.data; /* its memory, from now on */
}

static void resume(struct reply_sink *sink) {
  ((struct client *)sink)->wakes++;
}

static enum dispatch_result hand_in(struct client *client, const struct fc_buf *request) {
  ck_assert(!request->failed);
  return dispatch_frame(&dispatch, &client->session, &client->sink, request->data + FC_FRAME_HEADER,
                        (uint32_t)(request->size - FC_FRAME_HEADER));
}

static void send_request(struct client *client, struct fc_buf *request) {
  ck_assert_int_eq(hand_in(client, request), DISPATCH_DONE);
  fc_buf_free(request);
}

/* The next reply; there must be one. */
static struct fc_reply reply_of(struct client *client) {
  struct fc_reply reply;
  ck_assert_uint_lt(client->taken, client->n);
  unsigned i = client->taken++;
  ck_assert_int_eq(fc_decode_reply(client->replies[i] + FC_FRAME_HEADER,
                                   client->sizes[i] - FC_FRAME_HEADER, &reply),
                   0);
  return reply;
}

static bool has_reply(const struct client *client) {
  return client->taken < client->n;
}

static void join(struct client *client, uint32_t version) {
  struct fc_buf request = {0};
  struct fc_hello hello = {.version_min = 1,
                           .version_max = version,
                           .client = fc_str_of("worker"),
                           .name_space = fc_str_of("ns")};
  ck_assert_int_eq(fc_encode_hello(&request, 1, &hello), 0);
  send_request(client, &request);
  ck_assert_uint_eq(reply_of(client).welcome.version, version);
}

static void set_up(void) {
  private_store_init(&store, &region, 1 << 20, VALUE_MAX, 42);
  namespace_table_init(&table, &store, 8);
  users_init(&users, USER_SHARE_DEFAULT);
  struct dispatch_config config = {.store = &store,
                                   .namespaces = &table,
                                   .trace = &trace,
                                   .log = &quiet,
                                   .users = &users,
                                   .boot_id = 1,
                                   .max_clients = CLIENTS,
                                   .frames_bytes = &never_in_flight,
                                   .replies_bytes = &never_in_flight,
                                   .region_fd = -1,
                                   .leases = leases_limits_of(16, 3600000),
                                   .secret = 43};
  dispatch_init(&dispatch, &config);
  memset(clients, 0, sizeof clients);
  for (unsigned i = 0; i < CLIENTS; i++) {
    clients[i].sink = (struct reply_sink){.can_send = can_send, .send = keep, .resume = resume};
    clients[i].session.client_id = 11 + i;
    clients[i].session.pid = (pid_t)(100 + i);
    join(&clients[i], i == CLIENTS - 1 ? 2 : 3); /* the last is of an older version */
  }
}

static void tear_down(void) {
  for (unsigned i = 0; i < CLIENTS; i++) {
    dispatch_client_gone(&dispatch, &clients[i].session);
    for (unsigned k = 0; k < clients[i].n; k++)
      free(clients[i].replies[k]);
  }
  ck_assert_uint_eq(dispatch.leases.n, 0);
  ck_assert_uint_eq(dispatch.leases.waits, 0);
  namespace_table_deinit(&table);
  dispatch_deinit(&dispatch);
  private_store_deinit(&store, &region);
}

static struct fc_key key_of(uint8_t n) {
  struct fc_key key = {.op = fc_str_of("op"), .view = fc_str_of("base")};
  key.prompt.bytes[0] = n;
  return key;
}

/* A get of key `n` that wants the lease, with the key's number as its id. */
static void get(struct client *client, uint8_t n, uint32_t wait_ms) {
  struct fc_buf request = {0};
  struct fc_get message = {.flags = FC_LEASE,
                           .key = key_of(n),
                           .has_terms = true,
                           .terms = {.lease_ms = 60000, .wait_ms = wait_ms}};
  ck_assert_int_eq(fc_encode_get(&request, n, &message), 0);
  send_request(client, &request);
}

static struct fc_epoch epoch_now(void) {
  return (struct fc_epoch){dispatch.boot_id, dispatch.store->generation};
}

static struct fc_reply put_since(struct client *client, uint8_t n, uint32_t size,
                                 struct fc_epoch epoch) {
  static uint8_t value[2 * VALUE_MAX];
  struct fc_buf request = {0};
  struct fc_put message = {.flags = FC_KEEP_FIRST,
                           .key = key_of(n),
                           .epoch = epoch,
                           .compute_ns = 1000,
                           .value = value,
                           .value_size = size};
  memset(value, n, sizeof value);
  ck_assert_int_eq(fc_encode_put_head(&request, 200, &message), 0);
  ck_assert_int_eq(fc_buf_append(&request, value, size), 0);
  send_request(client, &request);
  return reply_of(client);
}

static struct fc_reply put(struct client *client, uint8_t n, uint32_t size) {
  return put_since(client, n, size, epoch_now());
}

static void expect_miss(struct client *client, uint32_t id, enum fc_lease_state lease) {
  struct fc_reply reply = reply_of(client);
  ck_assert_uint_eq(reply.type, FC_REPLY | FC_GET);
  ck_assert_uint_eq(reply.id, id);
  ck_assert_ptr_null(reply.get.value);
  ck_assert_int_eq(reply.get.lease, lease);
}

static void expect_hit(struct client *client, uint8_t n, uint32_t size) {
  struct fc_reply reply = reply_of(client);
  ck_assert_uint_eq(reply.type, FC_REPLY | FC_GET);
  ck_assert_uint_eq(reply.id, n);
  ck_assert_ptr_nonnull(reply.get.value);
  ck_assert_uint_eq(reply.get.value_size, size);
  for (uint32_t i = 0; i < size; i++)
    ck_assert_uint_eq(reply.get.value[i], n);
}

/* ---- waits, and how they end ---- */

START_TEST(the_value_goes_to_all_who_wait_and_counts_as_their_hit) {
  get(&clients[0], 1, 0);
  expect_miss(&clients[0], 1, FC_LEASE_GRANTED);
  get(&clients[1], 1, 0);
  expect_miss(&clients[1], 1, FC_LEASE_TAKEN);
  get(&clients[1], 1, 60000);
  get(&clients[2], 1, 60000);
  ck_assert(!has_reply(&clients[1]) && !has_reply(&clients[2]));
  ck_assert_int_eq(put(&clients[0], 1, 3000).put, FC_STORED);
  expect_hit(&clients[1], 1, 3000);
  expect_hit(&clients[2], 1, 3000);
  ck_assert_uint_eq(dispatch.counters.hits, 2);
  ck_assert_uint_eq(dispatch.counters.shared_hits, 2);
  ck_assert_uint_eq(dispatch.counters.coalesced_hits, 2);
  ck_assert_uint_eq(dispatch.counters.leases_granted, 1);
  ck_assert_uint_gt(dispatch.counters.lease_wait_ns, 0);
  ck_assert_uint_eq(clients[1].session.ns->counters.coalesced_hits, 2);
  ck_assert_uint_eq(clients[1].session.hits, 1);
  ck_assert_uint_eq(clients[1].session.shared_hits, 1);
  ck_assert_uint_eq(dispatch.leases.n, 0);
}
END_TEST

/* Others have their turn in between. */
START_TEST(very_many_answers_are_given_in_slices) {
  enum { MANY = 1500 };
  dispatch.leases.limits = leases_limits_of(4 * MANY, 3600000);
  get(&clients[0], 1, 0);
  expect_miss(&clients[0], 1, FC_LEASE_GRANTED);
  for (int i = 0; i < MANY; i++)
    get(&clients[1], 1, 60000);
  get(&clients[2], 1, 60000);
  ck_assert(!dispatch_has_background_work(&dispatch));
  ck_assert_int_eq(put(&clients[0], 1, 10).put, FC_STORED);
  expect_hit(&clients[2], 1, 10); /* it does not wait for all of the other's */
  ck_assert(!dispatch_has_background_work(&dispatch));
  for (unsigned turns = 0, before = clients[1].n; clients[1].n - clients[1].taken < MANY; turns++) {
    ck_assert_uint_le(clients[1].n - before, 16);
    ck_assert_uint_lt(turns, MANY);
    before = clients[1].n;
    unsigned wakes = clients[1].wakes;
    dispatch_send_deferred(&dispatch, &clients[1].session);
    ck_assert_uint_gt(clients[1].wakes, wakes); /* it will have another turn */
  }
}
END_TEST

START_TEST(an_older_client_gets_plain_misses_and_its_put_answers_all) {
  struct client *old = &clients[CLIENTS - 1];
  get(&clients[0], 1, 0);
  expect_miss(&clients[0], 1, FC_LEASE_GRANTED);
  get(&clients[1], 1, 60000);
  get(old, 1, 60000); /* a flag and fields that it should not send: they mean nothing */
  expect_miss(old, 1, FC_LEASE_NONE);
  ck_assert_int_eq(put(old, 1, 10).put, FC_STORED);
  expect_hit(&clients[1], 1, 10);
  ck_assert_int_eq(put(&clients[0], 1, 20).put, FC_KEPT);
}
END_TEST

START_TEST(a_lease_passes_on_when_it_is_given_up_or_its_owner_leaves) {
  struct fc_buf request = {0};
  struct fc_give_up give_up = {.key = key_of(1), .prompts = key_of(1).prompt.bytes, .n = 1};
  uint8_t prompt[FC_HASH_SIZE] = {1};
  give_up.prompts = prompt;
  get(&clients[0], 1, 0);
  expect_miss(&clients[0], 1, FC_LEASE_GRANTED);
  get(&clients[1], 1, 60000);
  get(&clients[2], 1, 60000);
  ck_assert_int_eq(fc_encode_give_up(&request, 9, &give_up), 0);
  send_request(&clients[0], &request);
  ck_assert_uint_eq(reply_of(&clients[0]).given_up, 1);
  expect_miss(&clients[1], 1, FC_LEASE_GRANTED);
  ck_assert(!has_reply(&clients[2]));
  dispatch_client_gone(&dispatch, &clients[1].session);
  expect_miss(&clients[2], 1, FC_LEASE_GRANTED);
  ck_assert_uint_eq(dispatch.counters.leases_granted, 3);
  ck_assert_uint_eq(dispatch.counters.leases_abandoned, 2);
}
END_TEST

START_TEST(giving_up_all_ends_the_own_waits_too) {
  struct fc_buf request = {0};
  struct fc_give_up all = {.n = 0};
  get(&clients[0], 1, 0);
  expect_miss(&clients[0], 1, FC_LEASE_GRANTED);
  get(&clients[1], 1, 60000);
  ck_assert_int_eq(fc_encode_give_up(&request, 9, &all), 0);
  send_request(&clients[1], &request);
  ck_assert_uint_eq(reply_of(&clients[1]).given_up, 0);
  expect_miss(&clients[1], 1, FC_LEASE_NONE);
  get(&clients[1], 2, 0);
  expect_miss(&clients[1], 2, FC_LEASE_GRANTED);
  ck_assert_int_eq(fc_encode_give_up(&request, 10, &all), 0);
  send_request(&clients[1], &request);
  ck_assert_uint_eq(reply_of(&clients[1]).given_up, 1);
}
END_TEST

START_TEST(a_clear_passes_the_lease_on_and_the_old_result_is_not_stored) {
  struct fc_buf request = {0};
  struct fc_select select = {.name_space = fc_str_of("ns")};
  get(&clients[0], 1, 0);
  expect_miss(&clients[0], 1, FC_LEASE_GRANTED);
  struct fc_epoch old = epoch_now();
  get(&clients[1], 1, 60000);
  ck_assert_int_eq(fc_encode_clear(&request, 9, &select), 0);
  send_request(&clients[2], &request);
  (void)reply_of(&clients[2]); /* that it is done */
  struct fc_reply granted = reply_of(&clients[1]);
  ck_assert_int_eq(granted.get.lease, FC_LEASE_GRANTED);
  ck_assert_uint_gt(granted.get.clear_generation, old.clear_generation);
  ck_assert_int_eq(put_since(&clients[0], 1, 10, old).put, FC_STALE);
  get(&clients[2], 1, 60000);
  ck_assert(!has_reply(&clients[2]));
  ck_assert_int_eq(put(&clients[1], 1, 20).put, FC_STORED);
  expect_hit(&clients[2], 1, 20);
}
END_TEST

START_TEST(a_value_that_cannot_be_stored_sends_all_who_wait_to_compute) {
  get(&clients[0], 1, 0);
  expect_miss(&clients[0], 1, FC_LEASE_GRANTED);
  get(&clients[1], 1, 60000);
  get(&clients[2], 1, 60000);
  ck_assert_int_eq(put(&clients[0], 1, VALUE_MAX + 1).error.code, FC_ETOOBIG);
  expect_miss(&clients[1], 1, FC_LEASE_NONE);
  expect_miss(&clients[2], 1, FC_LEASE_NONE);
  ck_assert_uint_eq(dispatch.leases.n, 0);
}
END_TEST

/* ---- many keys ---- */

static void get_many(struct client *client, const uint8_t *numbers, uint32_t n) {
  struct fc_buf request = {0};
  uint8_t prompts[16 * FC_HASH_SIZE] = {0};
  struct fc_get_many many = {.flags = FC_LEASE,
                             .key = key_of(0),
                             .prompts = prompts,
                             .n = n,
                             .has_terms = true,
                             .terms.lease_ms = 60000};
  for (uint32_t i = 0; i < n; i++)
    prompts[(size_t)i * FC_HASH_SIZE] = numbers[i];
  ck_assert_int_eq(fc_encode_get_many(&request, 300, &many), 0);
  send_request(client, &request);
}

START_TEST(a_batch_is_told_what_is_its_own_to_compute) {
  const uint8_t numbers[] = {1, 2, 3, 4, 4};
  const uint8_t expected[] = {FC_LEASE_TAKEN, FC_LEASE_GRANTED, FC_LEASE_GRANTED, FC_LEASE_NONE};
  get(&clients[0], 1, 0);
  expect_miss(&clients[0], 1, FC_LEASE_GRANTED);
  ck_assert_int_eq(put(&clients[0], 3, 10).put, FC_STORED);
  get_many(&clients[1], numbers, 5);
  struct fc_get_many_reply part = reply_of(&clients[1]).get_many;
  ck_assert_uint_eq(part.values.n, 5);
  ck_assert_uint_eq(part.n_leases, 4);
  ck_assert_mem_eq(part.leases, expected, sizeof expected);
  get(&clients[1], 1, 60000); /* it has leases: it is not to wait */
  expect_miss(&clients[1], 1, FC_LEASE_NONE);
}
END_TEST

/* A client that knows its namespace's seed chooses keys of one digest. */
START_TEST(keys_of_one_digest_share_no_bucket) {
  enum { MANY = 200 };
  uint8_t prompts[MANY * FC_HASH_SIZE];
  uint64_t seed = clients[0].session.ns->seed;
  struct fc_get_many many = {.flags = FC_LEASE,
                             .key = colliding_key(seed, "op", "base", 0),
                             .prompts = prompts,
                             .n = MANY,
                             .has_terms = true,
                             .terms.lease_ms = 60000};
  for (uint32_t i = 0; i < MANY; i++) {
    struct fc_key key = colliding_key(seed, "op", "base", i);
    memcpy(prompts + (size_t)i * FC_HASH_SIZE, key.prompt.bytes, FC_HASH_SIZE);
  }
  dispatch.leases.limits = leases_limits_of(4 * MANY, 3600000);
  struct fc_buf request = {0};
  ck_assert_int_eq(fc_encode_get_many(&request, 300, &many), 0);
  send_request(&clients[0], &request);
  ck_assert_uint_eq(reply_of(&clients[0]).get_many.n_leases, MANY);
  ck_assert_uint_eq(dispatch.leases.n, MANY);
  for (uint32_t i = 0; i < dispatch.leases.n_buckets; i++) {
    uint32_t n = 0;
    for (struct lease *at = dispatch.leases.buckets[i]; at != NULL; at = at->next_in_bucket)
      n++;
    ck_assert_uint_lt(n, 16);
  }
}
END_TEST

START_TEST(who_takes_one_over_asks_anew_for_the_rest) {
  const uint8_t numbers[] = {1, 2, 3};
  get_many(&clients[0], numbers, 3);
  (void)reply_of(&clients[0]); /* all are its own */
  for (uint8_t n = 1; n <= 3; n++)
    get(&clients[1], n, 60000);
  dispatch_client_gone(&dispatch, &clients[0].session);
  enum fc_lease_state seen[4] = {0};
  for (unsigned i = 0; i < 3; i++) {
    struct fc_reply reply = reply_of(&clients[1]);
    seen[reply.id] = reply.get.lease;
  }
  ck_assert_int_eq(seen[1], FC_LEASE_GRANTED);
  ck_assert_int_eq(seen[2], FC_LEASE_TAKEN);
  ck_assert_int_eq(seen[3], FC_LEASE_TAKEN);
  ck_assert_uint_eq(clients[1].session.leases.waits, 0);
}
END_TEST

static uint64_t clock_ns(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* A client that waits for several keys, and is served others meanwhile, was busy once. */
START_TEST(waits_and_hits_that_overlap_count_once) {
  enum { MS_NS = 1000000 };
  const uint8_t keys = 4;
  while (clock_ns() - clients[1].session.time.since_ns < 20 * MS_NS)
    ; /* it is connected for long enough to be charged too much */
  uint64_t start_ns = clock_ns();
  for (uint8_t n = 1; n <= keys; n++) {
    get(&clients[0], n, 0);
    expect_miss(&clients[0], n, FC_LEASE_GRANTED);
    get(&clients[1], n, 60000);
  }
  ck_assert_int_eq(put(&clients[2], 100, 10).put, FC_STORED);
  uint64_t begun_ns = clock_ns();
  while (clock_ns() - begun_ns < 2 * MS_NS) {
    get(&clients[1], 100, 0);
    expect_hit(&clients[1], 100, 10);
    if (clients[1].n + keys >= REPLIES_MAX)
      break;
  }
  uint64_t waited_ns = clock_ns() - begun_ns;
  for (uint8_t n = 1; n <= keys; n++)
    ck_assert_int_eq(put(&clients[0], n, 10).put, FC_STORED);
  uint64_t took_ns = clock_ns() - start_ns, puts_ns = (keys + 1) * 1000;
  ck_assert_uint_eq(dispatch.counters.coalesced_hits, keys);
  ck_assert_uint_le(dispatch.counters.lease_wait_ns, took_ns);
  ck_assert_uint_le(dispatch.counters.scoring_wall_ns, took_ns + puts_ns);
  ck_assert_uint_ge(dispatch.counters.scoring_wall_ns, waited_ns);
  ck_assert_uint_eq(clients[1].session.leases.sharing.n, 0);
}
END_TEST

/* ---- room ---- */

START_TEST(an_answer_waits_for_room_and_goes_before_later_requests) {
  struct fc_buf ping = {0};
  get(&clients[0], 1, 0);
  expect_miss(&clients[0], 1, FC_LEASE_GRANTED);
  get(&clients[1], 1, 60000);
  clients[1].full = true;
  ck_assert_int_eq(put(&clients[0], 1, 10).put, FC_STORED);
  ck_assert(!has_reply(&clients[1]));
  ck_assert_int_eq(fc_encode_simple(&ping, FC_PING, 77), 0);
  ck_assert_int_eq(hand_in(&clients[1], &ping), DISPATCH_RETRY);
  clients[1].full = false;
  ck_assert_int_eq(hand_in(&clients[1], &ping), DISPATCH_DONE);
  fc_buf_free(&ping);
  expect_hit(&clients[1], 1, 10);
  ck_assert_uint_eq(reply_of(&clients[1]).id, 77);
  ck_assert_uint_gt(clients[1].wakes, 0);
}
END_TEST

START_TEST(what_is_gone_before_its_answer_is_to_be_asked_for_again) {
  get(&clients[0], 1, 0);
  expect_miss(&clients[0], 1, FC_LEASE_GRANTED);
  get(&clients[1], 1, 60000);
  get(&clients[2], 1, 60000);
  clients[1].full = clients[2].full = true;
  dispatch_client_gone(&dispatch, &clients[0].session); /* the first of them has the lease now */
  dispatch_client_gone(&dispatch, &clients[1].session); /* and the second */
  struct fc_buf request = {0};
  struct fc_give_up all = {.n = 0};
  clients[2].full = false;
  dispatch_send_deferred(&dispatch, &clients[2].session);
  expect_miss(&clients[2], 1, FC_LEASE_GRANTED);
  ck_assert_int_eq(fc_encode_give_up(&request, 9, &all), 0);
  send_request(&clients[2], &request);
  (void)reply_of(&clients[2]); /* one */
  ck_assert_uint_eq(dispatch.leases.n, 0);
}
END_TEST

START_TEST(a_value_that_is_cleared_before_its_answer_is_a_miss_to_ask_again) {
  struct store_select everything = {.ns = NULL};
  get(&clients[0], 1, 0);
  expect_miss(&clients[0], 1, FC_LEASE_GRANTED);
  get(&clients[1], 1, 60000);
  clients[1].full = true;
  ck_assert_int_eq(put(&clients[0], 1, 10).put, FC_STORED);
  ck_assert_uint_eq(store_clear_all(&store, &everything), 1);
  clients[1].full = false;
  dispatch_send_deferred(&dispatch, &clients[1].session);
  expect_miss(&clients[1], 1, FC_LEASE_TAKEN);
  ck_assert_uint_eq(dispatch.counters.coalesced_hits, 0);
}
END_TEST

/* ---- who ---- */

static struct fc_list_reply page(struct client *client, enum fc_type type, struct fc_page request) {
  struct fc_buf frame = {0};
  ck_assert_int_eq(fc_encode_page(&frame, type, 400, &request), 0);
  send_request(client, &frame);
  struct fc_reply reply = reply_of(client);
  ck_assert_uint_eq(reply.type, FC_REPLY | type);
  return reply.list;
}

START_TEST(leases_are_listed_page_by_page_the_oldest_first) {
  struct fc_page request = {.name_space = fc_str_of("ns"), .limit = 1};
  get(&clients[0], 1, 0);
  get(&clients[1], 2, 0);
  get(&clients[2], 1, 60000);
  for (unsigned i = 0; i < 2; i++) {
    struct fc_lease_entry entry;
    struct fc_list_reply list = page(&clients[3], FC_LEASES, request);
    ck_assert_uint_eq(list.n, 1);
    fc_leases_next(&list, &entry);
    ck_assert_uint_eq(entry.key.prompt.bytes[0], i + 1);
    ck_assert_uint_eq(entry.client_id, clients[i].session.client_id);
    ck_assert_int_eq(entry.pid, clients[i].session.pid);
    ck_assert_uint_eq(entry.waits, i == 0 ? 1 : 0);
    ck_assert_uint_gt(entry.left_ns, 0);
    request.cursor = list.cursor;
    request.cursor_size = list.cursor_size;
    ck_assert_uint_eq(list.cursor_size > 0, i == 0);
  }
  request = (struct fc_page){.name_space = fc_str_of("another"), .limit = 10};
  ck_assert_uint_eq(page(&clients[3], FC_LEASES, request).n, 0);
}
END_TEST

START_TEST(clients_are_listed_with_what_they_hold_and_wait_for) {
  get(&clients[0], 1, 0);
  get(&clients[0], 2, 0);
  get(&clients[1], 1, 60000);
  struct fc_list_reply list = page(&clients[3], FC_CLIENTS, (struct fc_page){.limit = 10});
  ck_assert_uint_eq(list.n, CLIENTS);
  struct fc_client_entry entries[CLIENTS];
  for (unsigned i = 0; i < CLIENTS; i++)
    fc_clients_next(&list, &entries[i]);
  ck_assert_uint_eq(entries[0].leases, 2);
  ck_assert_uint_eq(entries[0].held.prompt.bytes[0], 1);
  ck_assert_ptr_null(entries[0].wait.key.op.data);
  ck_assert_uint_eq(entries[1].waits, 1);
  ck_assert_uint_eq(entries[1].wait.owner_id, clients[0].session.client_id);
  ck_assert_int_eq(entries[1].wait.owner_pid, clients[0].session.pid);
  ck_assert_uint_eq(entries[2].leases + entries[2].waits, 0);
  ck_assert_uint_eq(list.cursor_size, 0);
}
END_TEST

START_TEST(a_cursor_that_no_reply_gave_is_refused) {
  struct fc_buf frame = {0};
  struct fc_page request = {.limit = 1, .cursor = (const uint8_t *)"abc", .cursor_size = 3};
  ck_assert_int_eq(fc_encode_page(&frame, FC_LEASES, 1, &request), 0);
  send_request(&clients[0], &frame);
  ck_assert_int_eq(reply_of(&clients[0]).error.code, FC_EINVAL);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("dispatch_leases");
  TCase *tcase = tcase_create("dispatch_leases");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, the_value_goes_to_all_who_wait_and_counts_as_their_hit);
  tcase_add_test(tcase, very_many_answers_are_given_in_slices);
  tcase_add_test(tcase, an_older_client_gets_plain_misses_and_its_put_answers_all);
  tcase_add_test(tcase, a_lease_passes_on_when_it_is_given_up_or_its_owner_leaves);
  tcase_add_test(tcase, giving_up_all_ends_the_own_waits_too);
  tcase_add_test(tcase, a_clear_passes_the_lease_on_and_the_old_result_is_not_stored);
  tcase_add_test(tcase, a_value_that_cannot_be_stored_sends_all_who_wait_to_compute);
  tcase_add_test(tcase, a_batch_is_told_what_is_its_own_to_compute);
  tcase_add_test(tcase, keys_of_one_digest_share_no_bucket);
  tcase_add_test(tcase, who_takes_one_over_asks_anew_for_the_rest);
  tcase_add_test(tcase, waits_and_hits_that_overlap_count_once);
  tcase_add_test(tcase, an_answer_waits_for_room_and_goes_before_later_requests);
  tcase_add_test(tcase, what_is_gone_before_its_answer_is_to_be_asked_for_again);
  tcase_add_test(tcase, a_value_that_is_cleared_before_its_answer_is_a_miss_to_ask_again);
  tcase_add_test(tcase, leases_are_listed_page_by_page_the_oldest_first);
  tcase_add_test(tcase, clients_are_listed_with_what_they_hold_and_wait_for);
  tcase_add_test(tcase, a_cursor_that_no_reply_gave_is_refused);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
