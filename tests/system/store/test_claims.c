/* Claims of clients: no message and no record raises a counter above what the client can have done,
 * and no counter falls. */
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "proto/shm/ring_layout.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"

#define SPACE "claims"
#define DAY_S 86400.0
#define TIMEOUT_MS 20000u

static struct daemon served;
static struct fcache *watch; /* for statistics, and the honest client of the namespace "good" */
static struct raw raw;
static uint64_t connected_ns; /* at the earliest */

static void start(void) {
  harness_start(&served, NULL);
  watch = library_open(served.socket, "good", "watch", 0);
  connected_ns = harness_now_ns();
  raw_open(&raw, served.socket, SPACE);
}

static void stop(void) {
  raw_close(&raw);
  fcache_close(watch);
  ck_assert_int_eq(harness_stop(&served), 0);
}

static double seconds(const char *name_space, const char *name) {
  struct library_stats stats = {0};

  library_stats_read(watch, &stats);
  double value = library_stats_real(&stats, name_space, name);
  library_stats_free(&stats);
  return value;
}

static uint64_t count(const char *name) {
  struct library_stats stats = {0};

  library_stats_read(watch, &stats);
  uint64_t value = library_stats_count(&stats, SPACE, name);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, name), value); /* no other client does any */
  library_stats_free(&stats);
  return value;
}

static void put(uint64_t compute_ns) {
  struct fc_reply reply;
  struct fc_put message = {.key = raw_key("op", "view", 0, "prompt"),
                           .compute_ns = compute_ns,
                           .value = (const uint8_t *)"v",
                           .value_size = 1};

  ck_assert_int_eq(raw_put(&raw, &message, &reply), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_PUT);
}

static void put_many(uint32_t n, uint32_t batch, uint64_t compute_ns) {
  struct fc_buf request = {0};
  struct fc_reply reply;
  uint8_t prompts[16 * FC_HASH_SIZE] = {0};
  struct fc_put_many message = {.key = raw_key("op", "view", 0, ""),
                                .compute_ns = compute_ns,
                                .batch = batch,
                                .prompts = prompts,
                                .n = n,
                                .values.n = n};

  for (uint32_t i = 0; i < n; i++)
    prompts[i * FC_HASH_SIZE] = (uint8_t)i;
  ck_assert_int_eq(fc_encode_put_many_head(&request, ++raw.next_id, &message), 0);
  for (uint32_t i = 0; i < n; i++)
    ck_assert_int_eq(fc_encode_bin_head(&request, 0), 0);
  fc_frame_finish(&request, 0, 0);
  ck_assert_int_eq(raw_send_buf(&raw, &request), 0);
  fc_buf_free(&request);
  ck_assert_int_eq(raw_recv(&raw, &reply, TIMEOUT_MS), RAW_REPLY);
  ck_assert_int_eq(reply.type, FC_REPLY | FC_PUT_MANY);
}

static void ping(void) {
  struct fc_buf request = {0};
  struct fc_reply reply;

  ck_assert_int_eq(fc_encode_simple(&request, FC_PING, ++raw.next_id), 0);
  ck_assert_int_eq(raw_send_buf(&raw, &request), 0);
  fc_buf_free(&request);
  ck_assert_int_eq(raw_recv(&raw, &reply, TIMEOUT_MS), RAW_REPLY);
}

/* ---- the time of computations ---- */

START_TEST(put_compute_time_bounded_by_connection) {
  double before_s = 0;

  for (unsigned i = 0; i < 4; i++) {
    if (i % 2 == 0)
      put(UINT64_MAX);
    else
      put_many(3, 0, UINT64_MAX);
    double now_s = seconds(SPACE, "scoring_wall_s");
    ck_assert_double_ge(now_s, before_s);
    ck_assert_double_le(now_s, (double)(harness_now_ns() - connected_ns) / 1e9);
    before_s = now_s;
  }
  ck_assert_double_gt(before_s, 0);
  ck_assert_double_eq(seconds("good", "scoring_wall_s"), 0);
  ck_assert_uint_eq(count("forward_passes"), 2 + 2 * 3);
}
END_TEST

