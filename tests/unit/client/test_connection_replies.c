/* Replies that are broken, slow, late or missing, and the deadline. */
#include <check.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/lib/conn/socket_io.h"
#include "client/lib/util/clock.h"
#include "fcache.h"
#include "proto/errors.h"
#include "proto/wire/frame.h"
#include "tests/support/client_fixture.h"
#include "tests/support/runner.h"
#include "tests/support/scripted_daemon.h"

#define DEADLINE_MS 150u
#define SLACK_MS 10000u /* a loaded machine, or one under valgrind; still bounded */

static void serve_silence(struct scripted_daemon *scripted, int fd, unsigned nth) {
  (void)scripted;
  (void)nth;
  scripted_wait_closed(fd);
}

/* Does the handshake and reads nothing more. */
static void serve_no_reading(struct scripted_daemon *scripted, int fd, unsigned nth) {
  (void)nth;
  if (scripted_handshake(scripted, fd))
    scripted_wait_released(scripted);
}

/* Does the handshake, reads one get, and answers with the bytes at scripted->arg. */
struct bytes {
  const void *data;
  size_t size;
};

static void serve_bytes(struct scripted_daemon *scripted, int fd, unsigned nth) {
  (void)nth;
  const struct bytes *bytes = scripted->arg;
  uint8_t *body;
  struct fc_request request;
  if (!scripted_handshake(scripted, fd) || !scripted_read(scripted, fd, &body, &request))
    return;
  free(body);
  (void)scripted_write(fd, bytes->data,
                       bytes->size); /* the client may close at the first of them */
}

START_TEST(reply_broken_miss) {
  static const uint8_t wrong_type[] = {0x93, FC_REPLY | FC_PUT, 2, 0};
  static const uint8_t wrong_fields[] = {0x93, FC_REPLY | FC_GET, 2, 0xc0};
  static const uint8_t no_array[] = {0x02};
  static const struct {
    const void *data;
    uint32_t size;
    bool framed;
  } replies[] = {
      {"HTTP/1.1 400 Bad Request\r\n\r\n", 28, false},
      {"FCA1\0\0\0\0", 8, false},
      {"FCA1\xff\xff\xff\xff", 8, false},
      {wrong_type, sizeof wrong_type, true},
      {wrong_fields, sizeof wrong_fields, true},
      {no_array, sizeof no_array, true},
      {"", 0, false},
  };
  uint8_t frame[256];
  struct bytes bytes = {frame, replies[_i].size};
  memcpy(frame, replies[_i].data, replies[_i].size);
  if (replies[_i].framed) {
    fc_frame_put_header(frame, replies[_i].size);
    memcpy(frame + FC_FRAME_HEADER, replies[_i].data, replies[_i].size);
    bytes.size += FC_FRAME_HEADER;
  }
  struct scripted_daemon scripted;
  scripted_start(&scripted, serve_bytes, &bytes);
  struct fcache *cache = client_open(scripted.path, CLIENT_LONG_MS);
  uint64_t start_ms = runner_now_ms();
  ck_assert_int_eq(client_get(cache, "a"), FCACHE_MISS);
  ck_assert_uint_lt(runner_now_ms() - start_ms, CLIENT_LONG_MS / 2); /* no wait for further bytes */
  ck_assert(!fcache_connected(cache));
  ck_assert_uint_eq(client_lines.n, 1);
  fcache_close(cache);
  scripted_stop(&scripted);
}
END_TEST

/* The first request after hello has id 2. */
static size_t make_hit(uint8_t *to, size_t room) {
  struct fc_buf buf = {0};
  ck_assert_int_eq(fc_encode_hit_head(&buf, 2, 7, 5), 0);
  ck_assert_int_eq(fc_buf_append(&buf, "value", 5), 0);
  ck_assert_uint_le(buf.size, room);
  memcpy(to, buf.data, buf.size);
  size_t size = buf.size;
  fc_buf_free(&buf);
  return size;
}

START_TEST(reply_cut_anywhere_miss) {
  uint8_t hit[128];
  size_t size = make_hit(hit, sizeof hit);
  for (size_t cut = 0; cut <= size; cut++) {
    struct bytes bytes = {hit, cut};
    struct scripted_daemon scripted;
    scripted_start(&scripted, serve_bytes, &bytes);
    struct fcache *cache = client_open(scripted.path, CLIENT_LONG_MS);
    ck_assert_int_eq(client_get(cache, "a"), cut < size ? FCACHE_MISS : FCACHE_OK);
    fcache_close(cache);
    scripted_stop(&scripted);
  }
}
END_TEST

