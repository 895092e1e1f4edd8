/* Bulk work takes turns: requests of clients that have left, and pages, stats and clears of
 * connected ones. Short requests of other clients do not wait for all of it. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "proto/errors.h"
#include "proto/limits.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"

#define N 100000u /* entries: each page or clear examines thousands */
#define TIMEOUT_MS 20000u
#define SOON_MS                                                                                    \
  10000u /* bounded work takes a fraction of it, unbounded work many times as long                 \
          */

static struct daemon served;
static struct fcache *stats;

static void start(void) {
  harness_start(&served, NULL);
  stats = library_open(served.socket, "stats", NULL, 0);
}

static void stop(void) {
  fcache_close(stats);
  ck_assert_int_eq(harness_stop(&served), 0);
}

static void put_many(struct raw *raw, uint32_t n) {
  static uint8_t prompts[N * FC_HASH_SIZE];
  struct fc_put_many put = {
      .key = raw_key("op", "view", 0, ""), .prompts = prompts, .n = n, .values.n = n};
  struct fc_buf buf = {0};
  struct fc_reply reply;

  for (uint32_t i = 0; i < n; i++)
    memcpy(prompts + (size_t)i * FC_HASH_SIZE, &i, sizeof i);
  ck_assert_int_eq(fc_encode_put_many_head(&buf, 1, &put), 0);
  for (uint32_t i = 0; i < n; i++)
    ck_assert_int_eq(fc_encode_bin_head(&buf, 0), 0);
  fc_frame_finish(&buf, 0, 0);
  ck_assert_int_eq(raw_send_buf(raw, &buf), 0);
  ck_assert_int_eq(raw_recv(raw, &reply, TIMEOUT_MS), RAW_REPLY);
  ck_assert_uint_eq(reply.put_many.stored, n);
  fc_buf_free(&buf);
}

/* A connection to the namespace "data", with entries there. */
static void fill_with(struct raw *raw, uint32_t n) {
  raw_open(raw, served.socket, "data");
  put_many(raw, n);
}

static void fill(struct raw *raw) {
  fill_with(raw, N);
}

static bool answers_ping(struct raw *raw) {
  struct fc_buf buf = {0};
  struct fc_reply reply;

  ck_assert_int_eq(fc_encode_simple(&buf, FC_PING, 9), 0);
  ck_assert_int_eq(raw_send_buf(raw, &buf), 0);
  fc_buf_free(&buf);
  return raw_recv(raw, &reply, TIMEOUT_MS) == RAW_REPLY && (int)reply.type == (FC_REPLY | FC_PING);
}

/* `n` requests for a page that examines the maximum of entries, and lists none. */
static void encode_lists(struct fc_buf *buf, uint32_t n) {
  struct fc_list list = {.select = {.name_space = fc_str_of("data"), .op = fc_str_of("no op")},
                         .limit = 1000};

  for (uint32_t i = 0; i < n; i++)
    ck_assert_int_eq(fc_encode_list(buf, i, &list), 0);
}

