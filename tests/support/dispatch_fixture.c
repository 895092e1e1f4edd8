#include "tests/support/dispatch_fixture.h"

#include <check.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/shm/region_layout.h"
#include "tests/support/private_store.h"

struct dispatch dispatch;
struct store store;
struct namespace_table namespaces;
struct users users;
struct traced traced;
struct test_client test_clients[DISPATCH_CLIENTS];

static struct region region;
static struct region handed_out; /* no more than its descriptors */
static struct trace no_trace;    /* off */
static struct log no_log;
static bool is_traced;
static size_t no_bytes;
static uint64_t last_hit_ns; /* a counter is the clock of hits */

/* ---- sinks ---- */

static bool can_send(struct reply_sink *sink, size_t bytes) {
  struct test_client *client = (struct test_client *)sink;
  if (client->room_wanted < bytes)
    client->room_wanted = bytes;
  return bytes <= client->room && client->room > 0;
}

static void keep(struct reply_sink *sink, const struct iovec *pieces, struct entry *const *owners,
                 size_t n) {
  struct test_client *client = (struct test_client *)sink;
  struct fc_buf frame = {0};
  (void)owners;
  for (size_t i = 0; i < n; i++)
    ck_assert_int_eq(fc_buf_append(&frame, pieces[i].iov_base, pieces[i].iov_len), 0);
  ck_assert_uint_lt(client->n, DISPATCH_REPLIES_MAX);
  client->sizes[client->n] = frame.size;
  client->replies[client->n++] = frame.data; /* takes its memory */
}

static bool keep_with_fds(struct reply_sink *sink, const struct iovec *piece, const int *fds,
                          size_t n_fds) {
  struct test_client *client = (struct test_client *)sink;
  ck_assert_uint_eq(n_fds, 1 + handed_out.n_segments + 1);
  if (client->no_fds)
    return false;
  keep(sink, piece, NULL, 1);
  for (int i = 0; i < 2; i++) {
    client->fds[i] = fcntl(fds[i == 0 ? 0 : n_fds - 1], F_DUPFD_CLOEXEC, 0);
    ck_assert_int_ge(client->fds[i], 0);
  }
  return true;
}

static void resume(struct reply_sink *sink) {
  ((struct test_client *)sink)->resumes++;
}

/* ---- set-up ---- */

void client_init(struct test_client *client, unsigned i) {
  memset(client, 0, sizeof *client);
  client->sink = (struct reply_sink){
      .can_send = can_send, .send = keep, .send_with = keep_with_fds, .resume = resume};
  client->room = SIZE_MAX;
  client->fds[0] = client->fds[1] = -1;
  client->session.client_id = 11 + i;
  client->session.pid = (pid_t)(100 + i);
}

void dispatch_set_up(const struct dispatch_options *options) {
  private_store_init(&store, &region, options->store_bytes > 0 ? options->store_bytes : 1 << 20,
                     DISPATCH_VALUE_MAX, 42);
  namespace_table_init(&namespaces, &store, NAMESPACE_LIMIT_MAX);
  users_init(&users, USER_SHARE_DEFAULT);
  is_traced = options->traced;
  if (is_traced)
    traced_start(&traced);
  struct dispatch_config config = {.store = &store,
                                   .namespaces = &namespaces,
                                   .trace = is_traced ? &traced.trace : &no_trace,
                                   .log = is_traced ? &traced.log : &no_log,
                                   .users = &users,
                                   .boot_id = 1,
                                   .max_clients = DISPATCH_CLIENTS,
                                   .frames_bytes = &no_bytes,
                                   .replies_bytes = &no_bytes,
                                   .region = options->rings ? &handed_out : NULL,
                                   .ring_pool_bytes = options->rings ? 64u << 20 : 0,
                                   .leases = leases_limits_of(16, 3600000),
                                   .totals = options->totals,
                                   .secret = 43};
  handed_out =
      (struct region){.index_fd = open("/dev/null", O_RDONLY | O_CLOEXEC), .n_segments = 2};
  ck_assert_int_ge(handed_out.index_fd, 0);
  handed_out.segment_fds[0] = handed_out.segment_fds[1] = handed_out.index_fd;
  dispatch_init(&dispatch, &config);
  last_hit_ns = 0;
  for (unsigned i = 0; i < DISPATCH_CLIENTS; i++)
    client_init(&test_clients[i], i);
}

void client_free(struct test_client *client) {
  dispatch_client_gone(&dispatch, &client->session);
  if (client->writer.header != NULL)
    ring_builder_close(&client->writer);
  client_close_fds(client);
  for (unsigned i = 0; i < client->n; i++)
    free(client->replies[i]);
}

