/* The dispatcher and the rings: who is given one, and what is read before what. */
#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/requests/dispatch.h"
#include "daemon/rings/client_ring.h"
#include "proto/errors.h"
#include "proto/shm/region_layout.h"
#include "proto/wire/frame.h"
#include "tests/support/private_store.h"
#include "tests/support/ring_builder.h"
#include "tests/support/runner.h"
#include "tests/support/traced.h"

static struct region region;
static struct store store;
static struct namespace_table table;
static struct traced traced;
static struct users users;
static struct dispatch dispatch;
static size_t never_in_flight;
static uint64_t served; /* hits so far, which tell their time */

/* What the dispatcher sent last. */
static struct {
  struct reply_sink sink; /* first */
  uint8_t data[65536];
  size_t size;
  int fds[2];  /* duplicates of what came with it; -1: none */
  bool no_fds; /* none can be sent */
} out;

static struct client {
  struct session session;
  struct ring_writer writer;
} one, other;

static bool can_send(struct reply_sink *sink, size_t bytes) {
  (void)sink;
  (void)bytes;
  return true;
}

static void keep_sent(struct reply_sink *sink, const struct iovec *pieces, struct entry *const *owners,
                      size_t n) {
  (void)sink;
  (void)owners;
  out.size = 0;
  for (size_t i = 0; i < n; i++) {
    ck_assert_uint_le(out.size + pieces[i].iov_len, sizeof out.data);
    memcpy(out.data + out.size, pieces[i].iov_base, pieces[i].iov_len);
    out.size += pieces[i].iov_len;
  }
}

static bool keep_sent_with(struct reply_sink *sink, const struct iovec *piece, const int *fds,
                           size_t n_fds) {
  ck_assert_uint_eq(n_fds, 2);
  if (out.no_fds)
    return false;
  keep_sent(sink, piece, NULL, 1);
  for (int i = 0; i < 2; i++) {
    out.fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
    ck_assert_int_ge(out.fds[i], 0);
  }
  return true;
}

static void close_fds(void) {
  for (int i = 0; i < 2; i++) {
    if (out.fds[i] >= 0)
      ck_assert_int_eq(close(out.fds[i]), 0);
    out.fds[i] = -1;
  }
}

static void set_up(void) {
  private_store_init(&store, &region, 1 << 20, 4096, 42);
  namespace_table_init(&table, &store, 8);
  traced_start(&traced);
  users_init(&users, USER_SHARE_DEFAULT);
  struct dispatch_config config = {.store = &store,
                                   .namespaces = &table,
                                   .trace = &traced.trace,
                                   .log = &traced.log,
                                   .users = &users,
                                   .boot_id = 1,
                                   .max_clients = 4,
                                   .frames_bytes = &never_in_flight,
                                   .replies_bytes = &never_in_flight,
                                   .region_fd = open("/dev/null", O_RDONLY | O_CLOEXEC),
                                   .ring_pool_bytes = 64u << 20};
  ck_assert_int_ge(config.region_fd, 0);
  dispatch_init(&dispatch, &config);
  memset(&out, 0, sizeof out);
  out.sink = (struct reply_sink){.can_send = can_send, .send = keep_sent, .send_with = keep_sent_with};
  out.fds[0] = out.fds[1] = -1;
  memset(&one, 0, sizeof one);
  memset(&other, 0, sizeof other);
  one.session.client_id = 11;
  other.session.client_id = 12;
  one.session.admin = true;
}

static void tear_down(void) {
  struct client *clients[] = {&one, &other};
  for (int i = 0; i < 2; i++) {
    dispatch_client_gone(&dispatch, &clients[i]->session);
    if (clients[i]->writer.header != NULL)
      ring_writer_close(&clients[i]->writer);
  }
  rings_pay_all(&dispatch.rings);
  close_fds();
  ck_assert_int_eq(close(dispatch.region_fd), 0);
  namespace_table_deinit(&table);
  dispatch_deinit(&dispatch);
  private_store_deinit(&store, &region);
  traced_end(&traced);
}