/* Each byte in a message of its own. */
static void serve_crumbs(struct scripted_daemon *scripted, int fd, unsigned nth) {
  (void)nth;
  const struct bytes *bytes = scripted->arg;
  uint8_t *body;
  struct fc_request request;
  if (!scripted_handshake(scripted, fd) || !scripted_read(scripted, fd, &body, &request))
    return;
  free(body);
  for (size_t i = 0; i < bytes->size; i++) {
    if (!scripted_write(fd, (const uint8_t *)bytes->data + i, 1))
      return;
    (void)poll(NULL, 0, scripted->welcome.max_value == 1 ? 10 : 0);
  }
  scripted_wait_closed(fd);
}

START_TEST(reply_byte_by_byte_hit) {
  uint8_t hit[128];
  struct bytes bytes = {hit, make_hit(hit, sizeof hit)};
  struct scripted_daemon scripted;
  scripted_start(&scripted, serve_crumbs, &bytes);
  struct fcache *cache = client_open(scripted.path, CLIENT_LONG_MS);
  ck_assert_int_eq(client_get(cache, "a"), FCACHE_OK);
  fcache_close(cache);
  scripted_stop(&scripted);
}
END_TEST

/* A reply that never ends, one byte at a time. The deadline limits the whole reply. */
START_TEST(reply_dripping_deadline_kept) {
  uint8_t frame[4096] = {0};
  struct bytes bytes = {frame, sizeof frame};
  fc_frame_put_header(frame, sizeof frame - FC_FRAME_HEADER);
  struct scripted_daemon scripted;
  scripted_start(&scripted, serve_crumbs, &bytes);
  scripted.welcome.max_value = 1; /* makes the script slow */
  struct fcache *cache = client_open_connected(scripted.path, DEADLINE_MS);
  uint64_t start_ms = runner_now_ms();
  ck_assert_int_eq(client_get(cache, "a"), FCACHE_MISS);
  ck_assert_uint_ge(runner_now_ms() - start_ms, DEADLINE_MS - 1);
  ck_assert_uint_lt(runner_now_ms() - start_ms, DEADLINE_MS + SLACK_MS);
  fcache_close(cache);
  scripted_stop(&scripted);
}
END_TEST

/* The deadline is so long that a second one would be seen, however busy the machine. */
START_TEST(daemon_silent_costs_one_deadline) {
  const uint32_t deadline_ms = 3000;
  struct scripted_daemon scripted;
  scripted_start(&scripted, _i == 0 ? serve_silence : client_serve_nothing, NULL);
  uint64_t start_ms = runner_now_ms();
  struct fcache *cache = client_open(scripted.path, deadline_ms);
  ck_assert_int_eq(client_get(cache, "a"), FCACHE_MISS);
  uint64_t took_ms = runner_now_ms() - start_ms;
  ck_assert_uint_ge(took_ms, deadline_ms - 1);
  ck_assert_uint_lt(took_ms, 2 * deadline_ms);
  ck_assert_ptr_nonnull(strstr(client_lines.first, "did not answer within 3000 ms"));
  /* No call waits while the back-off lasts, nor for the welcome of the next connection. */
  start_ms = runner_now_ms();
  for (int i = 0; i < 1000 && runner_now_ms() - start_ms < 50; i++)
    ck_assert_int_eq(client_get(cache, "a"), FCACHE_MISS);
  while (_i == 0 && atomic_load(&scripted.accepted) < 2 &&
         runner_now_ms() - start_ms < deadline_ms) {
    ck_assert_int_eq(client_get(cache, "a"), FCACHE_MISS);
    (void)poll(NULL, 0, 1);
  }
  for (int i = 0; _i == 0 && i < 1000; i++)
    ck_assert_int_eq(client_get(cache, "a"), FCACHE_MISS);
  ck_assert_uint_lt(runner_now_ms() - start_ms, deadline_ms);
  ck_assert_uint_eq(client_lines.n, 1);
  fcache_close(cache);
  scripted_stop(&scripted);
}
END_TEST

