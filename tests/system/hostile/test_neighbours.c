/* Clients that stop within a large message, or read their replies slowly, do not block large
 * messages of others. The deadlines here are well below the timeouts that would drop such clients.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/errors.h"
#include "proto/limits.h"
#include "proto/wire/frame.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"

#define STALLED 8
#define LONG_BEFORE_MS 5000u /* the stall timeout; 10 s in tests that do not set it */
#define MIB (1u << 20)

static struct daemon served;
static uint8_t bytes[16 * MIB];

static void stop(void) {
  ck_assert_int_eq(harness_stop(&served), 0);
}

/* Sends a whole put. It must succeed in time. */
static void put_value(struct raw *raw, const char *view, uint32_t size) {
  struct fc_put put = {.key = raw_key("op", view, 0, "p"), .value = bytes, .value_size = size};
  struct fc_reply reply;

  uint64_t start_ns = harness_now_ns();
  ck_assert_int_eq(raw_put(raw, &put, &reply), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_PUT);
  ck_assert_uint_lt(harness_now_ns() - start_ns, LONG_BEFORE_MS * UINT64_C(1000000));
}

static void send_get(struct raw *raw, const char *view) {
  struct fc_get get = {.key = raw_key("op", view, 0, "p")};
  uint32_t id;

  ck_assert_int_eq(raw_send_get(raw, &get, &id), 0);
}

/* Returns after the daemon has handled all that was sent before. */
static void catch_up(struct raw *raw) {
  struct fc_buf buf = {0};
  struct fc_reply reply;

  ck_assert_int_eq(fc_encode_simple(&buf, FC_PING, 9), 0);
  ck_assert_int_eq(raw_send_buf(raw, &buf), 0);
  ck_assert_int_eq(raw_recv(raw, &reply, LONG_BEFORE_MS), RAW_REPLY);
  fc_buf_free(&buf);
}