static enum dispatch_result send_request(struct client *client, struct fc_buf *request) {
  ck_assert(!request->failed);
  out.size = 0;
  enum dispatch_result result =
      dispatch_frame(&dispatch, &client->session, &out.sink, request->data + FC_FRAME_HEADER,
                     (uint32_t)(request->size - FC_FRAME_HEADER));
  fc_buf_free(request);
  return result;
}

static struct fc_reply replied(void) {
  struct fc_reply reply;
  ck_assert_uint_gt(out.size, FC_FRAME_HEADER);
  ck_assert_int_eq(fc_decode_reply(out.data + FC_FRAME_HEADER, out.size - FC_FRAME_HEADER, &reply),
                   0);
  return reply;
}

static const struct fc_hello plain_hello = {.version_min = FC_PROTOCOL_VERSION_MIN,
                                            .version_max =
                                                4, /* does not look at its ring's state */
                                            .client = {"client", 6},
                                            .name_space = {"ns", 2},
                                            .region_layout = FC_REGION_LAYOUT};

static struct fc_welcome say_hello(struct client *client, struct fc_hello hello) {
  struct fc_buf request = {0};
  ck_assert_int_eq(fc_encode_hello(&request, 1, &hello), 0);
  ck_assert_int_eq(send_request(client, &request), DISPATCH_DONE);
  return replied().welcome;
}

static void join(struct client *client) {
  struct fc_welcome welcome = say_hello(client, plain_hello);
  ck_assert_uint_ne(welcome.namespace_id, 0);
  ring_writer_open(&client->writer, out.fds[1]);
  close_fds();
  ring_writer_context(&client->writer, 0, "op", "base", NULL);
}

static struct fc_key key_of(uint32_t n) {
  return (struct fc_key){.op = fc_str_of("op"), .view = fc_str_of("base"), .top_k = n};
}

static void hit(struct client *client, uint32_t n) {
  struct fc_key key = key_of(n);
  struct fc_ring_hit record = ring_writer_hit_on(client->session.ns->seed, 0, &key);
  record.end_ns = ++served;
  ring_writer_hit(&client->writer, &record);
  ring_writer_publish(&client->writer);
}

static enum dispatch_result ping(struct client *client) {
  struct fc_buf request = {0};
  ck_assert_int_eq(fc_encode_simple(&request, FC_PING, 7), 0);
  return send_request(client, &request);
}

static enum dispatch_result put(struct client *client, uint32_t n) {
  struct fc_buf request = {0};
  struct fc_put message = {.key = key_of(n), .value = (const uint8_t *)"v", .value_size = 1};
  ck_assert_int_eq(fc_encode_put_head(&request, 1, &message), 0);
  ck_assert_int_eq(fc_buf_append(&request, "v", 1), 0);
  return send_request(client, &request);
}

static bool stored(uint32_t n) {
  struct fc_key key = key_of(n);
  return store_peek(&store, one.session.ns, &key) != NULL;
}

/* ---- who is given one ---- */

START_TEST(a_client_that_can_read_the_region_is_given_both) {
  struct fc_welcome welcome = say_hello(&one, plain_hello);
  ck_assert_uint_eq(welcome.namespace_id, one.session.ns->seed);
  ck_assert_uint_eq(welcome.client_id, 11);
  ck_assert_int_ge(out.fds[0], 0);
  ck_assert_ptr_nonnull(one.session.ring);
  ck_assert_uint_eq(dispatch.rings.n, 1);
  ring_writer_open(&one.writer, out.fds[1]);
  dispatch_client_gone(&dispatch, &one.session);
  ck_assert_ptr_null(one.session.ring);
  ck_assert_uint_eq(dispatch.rings.n, 0);
}
END_TEST

static void assert_given_none(struct fc_hello hello) {
  struct fc_welcome welcome = say_hello(&one, hello);
  ck_assert_uint_eq(welcome.namespace_id, 0);
  ck_assert_uint_eq(welcome.client_id, 0);
  ck_assert_int_eq(out.fds[0], -1);
  ck_assert_ptr_null(one.session.ring);
  ck_assert_uint_eq(dispatch.rings.n, 0);
  ck_assert(one.session.handshake_done);
}

