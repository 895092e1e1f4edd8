/* The memory of entries is in the region, whatever the order of their sizes. None is beside it, and
 * none is lost for later values. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/sanitizer.h"

#define MAX_BYTES (32u << 20)
#define LARGE (256u << 10)
#define BATCH 4000u
/* For everything beside entries: messages and libraries. */
#define ALLOWANCE_KB 6144u

static struct daemon served;
static struct fcache *cache;

static void stop(void) {
  ck_assert_int_eq(harness_stop(&served), 0);
}

static size_t status_kb(const char *status, const char *field) {
  const char *line = strstr(status, field);
  ck_assert_ptr_nonnull(line);
  return strtoul(line + strlen(field), NULL, 10);
}

/* Returns the resident memory of the daemon, private and of the region, without pages of files. */
static size_t resident_kb(void) {
  char path[64];
  (void)snprintf(path, sizeof path, "/proc/%d/status", (int)served.pid);
  char *status = harness_read_file(path, NULL);
  ck_assert_ptr_nonnull(status);
  size_t kb = status_kb(status, "\nRssAnon:") + status_kb(status, "\nRssShmem:");
  free(status);
  return kb;
}

static void check_memory(const char *after) {
  size_t most_kb = library_stat(cache, "region_bytes") / 1024 + ALLOWANCE_KB;
  size_t kb = resident_kb();
  ck_assert_msg(kb <= most_kb, "%zu KiB are resident after %s: more than %zu", kb, after, most_kb);
  uint64_t bytes = library_stat(cache, "bytes");
  ck_assert_msg(bytes >= MAX_BYTES / 100 * 97 && bytes <= MAX_BYTES,
                "%ju bytes are stored after %s", (uintmax_t)bytes, after);
}

/* Puts values until all earlier ones are evicted. */
static void fill(size_t size, size_t n) {
  static uint8_t bytes[LARGE];
  static struct fcache_hash prompts[BATCH];
  static struct fcache_bytes values[BATCH];
  static uint64_t number;
  size_t in_one = size == 0 ? BATCH : 4;
  for (size_t i = 0; i < in_one; i++)
    values[i] = (struct fcache_bytes){.data = bytes, .size = size};
  for (size_t done = 0; done < n; done += in_one) {
    for (size_t i = 0; i < in_one; i++, number++)
      prompts[i] = fcache_hash(&number, sizeof number);
    ck_assert_int_eq(
        fcache_put_many(cache, "op", "view", 0, prompts, values, in_one, 0, FCACHE_UNRECORDED),
        FCACHE_OK);
  }
}

START_TEST(memory_of_entries_within_region) {
  if (SANITIZER_SLOW) {
    printf("skipped: a sanitizer's own memory is part of what is resident\n");
    return;
  }
  harness_start(&served, "--max-bytes", "32M", NULL);
  cache = library_open(served.socket, "ns", NULL, 0);
  fill(LARGE, 2 * MAX_BYTES / LARGE);
  check_memory("large values");
  for (int i = 0; i < 2; i++) {
    fill(0, 2 * MAX_BYTES / 208);
    check_memory("empty values");
    fill(LARGE, 2 * MAX_BYTES / LARGE);
    check_memory("large values after empty ones");
  }
  fcache_close(cache);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("entry_memory");
  TCase *tcase = tcase_create("all");
  tcase_add_checked_fixture(tcase, NULL, stop);
  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, memory_of_entries_within_region);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
