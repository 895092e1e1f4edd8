/* Long work runs in slices, and other clients have turns between them: large puts, a lower limit of
 * a large namespace, and the entries of a deleted one. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/errors.h"
#include "proto/limits.h"
#include "tests/support/expect.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"
#include "tests/support/trace_lines.h"

#define TIMEOUT_MS 20000u
#define N 40000u   /* entries: ten slices */
#define ASKED 1000 /* stats requests in a row: more than one turn each */

static struct daemon served;

static void stop(void) {
  ck_assert_int_eq(harness_stop(&served), 0);
}

/* N values of one byte, in one message. */
static void encode_puts(struct fc_buf *buf, uint32_t flags) {
  static uint8_t prompts[N * FC_HASH_SIZE];
  struct fc_put_many put = {.flags = flags,
                            .key = raw_key("op", "view", 0, ""),
                            .compute_ns = 10 * N + 7,
                            .batch = N,
                            .prompts = prompts,
                            .n = N,
                            .values.n = N};

  for (uint32_t i = 0; i < N; i++)
    memcpy(prompts + (size_t)i * FC_HASH_SIZE, &i, sizeof i);
  ck_assert_int_eq(fc_encode_put_many_head(buf, 1, &put), 0);
  for (uint32_t i = 0; i < N; i++) {
    ck_assert(fc_encode_bin_head(buf, 1) == 0 && fc_buf_append(buf, "v", 1) == 0);
  }
  fc_frame_finish(buf, 0, 0);
}

static void expect_stored(struct raw *raw) {
  struct fc_reply reply;

  ck_assert_int_eq(raw_recv(raw, &reply, TIMEOUT_MS), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_PUT_MANY);
  ck_assert_uint_eq(reply.put_many.stored, N);
}

static void put_all(struct raw *raw) {
  struct fc_buf buf = {0};

  encode_puts(&buf, FC_UNRECORDED);
  ck_assert_int_eq(raw_send_buf(raw, &buf), 0);
  expect_stored(raw);
  fc_buf_free(&buf);
}

static uint64_t entries_of(const struct fc_reply *reply) {
  struct fc_stats_walk walk = {0};
  struct fc_stat stat;

  while (fc_stats_next(&reply->stats, &walk, &stat))
    if (fc_str_equal(stat.name, fc_str_of("entries")))
      return stat.integer;
  ck_abort_msg("no entries in the stats");
}

/* Takes the turns of another client: requests stats many times at once. */
static void send_questions(struct raw *raw) {
  struct fc_buf buf = {0};

  for (uint32_t i = 0; i < ASKED; i++)
    ck_assert_int_eq(fc_encode_stats(&buf, i, fc_str_of(NULL)), 0);
  ck_assert_int_eq(raw_send_buf(raw, &buf), 0);
  fc_buf_free(&buf);
}

/* Returns how many different numbers between the two the replies show. */
static unsigned count_between(struct raw *raw, uint64_t low, uint64_t high) {
  uint64_t before = low;
  unsigned n = 0;

  for (uint32_t i = 0; i < ASKED; i++) {
    struct fc_reply reply;

    EXPECT_EQUAL(raw_recv(raw, &reply, TIMEOUT_MS), RAW_REPLY);
    uint64_t entries = entries_of(&reply);

    n += entries > low && entries < high && entries != before;
    before = entries;
  }
  return n;
}

static void set_stopped(bool stopped) {
  ck_assert_int_eq(kill(served.pid, stopped ? SIGSTOP : SIGCONT), 0);
}