START_TEST(others_are_given_none) {
  struct fc_hello hello = plain_hello;
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
    ck_assert_int_eq(close(dispatch.region_fd), 0);
    dispatch.region_fd = -1;
    break;
  case 5:
    dispatch.rings.config.pool_bytes = 1000;
    break;
  default:
    out.no_fds = true;
    break;
  }
  assert_given_none(hello);
  if (dispatch.region_fd < 0)
    dispatch.region_fd = open("/dev/null", O_RDONLY | O_CLOEXEC); /* for tear_down */
}
END_TEST

/* ---- another one ---- */

static struct fc_ring_reply ask_ring(struct client *client, uint32_t layout, uint32_t want_slots) {
  struct fc_buf request = {0};
  struct fc_ring_request ring = {layout, want_slots};
  ck_assert_int_eq(fc_encode_ring(&request, 3, &ring), 0);
  ck_assert_int_eq(send_request(client, &request), DISPATCH_DONE);
  struct fc_reply reply = replied();
  ck_assert_int_eq(reply.type, FC_REPLY | FC_RING);
  ck_assert_uint_eq(reply.id, 3);
  return reply.ring;
}

/* The one that came is in use. */
static void take_ring(struct client *client) {
  if (client->writer.header != NULL)
    ring_writer_close(&client->writer);
  ck_assert_int_ge(out.fds[0], 0);
  ring_writer_open(&client->writer, out.fds[1]);
  close_fds();
  ring_writer_context(&client->writer, 0, "op", "base", NULL);
}

/* Its ring can grow. */
static void join_version_5(struct client *client) {
  struct fc_hello hello = plain_hello;
  hello.version_max = FC_PROTOCOL_VERSION;
  (void)say_hello(client, hello);
  take_ring(client);
}

static uint64_t stat_of(const char *name) {
  struct fc_buf request = {0};
  struct fc_stats_walk walk = {0};
  struct fc_stat stat;
  ck_assert_int_eq(fc_encode_stats(&request, 1, (struct fc_str){0}), 0);
  ck_assert_int_eq(send_request(&one, &request), DISPATCH_DONE);
  struct fc_reply reply = replied();
  while (fc_stats_next(&reply.stats, &walk, &stat))
    if (fc_str_equal(stat.name, fc_str_of(name)))
      return stat.integer;
  ck_abort_msg("stats have no %s", name);
  return 0;
}

START_TEST(a_larger_ring_takes_the_place) {
  dispatch.rings.base_slots = FC_RING_SLOTS_MIN;
  join_version_5(&one);
  ck_assert_int_eq(put(&one, 1), DISPATCH_DONE);
  hit(&one, 1);
  struct fc_ring_reply reply = ask_ring(&one, FC_REGION_LAYOUT, 2048);
  ck_assert_uint_eq(reply.namespace_id, one.session.ns->seed);
  ck_assert_uint_eq(reply.client_id, 11);
  ck_assert_uint_eq(dispatch.counters.hits, 1);
  take_ring(&one);
  ck_assert_uint_eq(one.writer.header->n_slots, 2048);
  hit(&one, 1);
  ck_assert_int_eq(ping(&one), DISPATCH_DONE);
  ck_assert_uint_eq(dispatch.counters.hits, 2);
  ck_assert_uint_eq(one.session.ring->account.hits, 2);
  ck_assert_uint_eq(dispatch.rings.n, 1);
  /* None that is no larger; and one of the ordinary size in any case. */
  ck_assert_uint_eq(ask_ring(&one, FC_REGION_LAYOUT, 2048).namespace_id, 0);
  ck_assert_int_eq(out.fds[0], -1);
  ck_assert_uint_ne(ask_ring(&one, FC_REGION_LAYOUT, 0).namespace_id, 0);
  take_ring(&one);
  ck_assert_uint_eq(one.writer.header->n_slots, FC_RING_SLOTS_MIN);
  ck_assert_uint_eq(stat_of("rings"), 1);
  ck_assert_uint_eq(stat_of("rings_bytes"), rings_charge(FC_RING_SLOTS_MIN));
}
END_TEST

