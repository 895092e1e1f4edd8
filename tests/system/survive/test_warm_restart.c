/* The cache outlives its daemon: what the service manager kept comes back, and what it cannot keep
 * comes from the snapshot. A broken store never keeps a daemon from serving. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/library.h"
#include "tests/support/service_manager.h"

#define ENTRIES 2000u
#define VALUE_BYTES 3100u

static struct service_manager manager;
static char state[HARNESS_PATH_SIZE];

static void set_up(void) {
  service_manager_init(&manager);
  harness_make_dir(state);
}

static void tear_down(void) {
  service_manager_deinit(&manager);
}

/* ---- entries ---- */

static const char *value_of(unsigned number) {
  static char text[VALUE_BYTES + 1];
  for (size_t at = 0; at < VALUE_BYTES; at += 8)
    (void)snprintf(text + at, sizeof text - at, "%08u", number + (unsigned)at);
  return text;
}

static struct fcache_key key_of(unsigned number) {
  char prompt[16];
  (void)snprintf(prompt, sizeof prompt, "%u", number);
  return library_key("op", "view", prompt, 0);
}

static void put_entries(struct fcache *cache) {
  for (unsigned i = 0; i < ENTRIES; i++) {
    struct fcache_key key = key_of(i);
    library_put_text(cache, &key, value_of(i));
  }
}

/* Returns the number of hits, whose values must be right. */
static unsigned count_entries(struct fcache *cache) {
  unsigned hits = 0;
  for (unsigned i = 0; i < ENTRIES; i++) {
    struct fcache_key key = key_of(i);
    char *text = library_get_text(cache, &key);
    if (text != NULL && strcmp(text, value_of(i)) != 0)
      ck_abort_msg("entry %u has a wrong value", i);
    hits += text != NULL;
    free(text);
  }
  return hits;
}

static struct fcache *open_cache(void) {
  return library_open(manager.daemon.socket, "survive", NULL, 0);
}

static void fill(void) {
  struct fcache *cache = open_cache();
  put_entries(cache);
  fcache_close(cache);
}

static unsigned count(void) {
  struct fcache *cache = open_cache();
  unsigned hits = count_entries(cache);
  fcache_close(cache);
  return hits;
}

/* Looks in the log of all starts. */
static void expect_logged(const char *text) {
  ck_assert_msg(harness_log_has(&manager.daemon, text), "no \"%s\" in %s", text,
                harness_log(&manager.daemon));
}

/* ---- from memory ---- */

START_TEST(kill_keeps_all_entries_for_the_same_client) {
  service_manager_start(&manager, NULL);
  struct fcache *cache = open_cache();
  put_entries(cache);
  for (int i = 0; i < 3; i++) {
    service_manager_kill9(&manager);
    service_manager_start(&manager, NULL);
    ck_assert_uint_eq(count_entries(cache), ENTRIES);
  }
  expect_logged("adopted 2000 entries");
  fcache_close(cache);
}
END_TEST

/* Kills that come while the entries of the daemon before move. Each may cost the entry that was
 * being moved. */
START_TEST(kill_again_at_once_keeps_all_entries) {
  service_manager_start(&manager, NULL);
  fill();
  for (int i = 0; i < 20; i++) {
    service_manager_kill9(&manager);
    service_manager_start(&manager, NULL);
  }
  ck_assert_uint_ge(count(), ENTRIES - 20);
}
END_TEST

static const struct {
  const char *max_bytes;
  bool smaller;
} sizes[] = {{"512M", false}, {"64M", false}, {"3M", true}, {"256M", false}};

START_TEST(restart_with_other_size_keeps_what_fits) {
  unsigned kept = ENTRIES;
  service_manager_start(&manager, NULL);
  fill();
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    ck_assert_int_eq(service_manager_end(&manager), 0);
    service_manager_start(&manager, "--max-bytes", sizes[i].max_bytes, "--max-value", "1M", NULL);
    service_manager_wait_migrated(&manager);
    unsigned hits = count();
    if (sizes[i].smaller)
      ck_assert_uint_lt(hits, kept);
    else
      ck_assert_uint_eq(hits, kept);
    ck_assert_uint_gt(hits, 500);
    kept = hits;
  }
}
END_TEST

START_TEST(store_is_flat_over_restarts) {
  unsigned stored = 0;
  service_manager_start(&manager, NULL);
  fill();
  for (int i = 0; i < 20; i++) {
    service_manager_wait_migrated(&manager);
    unsigned now = service_manager_count(&manager, NULL);
    ck_assert_msg(i == 0 || now == stored, "%u descriptors, and then %u", stored, now);
    stored = now;
    if (i % 2 == 0)
      service_manager_kill9(&manager);
    else
      ck_assert_int_eq(service_manager_end(&manager), 0);
    service_manager_start(&manager, NULL);
  }
  ck_assert_uint_eq(manager.n_dropped, 0);
  ck_assert_uint_eq(count(), ENTRIES);
}
END_TEST

/* ---- from the snapshot ---- */

START_TEST(stop_and_start_reads_the_snapshot) {
  for (int i = 0; i < 3; i++) {
    service_manager_start(&manager, "--state", state, NULL);
    if (i == 0)
      fill();
    ck_assert_uint_eq(count(), ENTRIES);
    ck_assert_int_eq(service_manager_stop(&manager), 0);
  }
  expect_logged("restored 2000 entries");
}
END_TEST