void dispatch_tear_down(void) {
  for (unsigned i = 0; i < DISPATCH_CLIENTS; i++)
    client_free(&test_clients[i]);
  ck_assert_uint_eq(dispatch.leases.n, 0);
  ck_assert_uint_eq(dispatch.leases.waits, 0);
  ck_assert_int_eq(close(handed_out.index_fd), 0);
  namespace_table_deinit(&namespaces);
  dispatch_deinit(&dispatch);
  private_store_deinit(&store, &region);
  if (is_traced)
    traced_end(&traced);
}

void client_disconnect(struct test_client *client) {
  unsigned i = (unsigned)(client->session.client_id - 11);
  client_free(client);
  client_init(client, i);
}

/* ---- requests ---- */

enum dispatch_result client_dispatch(struct test_client *client, const struct fc_buf *request) {
  ck_assert(!request->failed);
  client->room_wanted = 0;
  return dispatch_frame(&dispatch, &client->session, &client->sink, request->data + FC_FRAME_HEADER,
                        (uint32_t)(request->size - FC_FRAME_HEADER));
}

enum dispatch_result client_send(struct test_client *client, struct fc_buf *request) {
  enum dispatch_result result = client_dispatch(client, request);
  fc_buf_free(request);
  return result;
}

void client_request(struct test_client *client, struct fc_buf *request) {
  ck_assert_int_eq(client_send(client, request), DISPATCH_DONE);
}

struct fc_reply client_reply(struct test_client *client) {
  struct fc_reply reply;
  ck_assert(client_has_reply(client));
  unsigned i = client->n_read++;
  ck_assert_int_eq(fc_decode_reply(client->replies[i] + FC_FRAME_HEADER,
                                   client->sizes[i] - FC_FRAME_HEADER, &reply),
                   0);
  return reply;
}

struct fc_reply client_last_reply(struct test_client *client) {
  ck_assert(client_has_reply(client));
  client->n_read = client->n - 1;
  return client_reply(client);
}

bool client_has_reply(const struct test_client *client) {
  return client->n_read < client->n;
}

size_t client_last_size(const struct test_client *client) {
  ck_assert_uint_gt(client->n, 0);
  return client->sizes[client->n - 1];
}

struct fc_hello client_hello_of(uint32_t version_max) {
  return (struct fc_hello){.version_min = FC_PROTOCOL_VERSION_MIN,
                           .version_max = version_max,
                           .client = fc_str_of("client"),
                           .name_space = fc_str_of("ns"),
                           .region_layout = FC_REGION_LAYOUT};
}

struct fc_welcome client_hello(struct test_client *client, struct fc_hello hello) {
  struct fc_buf request = {0};
  ck_assert_int_eq(fc_encode_hello(&request, 1, &hello), 0);
  client_request(client, &request);
  return client_last_reply(client).welcome;
}

enum dispatch_result client_put(struct test_client *client, const struct fc_key *key, uint8_t fill,
                                uint32_t size, struct fc_epoch epoch) {
  static uint8_t value[2 * DISPATCH_VALUE_MAX];
  struct fc_buf request = {0};
  struct fc_put message = {.flags = epoch.boot_id != 0 ? FC_KEEP_FIRST : 0,
                           .key = *key,
                           .epoch = epoch,
                           .compute_ns = 1000,
                           .value = value,
                           .value_size = size};
  memset(value, fill, sizeof value);
  ck_assert_int_eq(fc_encode_put_head(&request, 200, &message), 0);
  ck_assert_int_eq(fc_buf_append(&request, value, size), 0);
  return client_send(client, &request);
}

/* ---- rings ---- */

void client_close_fds(struct test_client *client) {
  for (int i = 0; i < 2; i++) {
    if (client->fds[i] >= 0)
      ck_assert_int_eq(close(client->fds[i]), 0);
    client->fds[i] = -1;
  }
}

void client_open_ring(struct test_client *client) {
  if (client->writer.header != NULL)
    ring_builder_close(&client->writer);
  ck_assert_int_ge(client->fds[0], 0);
  ring_builder_open(&client->writer, client->fds[1]);
  client_close_fds(client);
  ring_builder_context(&client->writer, 0, "op", "base", NULL);
}

void client_record_hit(struct test_client *client, const struct fc_key *key) {
  struct fc_ring_hit record = ring_builder_hit_on(client->session.ns->seed, 0, key);
  record.end_ns = ++last_hit_ns;
  ring_builder_hit(&client->writer, &record);
  ring_builder_publish(&client->writer);
}

struct fc_key request_key(uint32_t n) {
  struct fc_key key = {.op = fc_str_of("op"), .view = fc_str_of("base")};
  key.prompt.bytes[0] = (uint8_t)n;
  key.prompt.bytes[1] = (uint8_t)(n >> 8);
  return key;
}