START_TEST(a_client_without_a_ring_is_counted_and_given_one_later) {
  size_t pool_bytes = dispatch.rings.config.pool_bytes;
  dispatch.rings.config.pool_bytes = 1000;
  ck_assert_uint_eq(say_hello(&one, plain_hello).namespace_id, 0);
  ck_assert_uint_eq(stat_of("clients_without_ring"), 1);
  ck_assert_uint_eq(ask_ring(&one, FC_REGION_LAYOUT, 0).namespace_id, 0);
  struct fc_hello without = plain_hello;
  without.region_layout = 0;
  (void)say_hello(&other, without);
  ck_assert_uint_eq(stat_of("clients_without_ring"), 1); /* one that asked for none */
  dispatch.rings.config.pool_bytes = pool_bytes;
  ck_assert_uint_ne(ask_ring(&one, FC_REGION_LAYOUT, _i == 0 ? 0 : 4096).namespace_id, 0);
  take_ring(&one);
  ck_assert_uint_eq(stat_of("clients_without_ring"), 0);
  ck_assert_int_eq(put(&one, 1), DISPATCH_DONE);
  hit(&one, 1);
  ck_assert_int_eq(ping(&one), DISPATCH_DONE);
  ck_assert_uint_eq(dispatch.counters.hits, 1);
}
END_TEST

/* The old one stays in use. */
START_TEST(another_ring_that_cannot_be_had) {
  dispatch.rings.base_slots = FC_RING_SLOTS_MIN;
  join_version_5(&one);
  hit(&one, 1);
  if (_i == 0)
    out.no_fds = true;
  else if (_i == 1)
    traced_fall_behind(&traced);
  struct fc_ring_reply reply =
      ask_ring(&one, _i == 2 ? FC_REGION_LAYOUT + 1 : FC_REGION_LAYOUT, FC_RING_SLOTS_MAX);
  ck_assert_uint_eq(reply.namespace_id, 0);
  ck_assert_uint_eq(reply.client_id, 0);
  ck_assert_int_eq(out.fds[0], -1);
  ck_assert_uint_eq(dispatch.rings.n, 1);
  traced_write_out(&traced);
  hit(&one, 2);
  ck_assert_int_eq(ping(&one), DISPATCH_DONE);
  ck_assert_uint_eq(dispatch.counters.hits, 2);
}
END_TEST

/* A client that looks at the state sends a ping after the first hit; no other reads its ring. */
START_TEST(a_new_ring_among_many_is_asleep) {
  static struct client many[RINGS_AWAKE - 1];
  struct fc_hello hello = plain_hello;
  memset(many, 0, sizeof many);
  for (unsigned i = 0; i < RINGS_AWAKE - 1; i++) {
    (void)say_hello(&many[i], hello);
    close_fds();
  }
  join(&other);
  join_version_5(&one);
  ck_assert_uint_eq(one.writer.header->state, FC_RING_ASLEEP);
  hit(&one, 1);
  ck_assert_int_eq(ping(&other), DISPATCH_DONE);
  ck_assert_uint_eq(dispatch.counters.hits, 0);
  ck_assert_int_eq(ping(&one), DISPATCH_DONE);
  ck_assert_uint_eq(dispatch.counters.hits, 1);
  ck_assert_uint_eq(one.writer.header->state, 0);
  hit(&one, 2);
  ck_assert_int_eq(ping(&other), DISPATCH_DONE);
  ck_assert_uint_eq(dispatch.counters.hits, 2);
  for (unsigned i = 0; i < RINGS_AWAKE - 1; i++)
    dispatch_client_gone(&dispatch, &many[i].session);
}
END_TEST

/* ---- what is read before what ---- */