/* Sends as much as the kernel takes while the daemon is stopped. */
static void send_all_it_takes(const struct raw *raw, const struct fc_buf *buf) {
  size_t sent = 0;
  for (ssize_t n = 1; n > 0 && sent<buf->size; sent += n> 0 ? (size_t)n : 0)
    n = send(raw->fd, buf->data + sent, buf->size - sent, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void continue_daemon(void) {
  ck_assert_int_eq(kill(served.pid, SIGCONT), 0);
}

static bool is_alone(void *raw) {
  (void)raw;
  return library_stat(stats, "clients") == 2; /* this client, and the test's other one */
}

/* ---- clients that have left ---- */

START_TEST(reads_of_gone_clients_not_executed) {
  enum { LEFT = 20 };
  struct raw raw, left[LEFT];
  struct fc_buf buf = {0};

  fill(&raw);
  encode_lists(&buf, 4000);
  for (int i = 0; i < LEFT; i++)
    raw_open(&left[i], served.socket, "data");
  ck_assert(harness_freeze(&served));
  for (int i = 0; i < LEFT; i++) {
    send_all_it_takes(&left[i], &buf);
    raw_close(&left[i]);
  }
  continue_daemon();
  uint64_t start_ns = harness_now_ns();
  ck_assert(answers_ping(&raw));
  ck_assert(harness_wait_until(is_alone, NULL, SOON_MS));
  ck_assert_uint_lt(harness_now_ns() - start_ns, SOON_MS * UINT64_C(1000000));
  raw_close(&raw);
  fc_buf_free(&buf);
}
END_TEST

static void encode_put(struct fc_buf *buf, const char *view, const char *prompt) {
  struct fc_put put = {
      .key = raw_key("op", view, 0, prompt), .value = (const uint8_t *)"v", .value_size = 1};
  ck_assert_int_eq(fc_encode_put_head(buf, 1, &put), 0);
  ck_assert_int_eq(fc_buf_append(buf, "v", 1), 0);
}

static void encode_clear(struct fc_buf *buf, const char *view) {
  struct fc_clear select = {.select.name_space = fc_str_of("data"), .select.view = fc_str_of(view)};
  ck_assert_int_eq(fc_encode_clear(buf, 2, &select), 0);
}

static bool is_stored(struct raw *raw, const char *view, const char *prompt) {
  struct fc_get get = {.key = raw_key("op", view, 0, prompt)};
  struct fc_reply reply;
  ck_assert_int_eq(raw_get(raw, &get, &reply), RAW_REPLY);
  return reply.get.value != NULL;
}

/* The clear runs between requests that only read, in the order in which they were sent. */
START_TEST(puts_and_clears_of_gone_clients_executed) {
  struct raw raw, left;
  struct fc_buf buf = {0};

  fill(&raw);
  raw_open(&left, served.socket, "data");
  encode_lists(&buf, 50);
  encode_put(&buf, "cleared", "a");
  encode_lists(&buf, 50);
  encode_clear(&buf, "cleared");
  encode_lists(&buf, 50);
  encode_put(&buf, "kept", "a");
  ck_assert(harness_freeze(&served));
  send_all_it_takes(&left, &buf);
  raw_close(&left);
  continue_daemon();
  ck_assert(harness_wait_until(is_alone, NULL, SOON_MS));
  library_wait_stat(stats, "clears", 1);
  ck_assert(is_stored(&raw, "kept", "a"));
  ck_assert(!is_stored(&raw, "cleared", "a"));
  raw_close(&raw);
  fc_buf_free(&buf);
}
END_TEST

/* More clears than may run or wait. Each has entries to clear. */
START_TEST(clears_of_gone_clients_all_executed) {
  enum { VIEWS = 400, OTHERS = 5000 };
  struct raw raw, left[VIEWS];
  struct fc_buf buf = {0};
  char view[16];

  fill_with(&raw, OTHERS);
  for (int i = 0; i < VIEWS; i++) {
    struct fc_reply reply;
    (void)snprintf(view, sizeof view, "v%d", i);
    struct fc_put put = {.key = raw_key("op", view, 0, "p")};
    ck_assert_int_eq(raw_put(&raw, &put, &reply), RAW_REPLY);
    raw_open(&left[i], served.socket, "data");
  }
  ck_assert(harness_freeze(&served));
  for (int i = 0; i < VIEWS; i++) {
    (void)snprintf(view, sizeof view, "v%d", i);
    encode_clear(&buf, view);
    ck_assert_int_eq(raw_send_buf(&left[i], &buf), 0);
    raw_close(&left[i]);
  }
  continue_daemon();
  ck_assert(answers_ping(&raw));
  library_wait_stat(stats, "clears", VIEWS);
  ck_assert(harness_wait_until(is_alone, NULL, SOON_MS));
  ck_assert_uint_eq(library_stat(stats, "entries"), OTHERS);
  raw_close(&raw);
  fc_buf_free(&buf);
}
END_TEST

/* One clear covers the others that wait, so they are not one walk through the cache each. */
START_TEST(equal_clears_of_gone_clients_merged) {
  enum { LEFT = 400, EACH = 50 };
  struct raw raw, left[LEFT];
  struct fc_buf buf = {0};

  fill(&raw);
  encode_put(&buf, "rare", "p"); /* so that a clear of it examines all entries */
  for (int i = 0; i < EACH; i++)
    encode_clear(&buf, "rare");
  for (int i = 0; i < LEFT; i++)
    raw_open(&left[i], served.socket, "data");
  ck_assert(harness_freeze(&served));
  for (int i = 0; i < LEFT; i++) {
    ck_assert_int_eq(raw_send(&left[i], buf.data, buf.size), 0);
    raw_close(&left[i]);
  }
  continue_daemon();
  uint64_t start_ns = harness_now_ns();
  library_wait_stat(stats, "clears", (uint64_t)LEFT * EACH);
  ck_assert_uint_lt(harness_now_ns() - start_ns, SOON_MS * UINT64_C(1000000));
  ck_assert(!is_stored(&raw, "rare", "p"));
  raw_close(&raw);
  fc_buf_free(&buf);
}
END_TEST

/* ---- connected clients ---- */

/* A request that examines no entry. */
START_TEST(clear_of_nothing_finishes_at_once) {
  enum { ROUNDS = 16, EACH = 500 };
  struct raw raw;
  struct fc_buf buf = {0};
  struct fc_reply reply;

  fill(&raw);
  for (int i = 0; i < EACH; i++)
    encode_clear(&buf, "no view");
  uint64_t start_ns = harness_now_ns();
  for (int i = 0; i < ROUNDS; i++) {
    ck_assert_int_eq(raw_send(&raw, buf.data, buf.size), 0);
    for (int j = 0; j < EACH; j++) {
      ck_assert_int_eq(raw_recv(&raw, &reply, TIMEOUT_MS), RAW_REPLY);
      ck_assert_uint_eq(reply.removed, 0);
    }
  }
  ck_assert_uint_lt(harness_now_ns() - start_ns, SOON_MS * UINT64_C(1000000));
  ck_assert_uint_eq(library_stat(stats, "clears"), (uint64_t)ROUNDS * EACH);
  raw_close(&raw);
  fc_buf_free(&buf);
}
END_TEST

/* Returns the number of replies that have arrived. Reads none. */
static size_t count_replies(const struct raw *raw, size_t reply_size) {
  int bytes = 0;
  ck_assert_int_eq(ioctl(raw->fd, FIONREAD, &bytes), 0);
  return (size_t)bytes / reply_size;
}

static size_t page_size(struct raw *raw) {
  struct fc_buf buf = {0};
  int bytes = 0;
  struct pollfd ready = {.fd = raw->fd, .events = POLLIN};
  struct fc_reply reply;

  encode_lists(&buf, 1);
  ck_assert_int_eq(raw_send_buf(raw, &buf), 0);
  ck_assert_int_eq(poll(&ready, 1, TIMEOUT_MS), 1);
  ck_assert_int_eq(ioctl(raw->fd, FIONREAD, &bytes), 0);
  ck_assert_int_eq(raw_recv(raw, &reply, TIMEOUT_MS), RAW_REPLY);
  fc_buf_free(&buf);
  return (size_t)bytes;
}

/* A hundred short requests of one client have their replies while few of the pages do: the pages of
 * one turn, and a few after it. */
START_TEST(short_requests_pass_listing_pages) {
  enum { LISTERS = 20, PAGES = 100, PINGS = 100, MOST = 400 };
  struct raw raw, listers[LISTERS];
  struct fc_buf pages = {0}, pings = {0};
  struct fc_reply reply;
  size_t done = 0;

  fill(&raw);
  size_t reply_size = page_size(&raw);
  encode_lists(&pages, PAGES);
  for (uint32_t i = 0; i < PINGS; i++)
    ck_assert_int_eq(fc_encode_simple(&pings, FC_PING, i), 0);
  for (int i = 0; i < LISTERS; i++)
    raw_open(&listers[i], served.socket, "data");
  ck_assert(harness_freeze(&served));
  for (int i = 0; i < LISTERS; i++)
    ck_assert_int_eq(raw_send(&listers[i], pages.data, pages.size), 0);
  ck_assert_int_eq(raw_send_buf(&raw, &pings), 0);
  continue_daemon();
  for (uint32_t i = 0; i < PINGS; i++)
    ck_assert_int_eq(raw_recv(&raw, &reply, TIMEOUT_MS), RAW_REPLY);
  for (int i = 0; i < LISTERS; i++)
    done += count_replies(&listers[i], reply_size);
  ck_assert_uint_lt(done, MOST);
  for (int i = 0; i < LISTERS; i++) { /* all pages get their replies, in turns */
    for (int j = 0; j < PAGES; j++)
      ck_assert_int_eq(raw_recv(&listers[i], &reply, TIMEOUT_MS), RAW_REPLY);
    raw_close(&listers[i]);
  }
  raw_close(&raw);
  fc_buf_free(&pages);
  fc_buf_free(&pings);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("turns");
  TCase *tcase = tcase_create("daemon");

  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, start, stop);
  tcase_add_test(tcase, reads_of_gone_clients_not_executed);
  tcase_add_test(tcase, puts_and_clears_of_gone_clients_executed);
  tcase_add_test(tcase, clears_of_gone_clients_all_executed);
  tcase_add_test(tcase, equal_clears_of_gone_clients_merged);
  tcase_add_test(tcase, clear_of_nothing_finishes_at_once);
  tcase_add_test(tcase, short_requests_pass_listing_pages);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
