/* Replies that a peer does not read: the entries in which their values lie are held. */
#include <check.h>
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/net/sender.h"
#include "daemon/region/entry.h"
#include "tests/support/runner.h"
#include "tests/support/store_world.h"

enum { PIECES = 256, VALUE_BYTES = 4096 };

static uv_loop_t loop;
static uv_pipe_t stream;
static struct reply_budget budget;
static struct send_buffers buffers;
static struct sender sender;
static int peer_fd;
static struct iovec pieces[PIECES];
static struct entry *owners[PIECES];

static void ignore_change(struct sender *changed) {
  (void)changed;
}

static void set_up(void) {
  static const char value[VALUE_BYTES] = "value";
  int pair[2];
  world_open_two(1 << 20, VALUE_BYTES);
  world_put_bytes(world.ns, 0, value, VALUE_BYTES);
  world_put_bytes(world.ns, 1, value, VALUE_BYTES);
  ck_assert_int_eq(uv_loop_init(&loop), 0);
  ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
  peer_fd = pair[1];
  ck_assert_int_eq(uv_pipe_init(&loop, &stream, 0), 0);
  ck_assert_int_eq(uv_pipe_open(&stream, pair[0]), 0);
  reply_budget_init(&budget, 1 << 20);
  send_buffers_init(&buffers, 1 << 20);
  sender_init(&sender, (uv_stream_t *)&stream, &budget, &buffers, NULL, "peer", ignore_change);
  sender_start(&sender, pair[0]);
}

static void tear_down(void) {
  sender_close(&sender);
  send_buffer_return(&buffers, &sender.buffer);
  uv_close((uv_handle_t *)&stream, NULL);
  ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
  ck_assert_int_eq(uv_loop_close(&loop), 0);
  send_buffers_deinit(&buffers);
  reply_budget_deinit(&budget);
  (void)close(peer_fd);
  world_close();
}

/* Sends the values of two entries in turns, more than the kernel takes at once. */
static void send_values(struct entry *one, struct entry *other) {
  for (size_t i = 0; i < PIECES; i++) {
    struct iovec value[FC_REGION_PIECES_MAX];
    owners[i] = i % 2 == 0 ? one : other;
    ck_assert_uint_eq(entry_value(owners[i], value), 1);
    pieces[i] = value[0];
  }
  sender.sink.send(&sender.sink, pieces, owners, PIECES);
  ck_assert(sender_is_busy(&sender));
}

static void read_all(void) {
  static char bytes[65536];
  while (sender_is_busy(&sender)) {
    ssize_t got = read(peer_fd, bytes, sizeof bytes);
    ck_assert(got > 0 || errno == EAGAIN);
    (void)uv_run(&loop, UV_RUN_NOWAIT);
  }
}

/* However often a batch has a key, it cannot exhaust the counter of holders. */
START_TEST(unread_reply_with_repeated_values_holds_each_entry_once) {
  struct entry *one = world_peek(world.ns, 0), *other = world_peek(world.ns, 1);
  send_values(one, other);
  ck_assert_uint_eq(one->holders, 2); /* the store and the reply */
  ck_assert_uint_eq(other->holders, 2);
  ck_assert(sender.sink.holds_entries(&sender.sink, false));
  read_all();
  ck_assert_uint_eq(one->holders, 1);
  ck_assert_uint_eq(other->holders, 1);
  ck_assert(!sender.sink.holds_entries(&sender.sink, false));
}
END_TEST

START_TEST(unread_reply_of_held_entry_holds_it_too) {
  struct entry *one = world_peek(world.ns, 0);
  entry_hold(one);
  send_values(one, one);
  ck_assert_uint_eq(one->holders, 3);
  entry_release(one);
  store_remove(&world.store, one); /* its value is still sent */
  ck_assert_uint_eq(one->holders, 1);
  ck_assert(sender.sink.holds_entries(&sender.sink, true));
  read_all();
}
END_TEST

START_TEST(unread_reply_closed_releases_entries) {
  struct entry *one = world_peek(world.ns, 0), *other = world_peek(world.ns, 1);
  send_values(one, other);
  sender_close(&sender);
  ck_assert_uint_eq(one->holders, 1);
  ck_assert_uint_eq(other->holders, 1);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("sender");
  TCase *tests = tcase_create("sender");
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_test(tests, unread_reply_with_repeated_values_holds_each_entry_once);
  tcase_add_test(tests, unread_reply_of_held_entry_holds_it_too);
  tcase_add_test(tests, unread_reply_closed_releases_entries);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
