/* Large messages of many clients share --client-budget. Each wait for it ends: no client waits for
 * one that has left, and clients do not wait for each other. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/errors.h"
#include "proto/limits.h"
#include "proto/wire/frame.h"
#include "tests/support/child_process.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"

#define TIMEOUT_MS 20000u
#define LARGE (1u << 20) /* --max-value */
#define HUGE (8u << 20)  /* more than the kernel takes of an unread reply */
#define TERM_MS 60000u   /* of a lease or a wait: none expires in these tests */

static struct daemon served;

static void start(void) {
  /* the smallest budget: one frame of the largest value, and one reply */
  harness_start(&served, "--max-value", "1M", "--client-budget", "4200000", NULL);
}

static void start_huge(void) {
  harness_start(&served, "--max-value", "8M", "--client-budget", "40M", NULL);
}

static void stop(void) {
  ck_assert_int_eq(harness_stop(&served), 0);
}

static void put_value(struct raw *raw, const char *view, uint32_t size) {
  static uint8_t value[HUGE];
  struct fc_put put = {.key = raw_key("op", view, 0, "p"), .value = value, .value_size = size};
  struct fc_reply reply;

  ck_assert_int_eq(raw_put(raw, &put, &reply), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_PUT);
}

static void send_get(struct raw *raw, const char *view) {
  struct fc_get get = {.key = raw_key("op", view, 0, "p")};
  struct fc_buf buf = {0};

  (void)fc_encode_get(&buf, 1, &get); /* raw_send_buf checks `failed` */
  ck_assert_int_eq(raw_send_buf(raw, &buf), 0);
  fc_buf_free(&buf);
}

static void request_simple(struct raw *raw, struct fc_buf *buf, struct fc_reply *reply) {
  ck_assert_int_eq(raw_send_buf(raw, buf), 0);
  ck_assert_int_eq(raw_recv(raw, reply, 5000), RAW_REPLY);
}

/* Returns after the daemon has handled all that was sent before. */
static void catch_up(struct raw *raw) {
  struct fc_buf buf = {0};
  struct fc_reply reply;

  (void)fc_encode_simple(&buf, FC_PING, 9);
  request_simple(raw, &buf, &reply);
  fc_buf_free(&buf);
}

/* Requests the largest value and does not read it. Whatever part of it the kernel holds, one reply
 * stays in flight. */
static void leave_unread(struct raw *raw) {
  struct pollfd arrived;

  raw_open(raw, served.socket, "flight");
  for (int i = 0; i < 30; i++)
    send_get(raw, "largest");
  arrived = (struct pollfd){.fd = raw->fd, .events = POLLIN};
  ck_assert_int_eq(poll(&arrived, 1, 5000), 1);
}

enum { KEYS = 131000 }; /* nearly a whole frame: two of them fill the budget */

/* Requests very many keys at once. The values of the first ones are large. */
static void encode_many_keys(struct fc_buf *buf) {
  static uint8_t prompts[KEYS * FC_HASH_SIZE];
  struct fc_hash found = raw_key("op", "view", 0, "p").prompt;
  struct fc_get_many get = {.key = raw_key("op", "view", 0, ""), .prompts = prompts, .n = KEYS};

  memcpy(prompts, found.bytes, FC_HASH_SIZE);
  memcpy(prompts + FC_HASH_SIZE, found.bytes, FC_HASH_SIZE);
  (void)fc_encode_get_many(buf, 1, &get); /* the send checks buf->failed */
}

/* The whole answer. */
static bool request_many_keys(struct raw *raw) {
  struct fc_reply reply;
  uint32_t seen = 0;
  bool last = false;

  while (!last) {
    if (raw_recv(raw, &reply, 10000) != RAW_REPLY || (int)reply.type != (FC_REPLY | FC_GET_MANY) ||
        reply.get_many.first != seen)
      return false;
    seen += reply.get_many.values.n;
    last = reply.get_many.last;
  }
  return seen == KEYS;
}

struct gate {
  int ready[2], go[2]; /* pipes */
};

/* Sends all but the last byte, which waits for a signal. */
static int request_in_two_steps(void *arg) {
  struct gate *gate = arg;
  struct fc_buf buf = {0};
  struct raw raw;
  char byte;

  CHILD_EXPECT(raw_connect(&raw, served.socket) == 0);
  CHILD_EXPECT(raw_hello(&raw, "many", "flight") == 0);
  encode_many_keys(&buf);
  CHILD_EXPECT(raw_send(&raw, buf.data, buf.size - 1) == 0);
  CHILD_EXPECT(write(gate->ready[1], "r", 1) == 1);
  CHILD_EXPECT(read(gate->go[0], &byte, 1) == 1);
  CHILD_EXPECT(raw_send(&raw, buf.data + buf.size - 1, 1) == 0);
  CHILD_EXPECT(request_many_keys(&raw));
  fc_buf_free(&buf);
  raw_close(&raw);
  return 0;
}

