#include "daemon/os/id_map.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/runner.h"

static char root[64]; /* a tree that looks like / */
static const char *const directories[] = {"/proc", "/proc/self", "/proc/sys", "/proc/sys/kernel"};
static const char *const files[] = {"/proc/self/uid_map", "/proc/self/gid_map",
                                    "/proc/sys/kernel/overflowuid", "/proc/sys/kernel/overflowgid"};

static void path_of(char path[128], const char *name) {
  (void)snprintf(path, 128, "%s%s", root, name);
}

static void make_root(void) {
  char path[128];
  strcpy(root, "/tmp/fcached-test-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(root));
  for (size_t i = 0; i < 4; i++) {
    path_of(path, directories[i]);
    ck_assert_int_eq(mkdir(path, 0700), 0);
  }
}

static void remove_root(void) {
  char path[128];
  for (size_t i = 0; i < 4; i++) {
    path_of(path, files[i]);
    (void)unlink(path); /* a test may not have written it */
  }
  for (size_t i = 4; i-- > 0;) {
    path_of(path, directories[i]);
    ck_assert_int_eq(rmdir(path), 0);
  }
  ck_assert_int_eq(rmdir(root), 0);
}

static void put(size_t i, const char *text) {
  char path[128];
  path_of(path, files[i]);
  FILE *file = fopen(path, "w");
  ck_assert_ptr_nonnull(file);
  ck_assert_int_ge(fputs(text, file), 0);
  ck_assert_int_eq(fclose(file), 0);
}

START_TEST(id_map_whole_or_partial_recognised) {
  static const struct {
    const char *text;
    bool partial;
  } cases[] = {
      {"         0          0 4294967295\n", false},
      {"         0          0 1000\n      1000 2000 4294966295\n", false},
      {"         0     100000      65536\n", true},
      {"      1000       1000          1\n", true},
      {"", true}, /* of a new namespace */
      {"nonsense\n", true},
      {"0 0 4294967296\n", true},
      {"0 0\n", true},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct id_map map;
    put(0, cases[i].text);
    put(1, cases[i].text);
    put(2, "65534\n");
    put(3, "4242\n");
    id_map_read(&map, root);
    ck_assert_msg(map.uids_partial == cases[i].partial, "%s", cases[i].text);
    ck_assert_msg(map.gids_partial == cases[i].partial, "%s", cases[i].text);
    ck_assert_uint_eq(map.overflow_uid, 65534);
    ck_assert_uint_eq(map.overflow_gid, 4242);
    ck_assert(id_map_knows_uid(&map, 65534) == !cases[i].partial);
    ck_assert(id_map_knows_gid(&map, 4242) == !cases[i].partial);
    ck_assert(id_map_knows_uid(&map, 0) && id_map_knows_gid(&map, 65534));
  }
}
END_TEST

START_TEST(id_map_unreadable_is_partial) {
  struct id_map map;
  id_map_read(&map, root);
  ck_assert(map.uids_partial && map.gids_partial);
  ck_assert(!id_map_knows_uid(&map, 65534) && !id_map_knows_gid(&map, 65534));
  ck_assert(id_map_knows_uid(&map, 1000));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("id_map");
  TCase *tests = tcase_create("id_map");
  tcase_add_checked_fixture(tests, make_root, remove_root);
  tcase_add_test(tests, id_map_whole_or_partial_recognised);
  tcase_add_test(tests, id_map_unreadable_is_partial);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