START_TEST(a_clients_hits_come_before_its_next_request) {
  join(&one);
  hit(&one, 1);
  ck_assert_int_eq(ping(&one), DISPATCH_DONE);
  ck_assert_uint_eq(dispatch.counters.hits, 1);
  ck_assert_uint_eq(ring_writer_used(&one.writer), 0);
}
END_TEST

START_TEST(all_hits_come_before_what_tells_of_them) {
  static const struct fc_select all = {0};
  static const struct fc_list list = {.limit = 1};
  static const struct fc_page page = {.limit = 1};
  static const struct fc_trace status = {.action = FC_TRACE_STATUS};
  struct fc_buf request = {0};
  join(&one);
  join(&other);
  hit(&other, 1);
  int failed = _i == 0   ? fc_encode_stats(&request, 1, (struct fc_str){0})
               : _i == 1 ? fc_encode_list(&request, 1, &list)
               : _i == 2 ? fc_encode_clear(&request, 1, &all)
               : _i == 3 ? fc_encode_page(&request, FC_NAMESPACES, 1, &page)
                         : fc_encode_trace(&request, 1, &status);
  ck_assert_int_eq(failed, 0);
  ck_assert_int_eq(send_request(&one, &request), DISPATCH_DONE);
  ck_assert_uint_eq(dispatch.counters.hits, 1);
}
END_TEST

static enum dispatch_result get(struct client *client, uint32_t n) {
  struct fc_buf request = {0};
  struct fc_get message = {.key = key_of(n)};
  ck_assert_int_eq(fc_encode_get(&request, 1, &message), 0);
  return send_request(client, &request);
}

static enum dispatch_result get_many(struct client *client, uint32_t n) {
  static const uint8_t prompt[FC_HASH_SIZE];
  struct fc_buf request = {0};
  struct fc_get_many message = {.key = key_of(n), .prompts = prompt, .n = 1};
  ck_assert_int_eq(fc_encode_get_many(&request, 1, &message), 0);
  return send_request(client, &request);
}

/* Of two entries, 1 was hit by another client, then the request used 2: 1 goes first. */
START_TEST(anothers_hit_comes_before_a_later_request) {
  join(&one);
  join(&other);
  for (uint32_t n = 1; n <= 2; n++)
    ck_assert_int_eq(put(&one, n), DISPATCH_DONE);
  one.session.ns->max_entries = 2;
  hit(&other, 1);
  ck_assert_int_eq(_i == 0   ? get(&one, 2)
                   : _i == 1 ? get_many(&one, 2)
                             : put(&one, 2),
                   DISPATCH_DONE);
  ck_assert_uint_eq(dispatch.counters.hits, _i == 2 ? 1 : 2);
  ck_assert_int_eq(put(&one, 3), DISPATCH_DONE);
  ck_assert(!stored(1) && stored(2) && stored(3));
}
END_TEST

/* What reads a ring where nothing else is asked for must not read it before the others. */
START_TEST(no_ring_is_read_before_an_older_hit_of_another) {
  join(&one);
  join(&other);
  for (uint32_t n = 1; n <= 2; n++)
    ck_assert_int_eq(put(&one, n), DISPATCH_DONE);
  one.session.ns->max_entries = 2;
  hit(&other, 1);
  hit(&one, 2);
  if (_i == 0)
    ck_assert_int_eq(ping(&one), DISPATCH_DONE);
  else if (_i == 1)
    (void)rings_sweep(&dispatch.rings, 0);
  else
    (void)rings_drain(&dispatch.rings, one.session.ring);
  ck_assert_int_eq(put(&other, 3), DISPATCH_DONE);
  ck_assert(!stored(1) && stored(2) && stored(3));
}
END_TEST

START_TEST(all_hits_come_before_a_put_evicts) {
  join(&one);
  join(&other);
  for (uint32_t n = 1; n <= 2; n++)
    ck_assert_int_eq(put(&one, n), DISPATCH_DONE);
  one.session.ns->max_entries = 2;
  hit(&other, 1); /* so 2 is the oldest */
  ck_assert_int_eq(put(&one, 2), DISPATCH_DONE);
  ck_assert_uint_eq(dispatch.counters.hits, 1);
  hit(&other, 1);
  ck_assert_int_eq(put(&one, 3), DISPATCH_DONE);
  ck_assert_uint_eq(dispatch.counters.hits, 2);
  ck_assert(stored(1) && !stored(2) && stored(3));
}
END_TEST