/* Sends as much of buf[0..size) as the daemon reads without a wait. Returns the number of bytes. */
static size_t send_what_it_takes(struct raw *raw, const uint8_t *data, size_t size,
                                 struct raw *other) {
  size_t sent = 0, before;

  do {
    before = sent;
    for (ssize_t n = 0; n >= 0 && sent<size; sent += n> 0 ? (size_t)n : 0)
      n = send(raw->fd, data + sent, size - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    catch_up(other); /* the daemon has read it, and made room for more if it reads on */
  } while (sent > before && sent < size);
  return sent;
}

static bool nothing_is_in_flight(void *cache) {
  return library_stat(cache, "memory_in_flight") == 0;
}

/* If frames and replies shared one pool, both requests would hold it, and wait for room to reply.
 */
START_TEST(requests_that_fill_budget_all_answered) {
  struct raw putter, raw;
  struct gate gate;
  struct fc_buf buf = {0};
  char byte;

  raw_open(&putter, served.socket, "flight");
  put_value(&putter, "view", 100000);
  ck_assert(pipe(gate.ready) == 0 && pipe(gate.go) == 0);
  pid_t child = child_start(request_in_two_steps, &gate, NULL);
  ck_assert_int_eq(read(gate.ready[0], &byte, 1), 1);
  raw_open(&raw, served.socket, "flight");
  encode_many_keys(&buf);
  size_t sent = send_what_it_takes(&raw, buf.data, buf.size - 1, &putter);
  ck_assert_int_eq(write(gate.go[1], "g", 1), 1);
  ck_assert_int_eq(raw_send(&raw, buf.data + sent, buf.size - sent), 0);
  ck_assert(request_many_keys(&raw));
  ck_assert_int_eq(harness_wait(child, TIMEOUT_MS), 0);
  struct fcache *cache = library_open(served.socket, "flight", NULL, 0);
  ck_assert(harness_wait_until(nothing_is_in_flight, cache, TIMEOUT_MS));
  fcache_close(cache);
  raw_close(&putter);
  raw_close(&raw);
  fc_buf_free(&buf);
  for (int i = 0; i < 2; i++) {
    (void)close(gate.ready[i]);
    (void)close(gate.go[i]);
  }
}
END_TEST

/* ---- leases of clients that read no replies ---- */

static void expect_granted(struct raw *raw) {
  struct fc_reply reply;

  ck_assert_int_eq(raw_recv(raw, &reply, 5000), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_GET);
  ck_assert_int_eq(reply.get.lease, FC_LEASE_GRANTED);
}

static void request_lease(struct raw *raw) {
  struct fc_key key = raw_key("op", "leased", 0, "p");
  struct fc_get get = raw_lease_get(&key, TERM_MS, TERM_MS);
  uint32_t id;

  ck_assert_int_eq(raw_send_get(raw, &get, &id), 0);
}

/* In a child: acquires the lease, and requests values that the daemon has no room to send. */
static int own_and_stand_in_line(void *heir) {
  struct fc_key key = raw_key("op", "leased", 0, "p");
  struct fc_get get = raw_lease_get(&key, TERM_MS, 0);
  struct fc_get large = {.key = raw_key("op", "largest", 0, "p")};
  struct fc_reply reply;
  struct raw raw;
  uint32_t id;

  CHILD_EXPECT(raw_connect(&raw, served.socket) == 0);
  CHILD_EXPECT(raw_hello(&raw, "owner", "flight") == 0);
  CHILD_EXPECT(raw_get(&raw, &get, &reply) == RAW_REPLY);
  CHILD_EXPECT(reply.get.lease == FC_LEASE_GRANTED);
  CHILD_EXPECT(raw_send_get(&raw, &large, &id) == 0);
  CHILD_EXPECT(heir_leave(heir));
  for (;;)
    (void)pause();
}

/* Its reply has no reader and needs no room. */
START_TEST(dead_client_leaves_budget_queue) {
  struct raw putter, holder, waiter;
  struct heir heir;

  heir_init(&heir);
  raw_open(&putter, served.socket, "flight");
  put_value(&putter, "largest", LARGE - 4096);
  leave_unread(&holder);
  pid_t owner = child_start(own_and_stand_in_line, &heir, NULL);
  pid_t child = heir_pid(&heir);
  raw_open(&waiter, served.socket, "flight");
  request_lease(&waiter);
  catch_up(&putter);
  ck_assert_int_eq(kill(owner, SIGKILL), 0);
  expect_granted(&waiter);
  ck_assert_int_eq(harness_wait(owner, TIMEOUT_MS), 128 + SIGKILL);
  heir_end(&heir, child);
  raw_close(&holder);
  raw_close(&waiter);
  raw_close(&putter);
}
END_TEST

/* The owner breaks the protocol, or closes its sending half. It can put nothing any more, even if
 * it reads its last replies. */
START_TEST(client_at_stream_end_holds_no_lease) {
  struct fc_get huge = {.key = raw_key("op", "huge", 0, "p")};
  struct raw owner, waiter;
  struct fc_buf buf = {0};

  raw_open(&waiter, served.socket, "flight");
  put_value(&waiter, "huge", HUGE - 4096);
  raw_open(&owner, served.socket, "flight");
  request_lease(&owner);
  expect_granted(&owner);
  request_lease(&waiter);
  (void)fc_encode_get(&buf, 2, &huge); /* raw_send_buf checks `failed` */
  if (_i == 0)
    (void)fc_buf_append(&buf, "no frame", 8);
  ck_assert_int_eq(raw_send_buf(&owner, &buf), 0);
  if (_i == 1)
    ck_assert_int_eq(shutdown(owner.fd, SHUT_WR), 0);
  expect_granted(&waiter);
  raw_close(&waiter);
  raw_close(&owner);
  fc_buf_free(&buf);
}
END_TEST

/* ---- replies without values ---- */

enum { LISTED = 1000, PAGES = 100 };

static void put_long_names(struct raw *raw) {
  static uint8_t prompts[LISTED * FC_HASH_SIZE];
  char name[FC_NAME_MAX + 1];
  struct fc_buf buf = {0};
  struct fc_reply reply;

  memset(name, 'n', FC_NAME_MAX);
  name[FC_NAME_MAX] = '\0';
  for (uint32_t i = 0; i < LISTED; i++)
    memcpy(prompts + (size_t)i * FC_HASH_SIZE, &i, sizeof i);
  struct fc_put_many put = {
      .key = raw_key(name, name, 0, ""), .prompts = prompts, .n = LISTED, .values.n = LISTED};
  (void)fc_encode_put_many_head(&buf, 1, &put); /* raw_send_buf checks `failed` */
  for (uint32_t i = 0; i < LISTED; i++)
    (void)fc_encode_bin_head(&buf, 0);
  fc_frame_finish(&buf, 0, 0);
  request_simple(raw, &buf, &reply);
  ck_assert_uint_eq(reply.put_many.stored, LISTED);
  fc_buf_free(&buf);
}

static bool something_is_in_flight(void *cache) {
  return library_stat(cache, "memory_in_flight") > 0;
}

START_TEST(list_reply_counts_as_memory_in_flight) {
  struct raw raw;
  struct fc_list list = {.limit = LISTED};
  struct fc_buf buf = {0};
  struct fc_reply reply;

  raw_open(&raw, served.socket, "flight");
  put_long_names(&raw);
  for (uint32_t i = 0; i < PAGES; i++)
    (void)fc_encode_list(&buf, i, &list); /* raw_send_buf checks `failed` */
  ck_assert_int_eq(raw_send_buf(&raw, &buf), 0);
  struct fcache *cache = library_open(served.socket, "flight", NULL, 0);
  ck_assert(harness_wait_until(something_is_in_flight, cache, TIMEOUT_MS));
  for (uint32_t i = 0; i < PAGES; i++) {
    ck_assert_int_eq(raw_recv(&raw, &reply, 5000), RAW_REPLY);
    ck_assert_int_eq(reply.type, FC_REPLY | FC_LIST);
    ck_assert_uint_eq(reply.id, i);
    ck_assert_uint_gt(reply.list.n, 100);
  }
  ck_assert(harness_wait_until(nothing_is_in_flight, cache, TIMEOUT_MS));
  fcache_close(cache);
  raw_close(&raw);
  fc_buf_free(&buf);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("in_flight");
  TCase *tcase = tcase_create("daemon");
  TCase *huge = tcase_create("huge");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, start, stop);
  tcase_add_test(tcase, requests_that_fill_budget_all_answered);
  tcase_add_test(tcase, list_reply_counts_as_memory_in_flight);
  tcase_add_test(tcase, dead_client_leaves_budget_queue);
  suite_add_tcase(suite, tcase);
  tcase_set_timeout(huge, 60);
  tcase_add_checked_fixture(huge, start_huge, stop);
  tcase_add_loop_test(huge, client_at_stream_end_holds_no_lease, 0, 2);
  suite_add_tcase(suite, huge);
  return harness_main(suite);
}
