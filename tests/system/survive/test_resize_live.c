/* fcachectl set max-bytes while workers read: they go on in shared memory with right values, memory
 * is given back, and a kill at any time loses nothing. */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/child_process.h"
#include "tests/support/ctl.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"
#include "tests/support/region_worker.h"
#include "tests/support/service_manager.h"
#include "tests/support/stamped.h"

#define MIB (UINT64_C(1) << 20)
#define SPACE "region" /* of region_worker.h */
#define TIMEOUT_MS 60000u
#define MORE_HITS 2000u /* that each worker serves from the region after a change */

enum { WORKERS = 2, ENTRIES = 2400, HOT = 200 };

static struct service_manager manager;
static struct fcache *watch;

/* Shared with the workers. */
static struct board {
  _Atomic bool end;
  _Atomic uint64_t region_hits[WORKERS];
} * board;

static void set_up(void) {
  service_manager_init(&manager);
  service_manager_start(&manager, "--max-bytes=64M", NULL);
  (void)setenv("FCACHE_SOCKET", manager.daemon.socket, 1);
  watch = library_open(manager.daemon.socket, SPACE, "watch", 0);
  board = child_shared(sizeof *board);
}

static void tear_down(void) {
  fcache_close(watch);
  service_manager_deinit(&manager);
}

/* ---- entries: stamped values ---- */

/* Puts the entries from `first` on, which become the newest. */
static void put_entries(uint32_t first, uint32_t n) {
  struct fcache_value value = {0};
  for (uint32_t i = first; i < first + n; i++)
    ck_assert_int_eq(stamped_put(watch, &value, i, 1), FCACHE_OK);
  fcache_value_free(&value);
}

static bool has_entry(uint32_t number) {
  struct fcache_key key = stamped_key(number);
  struct fcache_value value = {0};
  uint64_t version;
  int rc = fcache_get(watch, &key, FCACHE_UNRECORDED, &value);
  if (rc == FCACHE_OK && !stamped_check(&value, number, &version))
    ck_abort_msg("entry %u has another value", number);
  fcache_value_free(&value);
  return rc == FCACHE_OK;
}

static uint32_t count_entries(uint32_t first, uint32_t n) {
  uint32_t hits = 0;
  for (uint32_t i = first; i < first + n; i++)
    hits += has_entry(i);
  return hits;
}

/* ---- workers ---- */

/* The default deadline: a call that waits longer is degraded. */
static int read_hot(void *arg) {
  uint32_t number = *(uint32_t *)arg;
  uint64_t random = number + 1;
  struct region_worker worker;
  CHILD_EXPECT(region_worker_open(&worker, manager.daemon.socket, NULL, 0));
  while (!atomic_load(&board->end)) {
    uint64_t hot = ENTRIES - 1 - region_worker_random(&random) % HOT;
    CHILD_EXPECT(region_worker_get(&worker, hot) == FCACHE_OK);
    atomic_store(&board->region_hits[number], library_counters(worker.cache).region_hits);
  }
  struct fcache_counters counters = library_counters(worker.cache);
  CHILD_EXPECT(counters.degraded == 0 && counters.reconnects == 0 && worker.lines == 0);
  region_worker_close(&worker);
  return 0;
}

static bool has_hits(void *arg) {
  const uint64_t *least = arg;
  for (unsigned i = 0; i < WORKERS; i++)
    if (atomic_load(&board->region_hits[i]) < least[i])
      return false;
  return true;
}

/* Waits until each worker has served many more hits from shared memory. */
static void expect_region_hits(void) {
  uint64_t least[WORKERS], before = library_stat(watch, "hits_region");
  for (unsigned i = 0; i < WORKERS; i++)
    least[i] = atomic_load(&board->region_hits[i]) + MORE_HITS;
  ck_assert(harness_wait_until(has_hits, least, TIMEOUT_MS));
  ck_assert_uint_ge(library_stat(watch, "hits_region"), before + MORE_HITS);
}

static void start_workers(pid_t pids[WORKERS]) {
  static uint32_t numbers[WORKERS];
  for (uint32_t i = 0; i < WORKERS; i++) {
    numbers[i] = i;
    pids[i] = child_start(read_hot, &numbers[i], NULL);
  }
  expect_region_hits();
}

