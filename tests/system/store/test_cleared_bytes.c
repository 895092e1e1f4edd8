/* The region after clears: once a clear is acknowledged, clients can read no byte of the values. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"

#define LARGE_BYTES (3u << 20) /* more than the sockets hold */
#define N_SIZES 6u
#define TIMEOUT_MS 20000u

/* A value repeats its mark. */
#define SECRET "\xf0secret\xf1"
#define KEPT                                                                                       \
  "\xf0"                                                                                           \
  "keptby\xf1"
#define MARK_BYTES 8u

static const uint32_t sizes[N_SIZES] = {8, 64, 1000, 40000, 300000, LARGE_BYTES};

static struct daemon served;
static struct raw watcher;
static const uint8_t *region;
static size_t region_bytes;

static void start(void) {
  harness_start(&served, "--max-bytes", "32M", "--max-namespaces", "2", NULL);
  raw_open_region(&watcher, served.socket, "watcher", "watched");
  region = raw_map_region(&watcher, &region_bytes);
  ck_assert_ptr_nonnull(region);
}

static void stop(void) {
  (void)munmap((void *)(uintptr_t)region, region_bytes);
  raw_close(&watcher);
  ck_assert_int_eq(harness_stop(&served), 0);
}

/* Counts the marks in the region. Not with memmem, for which AddressSanitizer checks the whole
 * range each time. */
static size_t count(const char *mark) {
  const uint8_t *at = region, *end = region + region_bytes - MARK_BYTES;
  size_t n = 0;

  while (at <= end) {
    bool found = *at == (uint8_t)mark[0] && memcmp(at, mark, MARK_BYTES) == 0;
    n += found;
    at += found ? MARK_BYTES : 1;
  }
  return n;
}

static size_t put(struct fcache *cache, const char *op, const char *view, const char *mark) {
  uint8_t *value = malloc(LARGE_BYTES);
  size_t marks = 0;

  ck_assert_ptr_nonnull(value);
  for (size_t i = 0; i < LARGE_BYTES; i++)
    value[i] = (uint8_t)mark[i % MARK_BYTES];
  for (uint32_t i = 0; i < N_SIZES; i++) {
    struct fcache_key key = library_key(op, view, "prompt", i);
    ck_assert_int_eq(fcache_put(cache, &key, value, sizes[i], 0, 0), FCACHE_OK);
    marks += sizes[i] / MARK_BYTES;
  }
  free(value);
  return marks;
}

static void clear(struct fcache *cache, const char *view, const char *op) {
  uint64_t removed;

  ck_assert_int_eq(fcache_clear(cache, view, op, &removed), FCACHE_OK);
  ck_assert_uint_eq(removed, N_SIZES);
}

START_TEST(clear_acknowledged_leaves_no_bytes) {
  struct fcache *cache = library_open(served.socket, "watched", NULL, 0);
  struct fcache *other = library_open(served.socket, "other", NULL, 0);
  size_t secrets = put(cache, "op", "base", SECRET), kept = put(cache, "op", "ft", KEPT);

  kept += put(other, "op", "base", KEPT);
  ck_assert_uint_eq(count(SECRET), secrets); /* as a client reads it: the marks can be found */
  clear(cache, "base", NULL);
  ck_assert_uint_eq(count(SECRET), 0);
  (void)put(cache, "secret", "base", SECRET);
  clear(cache, NULL, "secret");
  ck_assert_uint_eq(count(SECRET), 0);
  ck_assert_uint_eq(count(KEPT), kept);
  clear(cache, NULL, NULL);
  clear(other, NULL, NULL);
  ck_assert_uint_eq(count(KEPT), 0);
  fcache_close(cache);
  fcache_close(other);
}
END_TEST

static bool has_no_secret(void *arg) {
  (void)arg;
  return count(SECRET) == 0;
}

/* A third namespace has no room, so the one without clients is dropped. */
START_TEST(dropped_namespace_leaves_no_bytes) {
  struct fcache *cache = library_open(served.socket, "dropped", NULL, 0);

  (void)put(cache, "op", "base", SECRET);
  fcache_close(cache);
  struct fcache *present = library_open(served.socket, "watched", NULL, 0);
  library_wait_stat(present, "clients", 2);
  ck_assert_uint_gt(count(SECRET), 0);
  struct fcache *third = library_open(served.socket, "third", NULL, 0);
  ck_assert(harness_wait_until(has_no_secret, NULL, TIMEOUT_MS));
  fcache_close(third);
  fcache_close(present);
}
END_TEST

/* The value is sent from the region to a client that does not read. It is zeroed when the client
 * ends. */
START_TEST(clear_during_send_zeroes_afterwards) {
  struct fcache *cache = library_open(served.socket, "watched", NULL, 0);
  struct fc_key key = raw_key("op", "base", N_SIZES - 1, "prompt");
  struct fc_get get = {.flags = FC_UNRECORDED, .key = key};
  struct raw slow;
  uint32_t id;

  (void)put(cache, "op", "base", SECRET);
  raw_open(&slow, served.socket, "watched");
  ck_assert_int_eq(raw_send_get(&slow, &get, &id), 0);
  char byte; /* of the reply, so it is being sent */
  ck_assert_int_eq(recv(slow.fd, &byte, 1, MSG_PEEK), 1);
  clear(cache, NULL, NULL);
  ck_assert_uint_eq(count(SECRET), LARGE_BYTES / MARK_BYTES);
  raw_close(&slow);
  ck_assert(harness_wait_until(has_no_secret, NULL, TIMEOUT_MS));
  fcache_close(cache);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("cleared bytes");
  TCase *tcase = tcase_create("daemon");

  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, start, stop);
  tcase_add_test(tcase, clear_acknowledged_leaves_no_bytes);
  tcase_add_test(tcase, dropped_namespace_leaves_no_bytes);
  tcase_add_test(tcase, clear_during_send_zeroes_afterwards);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