START_TEST(all_hits_come_before_a_lower_limit_evicts) {
  join(&one);
  for (uint32_t n = 1; n <= 3; n++)
    ck_assert_int_eq(put(&one, n), DISPATCH_DONE);
  hit(&one, 1);
  struct fc_hello hello = plain_hello;
  hello.has_max_entries = true;
  hello.max_entries = 1;
  (void)say_hello(&other, hello);
  ck_assert(stored(1) && !stored(2) && !stored(3));
}
END_TEST

START_TEST(all_hits_come_before_bytes_evict) {
  struct fc_key key = key_of(1);
  join(&one);
  ck_assert_int_eq(put(&one, 1), DISPATCH_DONE);
  ck_assert_int_eq(put(&one, 2), DISPATCH_DONE);
  store.max_bytes = 2 * heap_charge(&key, 1);
  hit(&one, 1);
  (void)say_hello(&other, plain_hello);
  ck_assert_int_eq(put(&other, 3), DISPATCH_DONE);
  ck_assert(stored(1) && !stored(2) && stored(3));
}
END_TEST

START_TEST(stats_say_which_way_hits_were_served) {
  struct fc_buf request = {0};
  struct fc_get get = {.key = key_of(1)};
  join(&one);
  ck_assert_int_eq(put(&one, 1), DISPATCH_DONE);
  hit(&one, 1);
  hit(&one, 1);
  atomic_store_explicit(&one.writer.header->unrecorded, 5, memory_order_relaxed);
  ck_assert_int_eq(fc_encode_get(&request, 1, &get), 0);
  ck_assert_int_eq(send_request(&one, &request), DISPATCH_DONE);
  ck_assert_int_eq(fc_encode_stats(&request, 1, (struct fc_str){0}), 0);
  ck_assert_int_eq(send_request(&one, &request), DISPATCH_DONE);
  struct fc_reply reply = replied();
  struct fc_stats_walk walk = {0};
  struct fc_stat stat;
  static const struct {
    const char *name;
    uint64_t value;
  } want[] = {{"cache_hits", 3}, {"hits_socket", 1},  {"hits_region", 2},
              {"rings", 1},      {"ring_records", 2}, {"hits_unrecorded", 5}};
  unsigned seen = 0;
  while (fc_stats_next(&reply.stats, &walk, &stat) && stat.name_space.data == NULL)
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
      if (fc_str_equal(stat.name, fc_str_of(want[i].name))) {
        ck_assert_msg(stat.integer == want[i].value, "%s", want[i].name);
        seen++;
      }
  ck_assert_uint_eq(seen, sizeof want / sizeof want[0]);
}
END_TEST

/* ---- what is wrong ---- */

START_TEST(a_bad_ring_ends_its_connection_alone) {
  join(&one);
  join(&other);
  atomic_store_explicit(&one.writer.header->head, UINT64_MAX, memory_order_release);
  ck_assert_ptr_null(dispatch_session_error(&one.session));
  ck_assert_int_eq(ping(&one), DISPATCH_CLOSE);
  struct fc_reply reply = replied();
  ck_assert_int_eq(reply.type, FC_ERROR);
  ck_assert_int_eq(reply.error.code, FC_EPROTOCOL);
  ck_assert_ptr_nonnull(memmem(reply.error.text.data, reply.error.text.size, "head", 4));
  ck_assert_uint_eq(dispatch.dropped, 1);
  dispatch_client_gone(&dispatch, &one.session);
  ck_assert_int_eq(ping(&other), DISPATCH_DONE);
}
END_TEST

/* ---- the trace behind ---- */