static void end_workers(const pid_t pids[WORKERS]) {
  atomic_store(&board->end, true);
  for (unsigned i = 0; i < WORKERS; i++)
    ck_assert_int_eq(harness_wait(pids[i], TIMEOUT_MS), 0);
}

/* ---- the change ---- */

/* The shared memory that the daemon has mapped and touched. */
static uint64_t shared_bytes(void) {
  char path[64];
  unsigned long kib = 0;
  (void)snprintf(path, sizeof path, "/proc/%d/status", (int)manager.daemon.pid);
  char *text = harness_read_file(path, NULL),
       *line = text == NULL ? NULL : strstr(text, "RssShmem:");
  ck_assert_ptr_nonnull(line);
  kib = strtoul(line + strlen("RssShmem:"), NULL, 10);
  free(text);
  return (uint64_t)kib * 1024;
}

static void send_set(struct raw *raw, const char *size) {
  struct fc_set set = {.name = fc_str_of("max-bytes"), .value = fc_str_of(size)};
  struct fc_buf buf = {0};
  ck_assert_int_eq(fc_encode_set(&buf, raw->next_id++, &set), 0);
  ck_assert_int_eq(raw_send_buf(raw, &buf), 0);
  fc_buf_free(&buf);
}

/* Begins a change, sooner than a process could. */
static void begin_resize(const char *size) {
  struct fc_reply reply;
  struct raw raw;
  raw_open(&raw, manager.daemon.socket, NULL);
  send_set(&raw, size);
  ck_assert_int_eq(raw_recv(&raw, &reply, TIMEOUT_MS), RAW_REPLY);
  ck_assert_uint_eq(reply.type, FC_REPLY | FC_SET);
  raw_close(&raw);
}

/* The service manager has removed the files of the former region, and the daemon has its limit. */
static bool has_moved(void *arg) {
  return library_stat(watch, "max_bytes") == *(uint64_t *)arg &&
         library_stat(watch, "migrating_bytes") == 0 && service_manager_regions(&manager) == 1;
}

static void resize(uint64_t mib) {
  char size[16];
  uint64_t bytes = mib * MIB;
  (void)snprintf(size, sizeof size, "%" PRIu64 "M", mib);
  free(ctl_printed(CTL("set", "max-bytes", size)));
  ck_assert(harness_wait_until(has_moved, &bytes, TIMEOUT_MS));
}

/* The least recently used entries leave: those that are left are the latest. */
static void expect_newest_left(void) {
  uint32_t first = 0;
  while (first < ENTRIES && !has_entry(first))
    first++;
  ck_assert_uint_gt(first, ENTRIES / 2);
  ck_assert_uint_lt(first, ENTRIES - HOT);
  ck_assert_uint_eq(count_entries(first, ENTRIES - first), ENTRIES - first);
}

/* The service manager closes a removed file when it has read the message. */
static bool is_stored_at_most(void *bytes) {
  return service_manager_bytes(&manager) <= *(const uint64_t *)bytes;
}

START_TEST(limit_changes_under_workers_memory_follows) {
  pid_t pids[WORKERS];
  put_entries(0, ENTRIES);
  start_workers(pids);
  uint64_t stored = service_manager_bytes(&manager), shared = shared_bytes();
  ck_assert_uint_ge(stored, 48 * MIB);
  resize(16);
  printf("64 MiB lowered to 16 MiB: files %" PRIu64 " to %" PRIu64 " KiB, RssShmem %" PRIu64
         " to %" PRIu64 " KiB\n",
         stored / 1024, service_manager_bytes(&manager) / 1024, shared / 1024,
         shared_bytes() / 1024);
  ck_assert_uint_le(library_stat(watch, "bytes"), 16 * MIB);
  uint64_t most = 20 * MIB;
  ck_assert(harness_wait_until(is_stored_at_most, &most, TIMEOUT_MS));
  ck_assert_uint_le(shared_bytes(), shared - stored + 20 * MIB);
  expect_region_hits();
  expect_newest_left();
  resize(128);
  expect_region_hits();
  uint64_t before = library_stat(watch, "entries");
  put_entries(2 * ENTRIES, 2 * ENTRIES);
  ck_assert_uint_eq(library_stat(watch, "entries"), before + 2 * (uint64_t)ENTRIES);
  ck_assert_uint_eq(count_entries(2 * ENTRIES, 2 * ENTRIES), 2 * ENTRIES);
  expect_region_hits();
  end_workers(pids);
  ck_assert_uint_eq(library_counters(watch).degraded, 0);
}
END_TEST

