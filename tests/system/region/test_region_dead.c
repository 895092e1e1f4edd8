/* Regions of daemons that have ended: which processes keep their memory allocated, and for how
 * long. */
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/shm/region_uses.h"
#include "tests/support/child_process.h"
#include "tests/support/ctl.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"

static struct daemon served;

static void stop(void) {
  ck_assert_int_eq(harness_stop(&served), 0);
}

/* Returns the number of fcached's memory files that a process maps. */
static unsigned maps_of(const char *pid) {
  char path[64];
  unsigned n = 0;

  (void)snprintf(path, sizeof path, "/proc/%s/maps", pid);
  char *text = harness_read_file(path, NULL);
  for (const char *at = text; at && (at = strstr(at, "/memfd:fcached-")) != NULL; at++)
    n++;
  free(text);
  return n;
}

static unsigned regions_of(const char *pid) {
  struct fc_region_uses uses = {0};
  char path[64];

  (void)snprintf(path, sizeof path, "/proc/%s/maps", pid);
  char *text = harness_read_file(path, NULL), *rest = text;
  for (char *line; rest && (line = strsep(&rest, "\n")) != NULL;)
    fc_region_uses_add(&uses, 1, line);
  free(text);
  return uses.n;
}

static struct fcache *open_and_hit(void) {
  struct fcache_key key = library_key("op", "view", "prompt", 0);
  struct fcache *cache = library_open(served.socket, "dead", NULL, 0);

  library_put_text(cache, &key, "value");
  free(library_get_text(cache, &key));
  ck_assert_uint_eq(regions_of("self"), 1);
  return cache;
}

/* ---- processes that keep a dead region ---- */

static int count_maps(void *arg) {
  (void)arg;
  CHILD_EXPECT(maps_of("self") == 0);
  return 0;
}

START_TEST(fork_child_has_no_mapping) {
  harness_start(&served, NULL);
  struct fcache *cache = open_and_hit();
  unsigned files = maps_of("self"); /* index, segments, ring */
  ck_assert_uint_gt(files, 3);
  ck_assert_int_eq(child_run(count_maps, NULL, NULL), 0);
  ck_assert_uint_eq(maps_of("self"), files);
  fcache_close(cache);
  ck_assert_uint_eq(maps_of("self"), 0);
}
END_TEST

/* In a child the addresses may belong to other mappings. Closing the inherited handle must not
 * touch them. */
static int close_copy(void *arg) {
  static char *taken[512];
  size_t size = 1u << 20;

  for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++) {
    taken[i] = malloc(size); /* mapped at any free address, also at the region's former one */
    CHILD_EXPECT(taken[i] != NULL);
    memset(taken[i], (int)i, 64);
  }
  fcache_close(arg);
  for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
    CHILD_EXPECT(taken[i][63] == (char)i);
  return 0;
}

START_TEST(fork_child_closes_handle_unmaps_nothing) {
  harness_start(&served, NULL);
  struct fcache *cache = open_and_hit();
  ck_assert_int_eq(child_run(close_copy, cache, NULL), 0);
  fcache_close(cache);
}
END_TEST

static int get(struct fcache *cache) {
  struct fcache_key key = library_key("op", "view", "prompt", 0);
  struct fcache_value value = {0};
  int rc = fcache_get(cache, &key, FCACHE_UNRECORDED, &value);

  fcache_value_free(&value);
  return rc;
}

static int put(struct fcache *cache) {
  struct fcache_key key = library_key("op", "view", "prompt", 0);

  return fcache_put(cache, &key, "x", 1, 0, FCACHE_UNRECORDED);
}

static int clear(struct fcache *cache) {
  return fcache_clear(cache, NULL, NULL, NULL);
}

START_TEST(region_dead_any_call_unmaps) {
  int (*const calls[])(struct fcache *) = {get, put, clear};

  harness_start(&served, NULL);
  struct fcache *cache = open_and_hit();
  if (_i % 2 == 0)
    harness_kill9(&served);
  else
    ck_assert_int_eq(harness_stop(&served), 0);
  ck_assert_uint_eq(regions_of("self"), 1); /* idle */
  ck_assert_int_ne(calls[_i / 2](cache), FCACHE_OK);
  ck_assert_uint_eq(regions_of("self"), 0);
  fcache_close(cache);
}
END_TEST

/* ---- reports ---- */

static json_int_t dead_regions(void) {
  const char *const argv[] = {harness_fcachectl(), "-S", served.socket, "stats", "--json", NULL};
  json_t *all = ctl_json(argv);
  json_int_t n =
      json_integer_value(json_object_get(json_object_get(all, "daemon"), "dead_regions"));

  json_decref(all);
  return n;
}

START_TEST(dead_regions_reported_in_stats) {
  char pid[32], text[4096] = {0};

  harness_start(&served, NULL);
  struct fcache *idle = open_and_hit();
  json_int_t others = dead_regions(); /* of other tests, at the same time */
  harness_kill9(&served);
  harness_start(&served, NULL);
  const char *const argv[] = {harness_fcachectl(), "-S", served.socket, "stats", NULL};
  if (others == 0) {
    char *out = ctl_printed(argv);
    (void)snprintf(text, sizeof text, "%s", out);
    free(out);
    (void)snprintf(pid, sizeof pid, "by process %d", (int)getpid());
    ck_assert_int_ge(dead_regions(), 1);
    ck_assert_ptr_nonnull(strstr(text, "dead regions     "));
    if (strstr(text, "dead regions     1 ") != NULL) { /* else another test has made one by now */
      ck_assert_ptr_nonnull(strstr(text, "dead regions     1 (up to 266 MiB), mapped by process "));
      ck_assert_ptr_nonnull(strstr(text, pid));
    }
  } else {
    printf("skipped: others keep %lld regions\n", (long long)others);
  }
  fcache_close(idle);
}
END_TEST

START_TEST(dead_regions_reported_at_failed_start) {
  char path[HARNESS_PATH_SIZE + 8], *err;

  harness_start(&served, NULL);
  struct fcache *idle = open_and_hit();
  harness_kill9(&served);
  (void)snprintf(path, sizeof path, "%.90s/t", served.dir);
  const char *const argv[] = {harness_fcached(), "--socket", path, "--max-bytes", "100T", NULL};
  ck_assert_int_eq(harness_run(argv, NULL, &err), 1);
  ck_assert_ptr_nonnull(strstr(err, "not enough memory"));
  ck_assert_ptr_nonnull(strstr(err, "of daemons that exited or belong to another user"));
  free(err);
  fcache_close(idle);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("dead regions");
  TCase *tcase = tcase_create("daemon");

  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, NULL, stop);
  tcase_add_test(tcase, fork_child_has_no_mapping);
  tcase_add_test(tcase, fork_child_closes_handle_unmaps_nothing);
  tcase_add_loop_test(tcase, region_dead_any_call_unmaps, 0, 6);
  tcase_add_test(tcase, dead_regions_reported_in_stats);
  tcase_add_test(tcase, dead_regions_reported_at_failed_start);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