START_TEST(a_ping_waits_for_room_alone) {
  join(&one);
  hit(&one, 1);
  traced_fall_behind(&traced);
  ck_assert_int_eq(ping(&one), DISPATCH_DONE);
  ck_assert(!one.session.waits_for_trace);
  ck_assert_int_eq(put(&one, 1), DISPATCH_RETRY);
  traced_write_out(&traced);
  ck_assert_int_eq(put(&one, 1), DISPATCH_DONE);
  ck_assert_uint_eq(dispatch.counters.hits, 1);
}
END_TEST

START_TEST(a_client_waits_for_the_trace) {
  join(&one);
  join(&other);
  hit(&one, 1);
  traced_fall_behind(&traced);
  ck_assert_int_eq(put(&one, 1), DISPATCH_RETRY);
  ck_assert(one.session.waits_for_trace);
  ck_assert_uint_eq(out.size, 0);
  ck_assert_int_eq(ping(&other), DISPATCH_DONE); /* its ring is empty */
  ck_assert(!other.session.waits_for_trace);
  traced_write_out(&traced);
  ck_assert_int_eq(put(&one, 1), DISPATCH_DONE);
  ck_assert(!one.session.waits_for_trace);
  ck_assert_uint_eq(traced_count(&traced, "\n"), 2); /* of the hit, and of the put */
}
END_TEST

START_TEST(who_leaves_waits_for_nothing) {
  join(&one);
  hit(&one, 1);
  traced_fall_behind(&traced);
  dispatch_client_gone(&dispatch, &one.session);
  ck_assert_uint_eq(dispatch.counters.hits, 1);
  ck_assert_ptr_null(one.session.ns);
  ck_assert(rings_owe_lines(&dispatch.rings));
  traced_write_out(&traced);
  ck_assert_uint_eq(rings_sweep(&dispatch.rings, 0), 0);
  ck_assert_uint_eq(traced_count(&traced, "\n"), 1);
}
END_TEST

START_TEST(others_need_not_wait_for_a_figure) {
  struct fc_buf request = {0};
  join(&one);
  join(&other);
  hit(&one, 1);
  traced_fall_behind(&traced);
  ck_assert_int_eq(fc_encode_stats(&request, 1, (struct fc_str){0}), 0);
  ck_assert_int_eq(send_request(&other, &request), DISPATCH_DONE);
  ck_assert_uint_eq(dispatch.counters.hits, 1);
}
END_TEST

START_TEST(lines_that_are_owed_go_to_the_file_that_was_on) {
  static const struct fc_trace off = {.action = FC_TRACE_OFF};
  struct fc_buf request = {0};
  join(&other);
  (void)say_hello(&one, plain_hello);
  ring_writer_open(&one.writer, out.fds[1]);
  hit(&other, 1);
  traced_fall_behind(&traced);
  ck_assert_int_eq(fc_encode_trace(&request, 1, &off), 0);
  ck_assert_int_eq(send_request(&one, &request), DISPATCH_RETRY);
  ck_assert(one.session.waits_for_trace && trace_is_on(&traced.trace));
  traced_write_out(&traced);
  (void)rings_sweep(&dispatch.rings, 0);
  ck_assert_int_eq(fc_encode_trace(&request, 1, &off), 0);
  ck_assert_int_eq(send_request(&one, &request), DISPATCH_DONE);
  ck_assert(!trace_is_on(&traced.trace));
  ck_assert_uint_eq(traced_count(&traced, "\n"), 1);
}
END_TEST

static enum dispatch_result send_trace(struct client *client, enum fc_trace_action action) {
  struct fc_trace message = {.action = action};
  struct fc_buf request = {0};
  ck_assert_int_eq(fc_encode_trace(&request, 1, &message), 0);
  return send_request(client, &request);
}