START_TEST(put_unread_deadline_kept) {
  struct scripted_daemon scripted;
  size_t size = 8u << 20;
  char *data = calloc(1, size);
  ck_assert_ptr_nonnull(data);
  struct fcache_key key = client_key("a");
  scripted_start(&scripted, serve_no_reading, NULL);
  struct fcache *cache = client_open_connected(scripted.path, DEADLINE_MS);
  uint64_t start_ms = runner_now_ms();
  ck_assert_int_eq(fcache_put(cache, &key, data, size, 1, 0), FCACHE_NOT_STORED);
  ck_assert_uint_ge(runner_now_ms() - start_ms, DEADLINE_MS - 1);
  ck_assert_uint_lt(runner_now_ms() - start_ms, DEADLINE_MS + SLACK_MS);
  fcache_close(cache);
  scripted_stop(&scripted);
  free(data);
}
END_TEST

static void serve_late_replies(struct scripted_daemon *scripted, int fd, unsigned nth) {
  (void)nth;
  uint8_t *body;
  struct fc_request request;
  if (!scripted_handshake(scripted, fd))
    return;
  while (scripted_read(scripted, fd, &body, &request)) {
    free(body);
    scripted_send_hit(fd, request.id - 1, "wrong", 5);
    scripted_send_miss(fd, request.id + 1000, 1);
    scripted_send_hit(fd, request.id, "value", 5);
  }
}

START_TEST(reply_of_other_request_ignored) {
  struct scripted_daemon scripted;
  scripted_start(&scripted, serve_late_replies, NULL);
  struct fcache *cache = client_open(scripted.path, CLIENT_LONG_MS);
  for (int i = 0; i < 10; i++)
    ck_assert_int_eq(client_get(cache, "a"), FCACHE_OK);
  fcache_close(cache);
  scripted_stop(&scripted);
}
END_TEST

static void serve_flood(struct scripted_daemon *scripted, int fd, unsigned nth) {
  (void)nth;
  uint8_t *body;
  struct fc_request request;
  if (!scripted_handshake(scripted, fd) || !scripted_read(scripted, fd, &body, &request))
    return;
  free(body);
  /* Thousands with each write: they arrive faster than the client skips them. */
  struct fc_buf burst = {0};
  while (burst.size < 100000) {
    if (fc_encode_hit_head(&burst, 77777, 7, 5) != 0 || fc_buf_append(&burst, "wrong", 5) != 0)
      break;
  }
  while (scripted_write(fd, burst.data, burst.size))
    continue;
  fc_buf_free(&burst);
}

START_TEST(reply_flood_deadline_kept) {
  struct scripted_daemon scripted;
  scripted_start(&scripted, serve_flood, NULL);
  struct fcache *cache = client_open_connected(scripted.path, DEADLINE_MS);
  uint64_t start_ms = runner_now_ms();
  ck_assert_int_eq(client_get(cache, "a"), FCACHE_MISS);
  ck_assert_uint_lt(runner_now_ms() - start_ms, DEADLINE_MS + SLACK_MS);
  fcache_close(cache);
  scripted_stop(&scripted);
}
END_TEST

/* After the deadline the library reads once, since the process may have been stopped, and no more.
 * The test has no race. */
START_TEST(socket_io_data_after_deadline_times_out) {
  int pair[2];
  uint8_t frame[FC_FRAME_HEADER + 1] = {0};
  const uint8_t *body;
  uint32_t size;
  struct socket_io io;
  fc_frame_put_header(frame, 1);
  ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  ck_assert_int_eq((int)write(pair[1], frame, sizeof frame), (int)sizeof frame);
  socket_io_init(&io, (uint64_t)DEADLINE_MS * 1000000u);
  io.socket.fd = pair[0];
  io.started = true;
  io.end_ns = clock_now_ns() - 1;
  ck_assert_int_eq(socket_io_receive(&io, 100, true, &body, &size), 0);
  ck_assert_uint_eq(size, 1);
  ck_assert_int_eq((int)write(pair[1], frame, sizeof frame), (int)sizeof frame);
  ck_assert_int_eq(socket_io_receive(&io, 100, true, &body, &size), FC_ETIMEDOUT);
  socket_io_start_deadline(&io);
  ck_assert_int_eq(socket_io_receive(&io, 100, true, &body, &size), 0);
  ck_assert_uint_eq(size, 1);
  socket_io_deinit(&io); /* no socket that it opened: not closed */
  ck_assert_int_eq(close(pair[0]), 0);
  ck_assert_int_eq(close(pair[1]), 0);
}
END_TEST