START_TEST(stop_without_region_reads_the_snapshot) {
  service_manager_start(&manager, "--state", state, "--no-region", NULL);
  fill();
  ck_assert_int_eq(service_manager_end(&manager), 0);
  ck_assert_uint_eq(service_manager_count(&manager, "catalog"), 0);
  service_manager_start(&manager, "--state", state, "--no-region", NULL);
  ck_assert_uint_eq(count(), ENTRIES);
  expect_logged("restored 2000 entries");
}
END_TEST

/* The memory is newer than the snapshot. */
START_TEST(kill_after_a_snapshot_adopts_the_memory) {
  service_manager_start(&manager, "--state", state, NULL);
  ck_assert_int_eq(service_manager_end(&manager), 0); /* an empty snapshot */
  service_manager_start(&manager, "--state", state, NULL);
  fill();
  service_manager_kill9(&manager);
  service_manager_start(&manager, "--state", state, NULL);
  ck_assert_uint_eq(count(), ENTRIES);
  expect_logged("adopted 2000 entries");
}
END_TEST

/* ---- broken stores ---- */

static void store_garbage(const char *name, bool is_empty) {
  int fd = memfd_create("garbage", MFD_CLOEXEC);
  ck_assert_int_ge(fd, 0);
  if (!is_empty)
    for (int i = 0; i < 4096; i++)
      ck_assert_int_eq(write(fd, "garbage!", 8), 8);
  service_manager_store(&manager, name, fd);
  ck_assert_int_eq(close(fd), 0);
}

/* Row `i` breaks the store after a kill. The next daemon serves, without or with the entries. */
static const struct {
  const char *removed;
  const char *added;
  bool added_empty, all_back;
} broken[] = {
    {"catalog", NULL, false, false},     {"catalog", "catalog", false, false},
    {"catalog", "catalog", true, false}, {NULL, "catalog", false, true},
    {NULL, "segment-1-1", false, true},  {NULL, "segment-zzz", true, true},
    {NULL, "foreign", false, true},      {"starts", "starts", false, true},
    {"starts", NULL, false, true},
};
#define BROKEN (int)(sizeof broken / sizeof *broken)

START_TEST(start_with_broken_store_serves) {
  service_manager_start(&manager, NULL);
  fill();
  unsigned stored = service_manager_count(&manager, NULL);
  service_manager_kill9(&manager);
  if (broken[_i].removed != NULL)
    service_manager_remove(&manager, broken[_i].removed);
  if (broken[_i].added != NULL)
    store_garbage(broken[_i].added, broken[_i].added_empty);
  service_manager_start(&manager, NULL);
  ck_assert_uint_eq(count(), broken[_i].all_back ? ENTRIES : 0);
  service_manager_wait_migrated(&manager);
  /* A foreign file under a name in use stays, and nothing else. */
  ck_assert_uint_le(service_manager_count(&manager, NULL), stored + 1);
}
END_TEST

/* The service manager keeps fewer descriptors than the cache has: the rest of the entries is lost,
 * and the daemon serves. */
START_TEST(start_with_small_store_serves) {
  manager.store_max = 10;
  service_manager_start(&manager, NULL);
  fill();
  service_manager_kill9(&manager);
  service_manager_start(&manager, NULL);
  (void)count();
  fill();
  ck_assert_uint_eq(count(), ENTRIES);
}
END_TEST

START_TEST(crashes_in_a_row_drop_the_memory) {
  service_manager_start(&manager, "--state", state, NULL);
  fill();
  ck_assert_int_eq(service_manager_end(&manager), 0);
  for (unsigned i = 0; i < 5; i++) {
    service_manager_start(&manager, "--state", state, NULL);
    ck_assert_uint_ge(count(), ENTRIES - i); /* a crash may cost the entry that was being moved */
    ck_assert_int_eq(kill(manager.daemon.pid, SIGABRT), 0);
    ck_assert_int_eq(harness_wait(manager.daemon.pid, 20000), 128 + SIGABRT);
    manager.daemon.pid = 0;
  }
  ck_assert(!harness_log_has(&manager.daemon, "restored 2000 entries"));
  service_manager_start(&manager, "--state", state, NULL);
  expect_logged("crashed 5 times in a row");
  expect_logged("restored 2000 entries");
  ck_assert_uint_eq(count(), ENTRIES);
}
END_TEST

static TCase *add_case(Suite *suite, const char *name) {
  TCase *tests = tcase_create(name);
  tcase_set_timeout(tests, 120);
  tcase_add_checked_fixture(tests, set_up, tear_down);
  suite_add_tcase(suite, tests);
  return tests;
}

int main(void) {
  Suite *suite = suite_create("warm_restart");
  TCase *memory = add_case(suite, "memory"), *snapshot = add_case(suite, "snapshot"),
        *store = add_case(suite, "store");

  tcase_add_test(memory, kill_keeps_all_entries_for_the_same_client);
  tcase_add_test(memory, kill_again_at_once_keeps_all_entries);
  tcase_add_test(memory, restart_with_other_size_keeps_what_fits);
  tcase_add_test(memory, store_is_flat_over_restarts);
  tcase_add_test(snapshot, stop_and_start_reads_the_snapshot);
  tcase_add_test(snapshot, stop_without_region_reads_the_snapshot);
  tcase_add_test(snapshot, kill_after_a_snapshot_adopts_the_memory);
  tcase_add_loop_test(store, start_with_broken_store_serves, 0, BROKEN);
  tcase_add_test(store, start_with_small_store_serves);
  tcase_add_test(store, crashes_in_a_row_drop_the_memory);
  return harness_main(suite);
}