/* ---- a kill ---- */

/* The migration has less than `*arg` bytes left. */
static bool is_below(void *arg) {
  return library_stat(watch, "migrating_bytes") <= *(uint64_t *)arg;
}

/* Each round kills the daemon later. Values that are put while entries move are in the new region.
 * The next daemon has the limit of its options. */
START_TEST(kill_while_entries_move_loses_none) {
  enum { ROUNDS = 6, MORE = 50 };
  static const char *const sizes[] = {"56M", "100M"};
  uint32_t n = ENTRIES / 2, in_the_midst = 0;
  put_entries(0, n);
  for (uint32_t round = 0; round < ROUNDS; round++) {
    uint64_t left = 24 * MIB * (ROUNDS - round) / ROUNDS;
    begin_resize(sizes[round % 2]);
    put_entries(n, MORE);
    n += MORE;
    if (round > 0)
      ck_assert(harness_wait_until(is_below, &left, TIMEOUT_MS));
    service_manager_kill9(&manager);
    in_the_midst += service_manager_regions(&manager) > 1;
    service_manager_start(&manager, "--max-bytes=64M", NULL);
    ck_assert_uint_eq(count_entries(0, n), n);
    uint64_t bytes = 64 * MIB;
    ck_assert(harness_wait_until(has_moved, &bytes, TIMEOUT_MS));
    ck_assert_uint_eq(count_entries(0, n), n);
  }
  printf("%u of %d kills while entries moved\n", in_the_midst, ROUNDS);
  ck_assert_uint_ge(in_the_midst, 1);
}
END_TEST

/* ---- refusals ---- */

static const struct {
  const char *size, *parts[3];
} refused[] = {
    {"900T", {"max-bytes is not changed: not enough memory: ", " are needed (", " bytes) are "}},
    {"9000T", {"max-bytes: 8.7 PiB (9895604649984000 bytes) is out of range", "4 KiB", "1 PiB"}},
    {"4095", {"max-bytes: 3.9 KiB (4095 bytes) is out of range: give 4 KiB to ", "", ""}},
};

START_TEST(limit_out_of_reach_refused_with_both_numbers) {
  put_entries(0, HOT);
  for (unsigned i = 0; i < sizeof refused[0].parts / sizeof(char *); i++)
    ctl_expect_status(CTL("set", "max-bytes", refused[_i].size), 1, "", refused[_i].parts[i]);
  ck_assert_uint_eq(library_stat(watch, "max_bytes"), 64 * MIB);
  ck_assert_uint_eq(count_entries(0, HOT), HOT);
}
END_TEST

/* Both requests are sent before the first one is executed. */
START_TEST(second_change_while_entries_move_refused) {
  struct fc_reply reply;
  struct raw raw;
  put_entries(0, ENTRIES);
  raw_open(&raw, manager.daemon.socket, NULL);
  send_set(&raw, "128M");
  send_set(&raw, "100M");
  ck_assert_int_eq(raw_recv(&raw, &reply, TIMEOUT_MS), RAW_REPLY);
  ck_assert_uint_eq(reply.type, FC_REPLY | FC_SET);
  ck_assert_int_eq(raw_recv(&raw, &reply, TIMEOUT_MS), RAW_REPLY);
  ck_assert_uint_eq(reply.type, FC_ERROR);
  ck_assert_ptr_nonnull(
      memmem(reply.error.text.data, reply.error.text.size, "try again", strlen("try again")));
  raw_close(&raw);
  uint64_t bytes = 128 * MIB;
  ck_assert(harness_wait_until(has_moved, &bytes, TIMEOUT_MS));
  ck_assert_uint_eq(count_entries(0, ENTRIES), ENTRIES);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("resize_live");
  TCase *tcase = tcase_create("resize_live");
  tcase_set_timeout(tcase, 180);
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, limit_changes_under_workers_memory_follows);
  tcase_add_test(tcase, kill_while_entries_move_loses_none);
  tcase_add_loop_test(tcase, limit_out_of_reach_refused_with_both_numbers, 0,
                      sizeof refused / sizeof refused[0]);
  tcase_add_test(tcase, second_change_while_entries_move_refused);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