/* socket_io_send_now sends a whole message or nothing. After a partial message it sends nothing. */
START_TEST(socket_io_after_cut_message_sends_nothing) {
  int pair[2];
  size_t size = 8u << 20;
  char *data = calloc(1, size);
  struct socket_io io;
  ck_assert_ptr_nonnull(data);
  ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  socket_io_init(&io, 1000000u);
  io.socket.fd = pair[0];
  ck_assert(socket_io_send_now(&io, data, 10));
  if (_i == 0) {
    struct iovec piece = {data, size};
    ck_assert_int_eq(socket_io_send(&io, &piece, 1), FC_ETIMEDOUT);
  } else {
    ck_assert(!socket_io_send_now(&io, data, size));
  }
  while (recv(pair[1], data, size, MSG_DONTWAIT) > 0) /* there is room again */
    continue;
  ck_assert(!socket_io_send_now(&io, data, 10));
  socket_io_deinit(&io); /* no socket that it opened: not closed */
  ck_assert_int_eq(close(pair[0]), 0);
  ck_assert_int_eq(close(pair[1]), 0);
  free(data);
}
END_TEST

/* A late reply arrives on a connection that the client does not read any more. */
static void serve_late_first(struct scripted_daemon *scripted, int fd, unsigned nth) {
  uint8_t *body;
  struct fc_request request;
  if (nth > 0) {
    client_serve_hits(scripted, fd, nth);
    return;
  }
  if (!scripted_handshake(scripted, fd) || !scripted_read(scripted, fd, &body, &request))
    return;
  free(body);
  scripted_wait_released(scripted);
  scripted_send_hit(fd, request.id, "wrong", 5);
}

START_TEST(reply_late_never_used) {
  struct scripted_daemon scripted;
  scripted_start(&scripted, serve_late_first, NULL);
  struct fcache *cache = client_open(scripted.path, DEADLINE_MS);
  ck_assert_int_eq(client_get(cache, "a"), FCACHE_MISS);
  atomic_store(&scripted.released, true);
  client_get_until(cache, FCACHE_OK); /* get checks the value */
  fcache_close(cache);
  scripted_stop(&scripted);
}
END_TEST

/* An error message without a request, and then the end of the connection. */
static void serve_final_error(struct scripted_daemon *scripted, int fd, unsigned nth) {
  (void)nth;
  struct fc_buf buf = {0};
  if (scripted_handshake(scripted, fd) &&
      fc_encode_error(&buf, 0, FC_ESHUTDOWN, fc_str_of("good bye")) == 0)
    scripted_send(fd, &buf);
}

START_TEST(final_error_received_logged) {
  struct scripted_daemon scripted;
  scripted_start(&scripted, serve_final_error, NULL);
  struct fcache *cache = client_open(scripted.path, CLIENT_LONG_MS);
  struct pollfd closed = {.fd = client_socket_of(scripted.path), .events = POLLRDHUP};
  ck_assert_int_eq(poll(&closed, 1, (int)CLIENT_LONG_MS),
                   1); /* so that the client cannot send its request */
  ck_assert_int_eq(client_get(cache, "a"), FCACHE_MISS);
  ck_assert_msg(strstr(client_lines.first, "good bye") != NULL, "%s", client_lines.first);
  ck_assert(!fcache_connected(cache));
  fcache_close(cache);
  scripted_stop(&scripted);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("connection_replies");
  TCase *tcase = tcase_create("connection_replies");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, client_set_up, client_tear_down);
  tcase_add_loop_test(tcase, reply_broken_miss, 0, 7);
  tcase_add_test(tcase, reply_cut_anywhere_miss);
  tcase_add_test(tcase, reply_byte_by_byte_hit);
  tcase_add_test(tcase, reply_dripping_deadline_kept);
  tcase_add_loop_test(tcase, daemon_silent_costs_one_deadline, 0, 2);
  tcase_add_test(tcase, put_unread_deadline_kept);
  tcase_add_test(tcase, reply_of_other_request_ignored);
  tcase_add_test(tcase, reply_flood_deadline_kept);
  tcase_add_test(tcase, socket_io_data_after_deadline_times_out);
  tcase_add_loop_test(tcase, socket_io_after_cut_message_sends_nothing, 0, 2);
  tcase_add_test(tcase, reply_late_never_used);
  tcase_add_test(tcase, final_error_received_logged);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