/* Some lines are always owed, but none for ever. */
START_TEST(a_trace_under_load_can_be_turned_off) {
  join(&other);
  (void)say_hello(&one, plain_hello);
  ring_writer_open(&one.writer, out.fds[1]);
  hit(&other, 1);
  traced_fall_behind(&traced);
  ck_assert_int_eq(send_trace(&one, FC_TRACE_OFF), DISPATCH_RETRY);
  hit(&other, 2);
  ck_assert(!rings_drain_all(&dispatch.rings)); /* as an eviction does */
  ck_assert_int_eq(send_trace(&one, FC_TRACE_OFF), DISPATCH_RETRY);
  ck_assert(dispatch.rings.attention);
  traced_write_out(&traced);
  (void)rings_sweep(&dispatch.rings, 0);
  hit(&other, 3);
  traced_fall_behind(&traced);
  ck_assert(!rings_drain_all(&dispatch.rings));
  ck_assert_int_eq(send_trace(&one, FC_TRACE_OFF), DISPATCH_DONE);
  ck_assert(!trace_is_on(&traced.trace));
  ck_assert_uint_eq(traced_count(&traced, "\n"), 2);
}
END_TEST

START_TEST(an_orphans_lines_go_to_the_file_that_was_on) {
  join(&other);
  (void)say_hello(&one, plain_hello);
  ring_writer_open(&one.writer, out.fds[1]);
  hit(&other, 1);
  traced_fall_behind(&traced);
  ck_assert_int_eq(send_trace(&one, FC_TRACE_OFF), DISPATCH_RETRY);
  dispatch_client_gone(&dispatch, &other.session);
  ck_assert_int_eq(send_trace(&one, FC_TRACE_OFF), DISPATCH_RETRY);
  traced_write_out(&traced);
  (void)rings_sweep(&dispatch.rings, 0);
  ck_assert_int_eq(send_trace(&one, FC_TRACE_OFF), DISPATCH_DONE);
  ck_assert_uint_eq(traced_count(&traced, "\n"), 1);
}
END_TEST

START_TEST(who_asks_about_the_trace_waits_for_nothing) {
  join(&other);
  (void)say_hello(&one, plain_hello);
  ring_writer_open(&one.writer, out.fds[1]);
  hit(&other, 1);
  traced_fall_behind(&traced);
  ck_assert_int_eq(send_trace(&one, FC_TRACE_STATUS), DISPATCH_DONE);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("dispatch_rings");
  TCase *tcase = tcase_create("dispatch_rings");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, a_client_that_can_read_the_region_is_given_both);
  tcase_add_loop_test(tcase, others_are_given_none, 0, 7);
  tcase_add_test(tcase, a_larger_ring_takes_the_place);
  tcase_add_loop_test(tcase, a_client_without_a_ring_is_counted_and_given_one_later, 0, 2);
  tcase_add_loop_test(tcase, another_ring_that_cannot_be_had, 0, 3);
  tcase_add_test(tcase, a_new_ring_among_many_is_asleep);
  tcase_add_test(tcase, a_clients_hits_come_before_its_next_request);
  tcase_add_loop_test(tcase, all_hits_come_before_what_tells_of_them, 0, 5);
  tcase_add_loop_test(tcase, anothers_hit_comes_before_a_later_request, 0, 3);
  tcase_add_loop_test(tcase, no_ring_is_read_before_an_older_hit_of_another, 0, 3);
  tcase_add_test(tcase, all_hits_come_before_a_put_evicts);
  tcase_add_test(tcase, all_hits_come_before_a_lower_limit_evicts);
  tcase_add_test(tcase, all_hits_come_before_bytes_evict);
  tcase_add_test(tcase, stats_say_which_way_hits_were_served);
  tcase_add_test(tcase, a_bad_ring_ends_its_connection_alone);
  tcase_add_test(tcase, a_ping_waits_for_room_alone);
  tcase_add_test(tcase, a_client_waits_for_the_trace);
  tcase_add_test(tcase, who_leaves_waits_for_nothing);
  tcase_add_test(tcase, others_need_not_wait_for_a_figure);
  tcase_add_test(tcase, lines_that_are_owed_go_to_the_file_that_was_on);
  tcase_add_test(tcase, a_trace_under_load_can_be_turned_off);
  tcase_add_test(tcase, an_orphans_lines_go_to_the_file_that_was_on);
  tcase_add_test(tcase, who_asks_about_the_trace_waits_for_nothing);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