START_TEST(evicting_large_put_yields_to_others) {
  char trace[HARNESS_PATH_SIZE + 8], dir[HARNESS_PATH_SIZE];
  struct raw putter, other;
  struct fc_buf buf = {0};

  harness_make_dir(dir);
  (void)snprintf(trace, sizeof trace, "%s/trace", dir);
  harness_start(&served, "--trace", trace, NULL);
  raw_open(&putter, served.socket, "large");
  raw_open(&other, served.socket, NULL);
  encode_puts(&buf, 0);
  ck_assert_int_eq(raw_send(&putter, buf.data, buf.size - 1), 0);
  set_stopped(true);
  ck_assert_int_eq(raw_send(&putter, buf.data + buf.size - 1, 1), 0);
  send_questions(&other);
  set_stopped(false);
  ck_assert_uint_ge(count_between(&other, 0, N), 5);
  expect_stored(&putter);

  /* counted once, as one message */
  struct fcache *cache = library_open(served.socket, "large", NULL, 0);
  struct library_stats stats = {0};
  library_stats_read(cache, &stats);
  ck_assert_uint_eq(library_stats_count(&stats, "large", "entries"), N);
  ck_assert_uint_eq(library_stats_count(&stats, "large", "cache_misses"), N);
  ck_assert_uint_eq(library_stats_count(&stats, "large", "batches_sent"), 1);
  ck_assert_uint_eq(library_stats_count(&stats, "large", "max_batch_size"), N);
  double wall_s = library_stats_real(&stats, "large", "scoring_wall_s");
  ck_assert(wall_s > (10 * N + 6) / 1e9 && wall_s < (10 * N + 8) / 1e9);
  library_stats_free(&stats);
  fcache_close(cache);
  ck_assert_int_eq(harness_stop(&served), 0);
  ck_assert_uint_eq(trace_lines_read(trace, NULL, NULL), N);
  raw_close(&putter);
  raw_close(&other);
  fc_buf_free(&buf);
}
END_TEST

/* The limit holds when the welcome arrives. */
START_TEST(lower_limit_yields_to_others) {
  struct raw putter, limiting, other;
  struct fc_reply reply;
  struct fc_buf buf = {0};
  struct fc_hello hello = {.version_min = FC_PROTOCOL_VERSION_MIN,
                           .version_max = FC_PROTOCOL_VERSION,
                           .client = fc_str_of("limiting"),
                           .name_space = fc_str_of("large"),
                           .has_max_entries = true,
                           .max_entries = 10};

  harness_start(&served, NULL);
  raw_open(&putter, served.socket, "large");
  raw_open(&other, served.socket, NULL);
  put_all(&putter);
  ck_assert_int_eq(raw_connect(&limiting, served.socket), 0);
  ck_assert_int_eq(fc_encode_hello(&buf, 1, &hello), 0);
  set_stopped(true);
  ck_assert_int_eq(raw_send_buf(&limiting, &buf), 0);
  send_questions(&other);
  set_stopped(false);
  ck_assert_uint_ge(count_between(&other, 10, N), 5);
  ck_assert_int_eq(raw_recv(&limiting, &reply, TIMEOUT_MS), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_HELLO);

  struct fcache *cache = library_open(served.socket, "large", NULL, 0);
  struct library_stats stats = {0};
  library_stats_read(cache, &stats);
  ck_assert_uint_eq(library_stats_count(&stats, "large", "entries"), 10);
  ck_assert_uint_eq(library_stats_count(&stats, "large", "max_entries"), 10);
  ck_assert_uint_eq(library_stats_count(&stats, "large", "evictions_entries"), N - 10);
  library_stats_free(&stats);
  fcache_close(cache);
  raw_close(&putter);
  raw_close(&limiting);
  raw_close(&other);
  fc_buf_free(&buf);
}
END_TEST

static bool has_no_entries(void *arg) {
  struct raw *raw = arg;
  struct fc_buf buf = {0};
  struct fc_reply reply;

  ck_assert_int_eq(fc_encode_stats(&buf, 1, fc_str_of(NULL)), 0);
  ck_assert_int_eq(raw_send_buf(raw, &buf), 0);
  ck_assert_int_eq(raw_recv(raw, &reply, TIMEOUT_MS), RAW_REPLY);
  fc_buf_free(&buf);
  return entries_of(&reply) == 0;
}

/* After the daemon has seen the end of the first client. */
static bool is_welcome(void *arg) {
  struct raw *raw = arg;

  if (raw_connect(raw, served.socket) == 0 && raw_hello(raw, "second", "second") == 0)
    return true;
  raw_close(raw);
  return false;
}

START_TEST(deleted_namespace_freed_in_background) {
  struct raw putter, second;

  harness_start(&served, "--max-namespaces", "1", NULL);
  raw_open(&putter, served.socket, "first");
  put_all(&putter);
  raw_close(&putter);
  ck_assert(harness_wait_until(is_welcome, &second, TIMEOUT_MS));
  /* no client connects or leaves now */
  ck_assert(harness_wait_until(has_no_entries, &second, TIMEOUT_MS));
  raw_close(&second);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("slices");
  TCase *tcase = tcase_create("daemon");

  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, NULL, stop);
  tcase_add_test(tcase, evicting_large_put_yields_to_others);
  tcase_add_test(tcase, lower_limit_yields_to_others);
  tcase_add_test(tcase, deleted_namespace_freed_in_background);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
