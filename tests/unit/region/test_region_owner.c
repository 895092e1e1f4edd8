/* The end of a region: readers detect an owner that was killed, and a retired region. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/lib/shm/region_reader.h"
#include "daemon/store/store.h"
#include "tests/support/keys.h"
#include "tests/support/private_store.h"
#include "tests/support/region_lookup.h"
#include "tests/support/runner.h"
#include "tests/support/shared_region.h"

/* A process that owns a region, and this process's mapping of it. */
struct owner {
  pid_t pid;
  struct region_reader map;
};

/* In the owner: sends a copy of the region's struct, and waits to be killed. */
static _Noreturn void live(void (*prepare)(struct region *region), int to) {
  struct region region;
  struct error_text why;
  if (region_writer_init(&region, SHARED_MAX_BYTES, SHARED_MAX_VALUE, SHARED_BOOT_ID, true, &why) !=
      0)
    _exit(1);
  prepare(&region);
  if (write(to, &region, sizeof region) != sizeof region)
    _exit(1);
  for (;;)
    pause();
}

static void start_owner(struct owner *owner, void (*prepare)(struct region *region)) {
  int ends[2];
  struct region theirs;
  ck_assert_int_eq(pipe(ends), 0);
  owner->pid = fork();
  if (owner->pid == 0) {
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* in case the test fails */
    live(prepare, ends[1]);
  }
  close(ends[1]);
  ck_assert_int_eq(read(ends[0], &theirs, sizeof theirs), sizeof theirs);
  close(ends[0]);
  ck_assert(shared_region_map_of(owner->pid, &theirs, &owner->map, SHARED_BOOT_ID));
}

static void kill_owner(const struct owner *owner) {
  ck_assert_int_eq(kill(owner->pid, SIGKILL), 0);
  ck_assert_int_eq(waitpid(owner->pid, NULL, 0), owner->pid);
}

static void prepare_nothing(struct region *region) {
  (void)region;
}

START_TEST(killed_owner_is_detected) {
  if (runner_lacks("robust mutexes"))
    return;
  struct owner owner;
  start_owner(&owner, prepare_nothing);
  ck_assert(region_reader_is_live(&owner.map));
  kill_owner(&owner);
  ck_assert(!region_reader_is_live(&owner.map));
  region_reader_unmap(&owner.map);
}
END_TEST

START_TEST(stopped_owner_is_alive) {
  if (runner_lacks("robust mutexes"))
    return;
  struct owner owner;
  int status;
  start_owner(&owner, prepare_nothing);
  ck_assert_int_eq(kill(owner.pid, SIGSTOP), 0);
  ck_assert_int_eq(waitpid(owner.pid, &status, WUNTRACED), owner.pid);
  ck_assert(WIFSTOPPED(status));
  ck_assert(region_reader_is_live(&owner.map));
  kill_owner(&owner);
  ck_assert(!region_reader_is_live(&owner.map));
  region_reader_unmap(&owner.map);
}
END_TEST

/* The namespace of both keys. */
#define NAMESPACE_ID 3u

static uint64_t digest_of(uint32_t n) {
  struct fc_key key = key_number(n);
  return fc_key_digest(NAMESPACE_ID, &key);
}

/* An owner that stores keys 1 and 2, and dies during a change of 2's bucket. */
static void prepare_half_a_window(struct region *region) {
  static struct store store;
  static struct namespace ns;
  struct store_put_info info = {.origin = 5, .compute_ns = 6};
  if (store_init(&store, region, private_catalog_new(region), SHARED_MAX_BYTES, SHARED_MAX_VALUE, 7,
                 8) != 0)
    _exit(1);
  namespace_init(&ns, fc_str_of("ns"), NAMESPACE_ID, 1);
  for (uint32_t n = 1; n <= 2; n++) {
    struct fc_key key = key_number(n);
    if (store_put(&store, &ns, &key, "value", 5, &info) != FC_STORED)
      _exit(1);
  }
  if (!region_writer_open(region, digest_of(2)))
    _exit(1);
}

static enum region_reader_result get(const struct region_reader *map, uint32_t n,
                                     struct fcache_value *value) {
  struct fc_key key = key_number(n);
  struct region_reader_hit hit = {0};
  enum region_reader_result result =
      region_lookup(map, NAMESPACE_ID, digest_of(n), &key, value, &hit);
  if (result == REGION_READER_HIT) {
    ck_assert_uint_eq(hit.compute_ns, 6);
    ck_assert_uint_eq((uint32_t)hit.origin, 5);
  }
  return result;
}

START_TEST(owner_dead_in_window_leaves_bucket_busy) {
  if (runner_lacks("robust mutexes"))
    return;
  struct owner owner;
  struct fcache_value value = {0};
  start_owner(&owner, prepare_half_a_window);
  ck_assert_int_eq(get(&owner.map, 2, &value), REGION_READER_BUSY);
  kill_owner(&owner);
  /* A lookup does not begin in a dead region; one that began before still ends. */
  ck_assert(!region_reader_is_live(&owner.map));
  ck_assert_int_eq(get(&owner.map, 2, &value), REGION_READER_BUSY);
  ck_assert_int_eq(get(&owner.map, 1, &value), REGION_READER_HIT);
  ck_assert_uint_eq(value.size, 5);
  ck_assert(memcmp(value.data, "value", 5) == 0);
  ck_assert_int_eq(get(&owner.map, 3, &value), REGION_READER_MISS);
  free(value.data);
  region_reader_unmap(&owner.map);
}
END_TEST

START_TEST(retired_region_serves_nothing) {
  struct region region;
  struct region_reader map;
  shared_region_open(&region);
  ck_assert(shared_region_map(&region, &map, SHARED_BOOT_ID));
  ck_assert(region_reader_is_live(&map));
  region_writer_retire(&region);
  ck_assert(!region_reader_is_live(&map));
  region_writer_deinit(&region);
  ck_assert(!region_reader_is_live(&map));
  region_reader_unmap(&map);
}
END_TEST

START_TEST(freed_region_is_detected) {
  struct region region;
  struct region_reader map;
  shared_region_open(&region);
  ck_assert(shared_region_map(&region, &map, SHARED_BOOT_ID));
  region_writer_deinit(&region);
  ck_assert_ptr_null(region.base);
  ck_assert_int_eq(region.index_fd, -1);
  ck_assert(!region_reader_is_live(&map));
  region_reader_unmap(&map);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("region_owner");
  TCase *tcase = tcase_create("region_owner");
  tcase_add_test(tcase, killed_owner_is_detected);
  tcase_add_test(tcase, stopped_owner_is_alive);
  tcase_add_test(tcase, owner_dead_in_window_leaves_bucket_busy);
  tcase_add_test(tcase, retired_region_serves_nothing);
  tcase_add_test(tcase, freed_region_is_detected);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