static uint64_t listed_compute_ns(void) {
  struct fc_buf request = {0};
  struct fc_reply reply;
  struct fc_list list = {.select = {.name_space = fc_str_of(SPACE)}, .limit = 10};
  struct fc_list_entry entry;

  list.cursor = (const uint8_t *)"";
  ck_assert_int_eq(fc_encode_list(&request, ++raw.next_id, &list), 0);
  ck_assert_int_eq(raw_send_buf(&raw, &request), 0);
  fc_buf_free(&request);
  ck_assert_int_eq(raw_recv(&raw, &reply, TIMEOUT_MS), RAW_REPLY);
  ck_assert_uint_eq(reply.list.n, 1);
  fc_list_next(&reply.list, &entry);
  return entry.compute_ns;
}

START_TEST(hit_saved_time_bounded) {
  struct fc_get get = {.key = raw_key("op", "view", 0, "prompt")};
  struct fc_reply reply;

  put(UINT64_MAX);
  ck_assert_uint_eq(listed_compute_ns(), (uint64_t)DAY_S * 1000000000u);
  for (unsigned i = 1; i <= 3; i++) {
    ck_assert_int_eq(raw_get(&raw, &get, &reply), RAW_REPLY);
    ck_assert_double_eq_tol(seconds(SPACE, "saved_wall_s"), i * DAY_S, 1e-3);
  }
}
END_TEST

/* ---- batches ---- */

START_TEST(batch_size_bounded_by_values) {
  put_many(3, UINT32_MAX, 1000);
  ck_assert_uint_eq(count("batches_sent"), 1);
  ck_assert_uint_eq(count("batched_prompts"), 3);
  ck_assert_uint_eq(count("max_batch_size"), 3);
  put_many(2, UINT32_MAX, 1000);
  ck_assert_uint_eq(count("batches_sent"), 2);
  ck_assert_uint_eq(count("batched_prompts"), 5);
  ck_assert_uint_eq(count("max_batch_size"), 3);
  ck_assert_double_eq_tol(seconds(SPACE, "avg_batch_size"), 2.5, 1e-9);
}
END_TEST

START_TEST(batch_in_several_messages_counted_once) {
  put_many(5, 8, 1000);
  put_many(2, 0, 1000);
  put_many(4, 0, 1000); /* one more of the batch, and three of none */
  ck_assert_uint_eq(count("batches_sent"), 1);
  ck_assert_uint_eq(count("batched_prompts"), 8);
  ck_assert_uint_eq(count("max_batch_size"), 8);
  ck_assert_uint_eq(count("cache_misses"), 11);
}
END_TEST

START_TEST(batch_after_other_request_is_new) {
  put_many(5, 8, 1000);
  ping();
  put_many(2, 0, 1000);
  ck_assert_uint_eq(count("batched_prompts"), 5);
  put_many(2, 1, 1000); /* more than the batch has */
  ck_assert_uint_eq(count("batches_sent"), 2);
  ck_assert_uint_eq(count("batched_prompts"), 6);
}
END_TEST

/* ---- hits that could not be recorded ---- */

START_TEST(unrecorded_hits_bounded) {
  struct raw mapped;
  struct stat status;

  raw_open_region(&mapped, served.socket, "liar", SPACE);
  ck_assert_int_eq(fstat(mapped.ring_fd, &status), 0);
  size_t size = (size_t)status.st_size;
  struct fc_ring_header *ring =
      mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, mapped.ring_fd, 0);
  ck_assert_ptr_ne(ring, MAP_FAILED);
  atomic_store(&ring->unrecorded, 3);
  library_wait_stat(watch, "hits_unrecorded", 3);
  uint64_t before = 3;
  for (unsigned i = 0; i < 20; i++) { /* up and down: nothing is counted twice */
    atomic_store(&ring->unrecorded, i % 2 == 0 ? UINT64_MAX - i : 0);
    uint64_t now = library_stat(watch, "hits_unrecorded");
    ck_assert_uint_ge(now, before);
    before = now;
    ck_assert_double_le((double)now, FC_RING_SLOTS_MAX + seconds(NULL, "uptime_s") * 1e9 / 50);
  }
  ck_assert_int_eq(munmap(ring, size), 0);
  raw_close(&mapped);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("claims");
  TCase *tcase = tcase_create("claims");
  tcase_add_checked_fixture(tcase, start, stop);
  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, put_compute_time_bounded_by_connection);
  tcase_add_test(tcase, hit_saved_time_bounded);
  tcase_add_test(tcase, batch_size_bounded_by_values);
  tcase_add_test(tcase, batch_in_several_messages_counted_once);
  tcase_add_test(tcase, batch_after_other_request_is_new);
  tcase_add_test(tcase, unrecorded_hits_bounded);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