/* Sends as much of data[0..size) as the daemon reads. Returns 0 if it reads no more now. */
static size_t send_some(struct raw *raw, const uint8_t *data, size_t size) {
  ssize_t n = send(raw->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  ck_assert(n >= 0 || errno == EAGAIN || errno == EPIPE || errno == ECONNRESET);
  return n > 0 ? (size_t)n : 0;
}

/* Begins a put of `size` bytes, sends up to `most` of its frame, and stops. */
static void begin_put(struct raw *raw, struct raw *other, uint32_t size, size_t most) {
  struct fc_put put = {.key = raw_key("op", "stalled", 0, "p"), .value = bytes, .value_size = size};
  struct fc_buf buf = {0};

  ck_assert_int_eq(fc_encode_put_head(&buf, 2, &put), 0);
  ck_assert_int_eq(raw_send(raw, buf.data, buf.size), 0);
  for (size_t sent = buf.size, n = 1; n > 0 && sent < most; sent += n) {
    n = send_some(raw, bytes, most - sent);
    if (n == 0) { /* once more, after the daemon has read the first part */
      catch_up(other);
      n = send_some(raw, bytes, most - sent);
    }
  }
  fc_buf_free(&buf);
}

static uint64_t counter(const char *name) {
  struct fcache *cache = library_open(served.socket, "stats", NULL, 0);
  uint64_t value = library_stat(cache, name);
  fcache_close(cache);
  return value;
}

/* Each announces 16 MiB, and has sent 150 KB. */
START_TEST(half_sent_frames_block_no_put) {
  struct raw stalled[STALLED], other;

  harness_start(&served, NULL);
  raw_open(&other, served.socket, "good");
  for (int i = 0; i < STALLED; i++) {
    raw_open(&stalled[i], served.socket, "stalled");
    begin_put(&stalled[i], &other, 16 * MIB, 150000);
  }
  catch_up(&other);
  put_value(&other, "a", 300000); /* within 5 s, or it fails */
  put_value(&other, "b", 4 * MIB);
  put_value(&other, "c", 16 * MIB);
  ck_assert_uint_eq(counter("dropped"), 0); /* there was room for all */
  for (int i = 0; i < STALLED; i++)
    raw_close(&stalled[i]);
  raw_close(&other);
}
END_TEST

/* The clients hold all memory for frames. The daemon drops those without progress at once, for
 * others. */
START_TEST(stalled_frames_that_fill_budget_dropped_for_others) {
  struct raw stalled[STALLED], other;

  harness_start(&served, "--max-value", "1M", "--client-budget", "8M", NULL);
  raw_open(&other, served.socket, "good");
  for (int i = 0; i < STALLED; i++) {
    raw_open(&stalled[i], served.socket, "stalled");
    begin_put(&stalled[i], &other, MIB, MIB - 1000);
  }
  put_value(&other, "a", 300000);
  put_value(&other, "b", MIB);
  ck_assert_uint_ge(counter("dropped"), 1);
  for (int i = 0; i < STALLED; i++)
    raw_close(&stalled[i]);
  raw_close(&other);
}
END_TEST

static bool is_cut(void *arg) {
  struct pollfd end = {.fd = ((struct raw *)arg)->fd, .events = 0};
  return poll(&end, 1, 0) == 1 && (end.revents & (POLLHUP | POLLERR)) != 0;
}

/* The timeout of a frame includes its wait for memory, so the timeouts of stalled clients do not
 * add up. */
START_TEST(stalled_frames_all_dropped_in_one_timeout) {
  enum { MANY = 24 };
  struct raw stalled[MANY], other;

  harness_start(&served, "--max-value", "1M", "--client-budget", "8M", "--stall-timeout", "1",
                NULL);
  raw_open(&other, served.socket, "good");
  for (int i = 0; i < MANY; i++) {
    raw_open(&stalled[i], served.socket, "stalled");
    begin_put(&stalled[i], &other, MIB, MIB / 2);
  }
  uint64_t start_ns = harness_now_ns();
  for (int i = 0; i < MANY; i++)
    ck_assert(harness_wait_until(is_cut, &stalled[i], LONG_BEFORE_MS));
  ck_assert_uint_lt(harness_now_ns() - start_ns, UINT64_C(4000000000)); /* it was 6 s */
  for (int i = 0; i < MANY; i++)
    raw_close(&stalled[i]);
  raw_close(&other);
}
END_TEST

/* Many honest clients whose frames together exceed the memory for frames: all finish, none is
 * dropped. */
START_TEST(concurrent_large_puts_all_finish) {
  enum { MANY = 16 };
  struct raw raws[MANY];
  struct fc_buf buf = {0};
  size_t sent[MANY] = {0}, left = MANY;

  harness_start(&served, "--max-value", "1M", "--client-budget", "4200000", NULL);
  struct fc_put put = {
      .key = raw_key("op", "view", 0, "p"), .value = bytes, .value_size = MIB - 4096};
  ck_assert_int_eq(fc_encode_put_head(&buf, 2, &put), 0);
  ck_assert_int_eq(fc_buf_append(&buf, bytes, put.value_size), 0);
  for (int i = 0; i < MANY; i++)
    raw_open(&raws[i], served.socket, "honest");
  while (left > 0) { /* no deadline of the client: the daemon sets the pace */
    struct pollfd room[MANY];
    for (int i = 0; i < MANY; i++)
      room[i] = (struct pollfd){.fd = sent[i] < buf.size ? raws[i].fd : -1, .events = POLLOUT};
    ck_assert_int_gt(poll(room, MANY, LONG_BEFORE_MS), 0);
    for (int i = 0; i < MANY; i++) {
      if (room[i].revents == 0)
        continue;
      sent[i] += send_some(&raws[i], buf.data + sent[i], buf.size - sent[i]);
      left -= sent[i] == buf.size;
    }
  }
  for (int i = 0; i < MANY; i++) {
    struct fc_reply reply;
    ck_assert_int_eq(raw_recv(&raws[i], &reply, LONG_BEFORE_MS), RAW_REPLY);
    ck_assert_int_eq(reply.type, FC_REPLY | FC_PUT);
    raw_close(&raws[i]);
  }
  ck_assert_uint_eq(counter("dropped"), 0);
  ck_assert_uint_eq(counter("memory_in_flight"), 0);
  fc_buf_free(&buf);
}
END_TEST

/* ---- replies ---- */

/* A value whose bytes are all `fill`. */
static void put_filled(struct raw *raw, const char *view, uint32_t size, uint8_t fill) {
  memset(bytes, fill, size);
  put_value(raw, view, size);
}

static void expect_value(struct raw *raw, const char *view, uint32_t size) {
  struct fc_reply reply;

  uint64_t start_ns = harness_now_ns();
  send_get(raw, view);
  ck_assert_int_eq(raw_recv(raw, &reply, LONG_BEFORE_MS), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_GET);
  ck_assert_uint_eq(reply.get.value_size, size);
  ck_assert_uint_lt(harness_now_ns() - start_ns, LONG_BEFORE_MS * UINT64_C(1000000));
}

static const char *const huge[STALLED] = {"h0", "h1", "h2", "h3", "h4", "h5", "h6", "h7"};
#define HUGE_BYTES (8 * MIB - 4096)

/* Each client requests its own value, and reads the beginning. */
static void read_beginnings(struct raw readers[STALLED]) {
  uint8_t head[64];

  for (int i = 0; i < STALLED; i++) {
    raw_open(&readers[i], served.socket, "values");
    send_get(&readers[i], huge[i]);
    ck_assert_int_eq(recv(readers[i].fd, head, sizeof head, MSG_WAITALL), sizeof head);
  }
}

/* Reads the rest of the client's value. Returns the number of bytes, fewer if the daemon dropped
 * the client. No byte may be of the value that replaced it. */
static size_t read_rest(struct raw *reader, uint8_t fill) {
  static uint8_t part[65536];
  size_t got = 64, others = 0;
  ssize_t n;

  while (got < HUGE_BYTES && (n = recv(reader->fd, part, sizeof part, 0)) > 0) {
    got += (size_t)n;
    for (ssize_t i = 0; i < n; i++)
      others += part[i] != fill;
  }
  ck_assert_uint_eq(others, 0);
  return got;
}

static void start_for_huge(const char *max_bytes) {
  harness_start(&served, "--max-value", "8M", "--client-budget", "40M", "--max-bytes", max_bytes,
                "--stall-timeout", "60", NULL);
}

/* The readers hold 64 MiB of values, which cost no budget while they are stored. */
START_TEST(slow_readers_block_no_other_client) {
  struct raw readers[STALLED], other;

  start_for_huge("100M");
  raw_open(&other, served.socket, "values");
  put_filled(&other, "medium", 4 * MIB, 99);
  put_filled(&other, "small", 200000, 99);
  for (int i = 0; i < STALLED; i++)
    put_filled(&other, huge[i], HUGE_BYTES, (uint8_t)i);
  read_beginnings(readers);
  for (int i = 0; i < 20; i++) {
    expect_value(&other, "medium", 4 * MIB);
    expect_value(&other, "small", 200000);
  }
  put_filled(&other, "new", 4 * MIB, 99);
  ck_assert_uint_eq(counter("region_unlisted_bytes"), 0);
  for (int i = 0; i < STALLED; i++) {
    ck_assert_uint_ge(read_rest(&readers[i], (uint8_t)i), HUGE_BYTES);
    raw_close(&readers[i]);
  }
  ck_assert_uint_eq(counter("dropped"), 0);
  raw_close(&other);
}
END_TEST

/* Evicted values with a reader use up to half of the budget. Above that the daemon drops the
 * slowest readers. Other clients get and put as before. */
START_TEST(slow_readers_of_evicted_values_block_no_other_client) {
  struct raw readers[STALLED], other;
  unsigned whole = 0;

  start_for_huge("160M");
  raw_open(&other, served.socket, "values");
  for (int i = 0; i < STALLED; i++)
    put_filled(&other, huge[i], HUGE_BYTES, (uint8_t)i);
  read_beginnings(readers);
  for (int i = 0; i < 60; i++) {
    char view[32];
    (void)snprintf(view, sizeof view, "new %d", i);
    put_filled(&other, view, 4 * MIB, 99);
    expect_value(&other, view, 4 * MIB);
    ck_assert_uint_le(counter("region_unlisted_bytes"), 20 * MIB);
  }
  ck_assert_uint_ge(counter("region_unlisted_bytes"), HUGE_BYTES);
  for (int i = 0; i < STALLED; i++) {
    whole += read_rest(&readers[i], (uint8_t)i) >= HUGE_BYTES;
    raw_close(&readers[i]);
  }
  ck_assert_uint_eq(whole, 2);
  ck_assert_uint_eq(counter("dropped"), STALLED - 2);
  ck_assert_uint_eq(counter("region_unlisted_bytes"), 0);
  raw_close(&other);
}
END_TEST

/* Stored values with a reader cannot be moved, so a large value finds no contiguous space, though
 * enough bytes are free. The daemon drops the readers, and keeps the entries of others. */
START_TEST(stopped_readers_leave_room_for_large_values) {
  enum { READERS = 200, SIZE = 60000 };
  static struct raw readers[READERS];
  struct raw other;
  char view[32];

  harness_start(&served, "--max-value", "8M", "--max-bytes", "16M", NULL);
  raw_open(&other, served.socket, "values");
  for (int i = 0; i < READERS; i++) {
    (void)snprintf(view, sizeof view, "small %d", i);
    put_filled(&other, view, SIZE, 1);
  }
  for (int i = 0; i < READERS; i++) {
    raw_open(&readers[i], served.socket, "values");
    (void)snprintf(view, sizeof view, "small %d", i);
    for (int j = 0; j < 40; j++) /* more than the kernel takes */
      send_get(&readers[i], view);
  }
  catch_up(&other);
  ck_assert_int_eq(raw_recv(&other, &(struct fc_reply){0}, 150),
                   RAW_TIMEOUT); /* the readers count as slow from now on */
  put_filled(&other, "large", 7 * MIB, 2);
  expect_value(&other, "large", 7 * MIB);
  ck_assert_uint_ge(counter("dropped"), 1);
  ck_assert_uint_ge(counter("entries"), 20);
  for (int i = 0; i < READERS; i++)
    raw_close(&readers[i]);
  raw_close(&other);
}
END_TEST

static bool some_are_cut(void *unused) {
  (void)unused;
  return counter("dropped") > 0;
}

/* Clients request more than all memory for copies, and do not read. The daemon drops them for
 * others. */
START_TEST(unread_listings_dropped_for_others) {
  enum { MANY = 40, LISTED = 1000 };
  static uint8_t prompts[LISTED * FC_HASH_SIZE];
  struct raw readers[MANY], other;
  struct fc_list list = {.limit = LISTED};
  char name[FC_NAME_MAX + 1] = {0};
  struct fc_buf buf = {0};
  struct fc_reply reply;

  harness_start(&served, "--max-value", "1M", "--client-budget", "4200000", NULL);
  raw_open(&other, served.socket, "values");
  memset(name, 'n', FC_NAME_MAX);
  for (uint32_t i = 0; i < LISTED; i++)
    memcpy(prompts + (size_t)i * FC_HASH_SIZE, &i, sizeof i);
  struct fc_put_many put = {
      .key = raw_key(name, name, 0, ""), .prompts = prompts, .n = LISTED, .values.n = LISTED};
  ck_assert_int_eq(fc_encode_put_many_head(&buf, 1, &put), 0);
  for (uint32_t i = 0; i < LISTED; i++)
    ck_assert_int_eq(fc_encode_bin_head(&buf, 0), 0);
  fc_frame_finish(&buf, 0, 0);
  ck_assert_int_eq(raw_send_buf(&other, &buf), 0);
  ck_assert_int_eq(raw_recv(&other, &reply, LONG_BEFORE_MS), RAW_REPLY);
  ck_assert_uint_eq(reply.put_many.stored, LISTED);
  fc_buf_reset(&buf);
  for (int j = 0; j < 20; j++) /* more than the kernel takes */
    ck_assert_int_eq(fc_encode_list(&buf, (uint32_t)j, &list), 0);
  for (int i = 0; i < MANY; i++) {
    raw_open(&readers[i], served.socket, "values");
    ck_assert_int_eq(raw_send(&readers[i], buf.data, buf.size), 0);
  }
  fc_buf_reset(&buf);
  ck_assert_int_eq(fc_encode_list(&buf, 77, &list), 0);
  ck_assert_int_eq(raw_send_buf(&other, &buf), 0);
  ck_assert_int_eq(raw_recv(&other, &reply, LONG_BEFORE_MS), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_LIST);
  ck_assert(harness_wait_until(some_are_cut, NULL, LONG_BEFORE_MS));
  for (int i = 0; i < MANY; i++)
    raw_close(&readers[i]);
  raw_close(&other);
  fc_buf_free(&buf);
}
END_TEST

/* 75 KB per second, for four timeouts: only the kernel sees that the client reads. */
START_TEST(slow_reader_alone_not_dropped) {
  enum { STEPS = 40, STEP_BYTES = 7500, STEP_MS = 100 };
  struct raw reader, other;
  struct fc_reply reply;
  uint8_t part[STEP_BYTES];
  size_t got = 0;

  harness_start(&served, "--stall-timeout", "1", NULL);
  raw_open(&other, served.socket, "values");
  put_value(&other, "large", 8 * MIB);
  raw_open(&reader, served.socket, "values");
  send_get(&reader, "large");
  for (int i = 0; i < STEPS; i++) {
    ck_assert_int_eq(raw_recv(&other, &reply, STEP_MS), RAW_TIMEOUT); /* its pace */
    ssize_t n = recv(reader.fd, part, sizeof part, 0);
    ck_assert_int_gt(n, 0);
    got += (size_t)n;
  }
  while (got < 8 * MIB) {
    ssize_t n = recv(reader.fd, part, sizeof part, 0);
    ck_assert_int_gt(n, 0);
    got += (size_t)n;
  }
  ck_assert_uint_eq(counter("dropped"), 0);
  raw_close(&reader);
  raw_close(&other);
}
END_TEST

/* Clients that connect and disconnect. The daemon must notice their ends while it accepts, or they
 * would occupy the places of the clients behind them. */
START_TEST(clients_gone_before_accept_take_no_place) {
  enum { LEFT = 100 }; /* as many as connect without waiting, and more than --max-clients */
  struct raw raw;

  harness_start(&served, "--max-clients", "50", NULL);
  ck_assert(harness_freeze(&served));
  for (int i = 0; i < LEFT; i++) {
    ck_assert_int_eq(raw_connect(&raw, served.socket), 0);
    raw_close(&raw);
  }
  ck_assert_int_eq(kill(served.pid, SIGCONT), 0);
  raw_open(&raw, served.socket, "good"); /* accepted after all of them */
  raw_close(&raw);
  ck_assert_uint_eq(counter("refused"), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("neighbours");
  TCase *tcase = tcase_create("daemon");

  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, NULL, stop);
  tcase_add_test(tcase, half_sent_frames_block_no_put);
  tcase_add_test(tcase, stalled_frames_that_fill_budget_dropped_for_others);
  tcase_add_test(tcase, stalled_frames_all_dropped_in_one_timeout);
  tcase_add_test(tcase, concurrent_large_puts_all_finish);
  tcase_add_test(tcase, slow_readers_block_no_other_client);
  tcase_add_test(tcase, slow_readers_of_evicted_values_block_no_other_client);
  tcase_add_test(tcase, stopped_readers_leave_room_for_large_values);
  tcase_add_test(tcase, unread_listings_dropped_for_others);
  tcase_add_test(tcase, slow_reader_alone_not_dropped);
  tcase_add_test(tcase, clients_gone_before_accept_take_no_place);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
