/* Send buffers: large ones are lent within the pool, and taken back from sockets that are empty. */
#include <check.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/net/send_buffer.h"
#include "tests/support/runner.h"

enum { SOCKETS = 6 };
#define LARGE_BYTES 131072u /* as the kernel doubles it */
#define EACH (LARGE_BYTES + SEND_BUFFER_OVER_BYTES)
#define LIMIT (1u << 20)

static struct send_buffers pool;
static struct send_buffer buffers[SOCKETS];
static int peers[SOCKETS];

static void set_up(void) {
  send_buffers_init(&pool, LIMIT);
  for (int i = 0; i < SOCKETS; i++) {
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    send_buffer_init(&buffers[i], pair[0]);
    peers[i] = pair[1];
  }
}

static void tear_down(void) {
  for (int i = 0; i < SOCKETS; i++) {
    send_buffer_return(&pool, &buffers[i]);
    send_buffer_return(&pool, &buffers[i]);
    (void)close(buffers[i].fd);
    (void)close(peers[i]);
  }
  send_buffers_deinit(&pool);
}

/* Sends as much as the kernel takes. */
static size_t fill(const struct send_buffer *buffer, size_t piece) {
  static char bytes[65536];
  while (send(buffer->fd, bytes, piece, MSG_DONTWAIT) > 0)
    ;
  return send_buffer_unread(buffer->fd);
}

/* However small the pieces are: of each the kernel counts some hundred bytes. */
START_TEST(full_small_buffer_takes_its_charge) {
  static const size_t pieces[] = {1, 100, 3000, 4097, 8000, 65536};
  ck_assert_uint_gt(fill(&buffers[0], pieces[_i]), 8000);
  ck_assert_uint_le(send_buffer_unread(buffers[0].fd), SEND_BUFFER_SMALL_BYTES);
}
END_TEST

START_TEST(full_large_buffer_takes_its_charge) {
  static const size_t pieces[] = {1, 100, 3000, 4097, 8000, 65536};
  ck_assert(send_buffer_enlarge(&pool, &buffers[0], true));
  ck_assert_uint_eq(pool.used_bytes, EACH);
  ck_assert_uint_gt(fill(&buffers[0], pieces[_i]), LARGE_BYTES - 1);
  ck_assert_uint_le(send_buffer_unread(buffers[0].fd), pool.used_bytes);
}
END_TEST

static unsigned lend_all(void) {
  unsigned n = 0;
  for (int i = 0; i < SOCKETS; i++)
    if (send_buffer_enlarge(&pool, &buffers[i], true)) {
      (void)fill(&buffers[i], 8000);
      n++;
    }
  return n;
}

START_TEST(pool_limit_never_exceeded) {
  pool.limit_bytes = 2 * EACH + EACH / 2;
  ck_assert_uint_eq(lend_all(), 2);
  ck_assert_uint_le(pool.used_bytes, pool.limit_bytes);
  ck_assert(!send_buffer_enlarge(&pool, &buffers[SOCKETS - 1], true)); /* none is empty */
}
END_TEST

START_TEST(empty_buffer_lent_to_another_socket) {
  static char bytes[1 << 20];
  pool.limit_bytes = 2 * EACH;
  ck_assert_uint_eq(lend_all(), 2);
  while (recv(peers[1], bytes, sizeof bytes, MSG_DONTWAIT) > 0)
    ;
  ck_assert(send_buffer_enlarge(&pool, &buffers[3], true));
  ck_assert_uint_eq(buffers[1].bytes, 0);
  ck_assert_uint_gt(buffers[0].bytes, 0); /* its peer has not read */
  ck_assert_uint_le(fill(&buffers[1], 8000), SEND_BUFFER_SMALL_BYTES);
  ck_assert_uint_le(pool.used_bytes, pool.limit_bytes);
}
END_TEST

/* Peers that do not read keep half of the pool at most: then there are medium ones. */
START_TEST(peers_that_do_not_read_leave_medium_buffers) {
  send_buffers_init(&pool, 8u << 20);
  ck_assert_uint_eq(lend_all(), SOCKETS);
  ck_assert_uint_gt(buffers[2].bytes, 1u << 20);
  for (int i = 3; i < SOCKETS; i++)
    ck_assert_uint_eq(buffers[i].bytes, 2 * SEND_BUFFER_MEDIUM + SEND_BUFFER_OVER_BYTES);
}
END_TEST

/* Small replies leave a quarter of the pool to large ones. */
START_TEST(small_replies_leave_room_for_large_replies) {
  pool.limit_bytes = 4 * EACH;
  for (int i = 0; i < 4; i++) {
    ck_assert_int_eq(send_buffer_enlarge(&pool, &buffers[i], false), i < 3);
    (void)fill(&buffers[i], 100);
  }
  ck_assert(send_buffer_enlarge(&pool, &buffers[3], true));
}
END_TEST

START_TEST(recently_used_buffer_taken_back_last) {
  pool.limit_bytes = 4 * EACH; /* half of it for large ones */
  ck_assert(send_buffer_enlarge(&pool, &buffers[0], true));
  ck_assert(send_buffer_enlarge(&pool, &buffers[1], true));
  ck_assert(send_buffer_enlarge(&pool, &buffers[0], true));
  ck_assert(send_buffer_enlarge(&pool, &buffers[2], true));
  ck_assert_uint_eq(buffers[1].bytes, 0);
  ck_assert_uint_gt(buffers[0].bytes, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("send_buffer");
  TCase *tcase = tcase_create("send_buffer");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_loop_test(tcase, full_small_buffer_takes_its_charge, 0, 6);
  tcase_add_loop_test(tcase, full_large_buffer_takes_its_charge, 0, 6);
  tcase_add_test(tcase, pool_limit_never_exceeded);
  tcase_add_test(tcase, empty_buffer_lent_to_another_socket);
  tcase_add_test(tcase, peers_that_do_not_read_leave_medium_buffers);
  tcase_add_test(tcase, small_replies_leave_room_for_large_replies);
  tcase_add_test(tcase, recently_used_buffer_taken_back_last);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
