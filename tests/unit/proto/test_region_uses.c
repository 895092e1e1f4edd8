/* Finds regions without a daemon in lines of /proc/PID/maps. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "proto/shm/region_uses.h"
#include "tests/support/runner.h"

static struct fc_region_uses uses;

static void reset(void) {
  memset(&uses, 0, sizeof uses);
}

static void add(long pid, const char *perms, unsigned long inode) {
  char line[256];
  snprintf(line, sizeof line,
           "7f0000000000-7f0000010000 %s 00000000 00:01 %lu   /memfd:fcached-region (deleted)\n",
           perms, inode);
  fc_region_uses_add(&uses, pid, line);
}

START_TEST(region_with_readers_alone_dead) {
  add(10, "rw-s", 5);
  add(11, "r--s", 5);
  add(11, "r--s", 6);
  add(12, "r--s", 6);
  ck_assert_uint_eq(uses.n, 2);
  fc_region_uses_keep_dead(&uses, 0);
  ck_assert_uint_eq(uses.n, 1);
  ck_assert_uint_eq(uses.list[0].inode, 6);
  ck_assert_uint_eq(uses.list[0].n_pids, 2);
  ck_assert_uint_eq(fc_region_uses_bytes(&uses), 0x10000);
}
END_TEST

static void add_segment(long pid, const char *perms, unsigned long inode, unsigned k) {
  char line[256];
  snprintf(line, sizeof line,
           "7f0000000000-7f0000002000 %s 00000000 00:01 %u   /memfd:fcached-segment-%lu-%u "
           "(deleted)\n",
           perms, 1000 + k, inode, k);
  fc_region_uses_add(&uses, pid, line);
}

START_TEST(files_of_region_counted_once_together) {
  char text[64];
  for (long pid = 11; pid < 13; pid++)
    for (unsigned twice = 0; twice < 2; twice++) { /* two handles */
      add(pid, "r--s", 6);
      for (unsigned k = 0; k < 64; k++)
        add_segment(pid, "r--s", 6, k);
    }
  add_segment(13, "r--s", 7, 63); /* its index is not mapped */
  ck_assert_uint_eq(uses.n, 2);
  ck_assert_uint_eq(uses.list[0].inode, 6);
  ck_assert_uint_eq(uses.list[0].bytes, 0x10000 + 64 * 0x2000);
  ck_assert_uint_eq(uses.list[0].n_pids, 2);
  ck_assert_uint_eq(uses.list[1].inode, 7);
  ck_assert_uint_eq(uses.list[1].bytes, 0x2000);
  fc_region_uses_pids(&uses, text, sizeof text);
  ck_assert_str_eq(text, "11, 12, 13");
  add_segment(14, "rw-s", 6, 0); /* the daemon */
  fc_region_uses_keep_dead(&uses, 0);
  ck_assert_uint_eq(uses.n, 1);
  ck_assert_uint_eq(uses.list[0].inode, 7);
}
END_TEST

START_TEST(region_known_to_live_not_dead) {
  add(11, "r--s", 6);
  add(11, "r--s", 7);
  fc_region_uses_keep_dead(&uses, 6);
  ck_assert_uint_eq(uses.n, 1);
  ck_assert_uint_eq(uses.list[0].inode, 7);
}
END_TEST

START_TEST(pids_repeated_listed_once) {
  char text[64], narrow[12];
  add(11, "r--s", 6);
  add(11, "r--s", 6);
  add(12, "r--s", 6);
  add(11, "r--s", 7);
  fc_region_uses_pids(&uses, text, sizeof text);
  ck_assert_str_eq(text, "11, 12");
  for (long pid = 20; pid < 30; pid++)
    add(pid, "r--s", 8);
  fc_region_uses_pids(&uses, text, sizeof text);
  ck_assert_str_eq(text, "11, 12, 20, 21, 22, 23, ...");
  fc_region_uses_pids(&uses, narrow, sizeof narrow);
  ck_assert_str_eq(narrow, "11, 12, ...");
}
END_TEST

static const char *const others[] = {
    "",
    "\n",
    "7f0000000000-7f0000010000 r--s 00000000 00:01 5",
    "7f0000000000-7f0000010000 r--s 00000000 00:01 5   /memfd:fcached-ring (deleted)\n",
    "7f0000000000-7f0000010000 r--s 00000000 00:01 5   /memfd:fcached-regionX (deleted)\n",
    "7f0000000000-7f0000010000 r--s 00000000 00:01 5   /tmp/memfd:fcached-region (deleted)\n",
    "7f0000010000-7f0000000000 r--s 00000000 00:01 5   /memfd:fcached-region (deleted)\n",
    "x-y r--s 00000000 00:01 5   /memfd:fcached-region (deleted)\n",
    "7f0000000000-7f0000010000 r--s 00000000 00:01 5   /memfd:fcached-segment (deleted)\n",
    "7f0000000000-7f0000010000 r--s 00000000 00:01 5   /memfd:fcached-segment- (deleted)\n",
    "7f0000000000-7f0000010000 r--s 00000000 00:01 5   /memfd:fcached-segment-7 (deleted)\n",
    "7f0000000000-7f0000010000 r--s 00000000 00:01 5   /memfd:fcached-segment-7- (deleted)\n",
    "7f0000000000-7f0000010000 r--s 00000000 00:01 5   /memfd:fcached-segment--7 (deleted)\n",
    "7f0000000000-7f0000010000 r--s 00000000 00:01 5   /memfd:fcached-segment-x-7 (deleted)\n",
    "7f0000000000-7f0000010000 r--s 00000000 00:01 5   /memfd:fcached-segment-7-64 (deleted)\n",
    "7f0000000000-7f0000010000 r--s 00000000 00:01 5   /memfd:fcached-segment-7--1 (deleted)\n",
    "7f0000000000-7f0000010000 r--s 00000000 00:01 5   /memfd:fcached-segment-7-1x (deleted)\n",
    "7f0000000000-7f0000010000 r--s 00000000 00:01 5   /memfd:fcached-segment-7-",
};

START_TEST(line_of_other_mapping_ignored) {
  fc_region_uses_add(&uses, 1, others[_i]);
  ck_assert_uint_eq(uses.n, 0);
}
END_TEST

START_TEST(regions_over_maximum_ignored) {
  for (unsigned long i = 1; i < 3 * FC_REGION_USES_MAX; i++)
    add((long)i, "r--s", i);
  ck_assert_uint_eq(uses.n, FC_REGION_USES_MAX);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("region_uses");
  TCase *tc = tcase_create("region_uses");
  tcase_add_checked_fixture(tc, reset, NULL);
  tcase_add_test(tc, region_with_readers_alone_dead);
  tcase_add_test(tc, files_of_region_counted_once_together);
  tcase_add_test(tc, region_known_to_live_not_dead);
  tcase_add_test(tc, pids_repeated_listed_once);
  tcase_add_loop_test(tc, line_of_other_mapping_ignored, 0, sizeof others / sizeof others[0]);
  tcase_add_test(tc, regions_over_maximum_ignored);
  suite_add_tcase(suite, tc);
  return runner_run(suite);
}
