/* The memory of a region: committed in steps, refused, private, or too large. */
#include <check.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/errors.h"
#include "proto/shm/reserve.h"
#include "tests/support/runner.h"
#include "tests/support/shared_region.h"

#define LARGEST (UINT64_C(1) << 50) /* the largest --max-bytes */

static uint64_t file_bytes(const struct region *region) {
  int fds[FC_REGION_FDS_MAX];
  unsigned n = region_writer_fds(region, fds);
  uint64_t bytes = 0;
  for (unsigned i = 0; i < n; i++) {
    struct stat status;
    ck_assert_int_eq(fstat(fds[i], &status), 0);
    bytes += (uint64_t)status.st_blocks * 512;
  }
  return bytes;
}

START_TEST(memory_committed_in_steps) {
  const uint64_t step = 1u << 20;
  struct region region;
  shared_region_open(&region);
  uint64_t head = region.index_bytes;
  ck_assert_uint_eq(file_bytes(&region), head);
  ck_assert(region_writer_commit(&region, 1));
  ck_assert_uint_eq(file_bytes(&region), head + step);
  ck_assert(region_writer_commit(&region, step));
  ck_assert_uint_eq(file_bytes(&region), head + step);
  ck_assert(region_writer_commit(&region, step + 1));
  ck_assert_uint_eq(file_bytes(&region), head + 2 * step);
  ck_assert(region_writer_commit(&region, region.arena_size));
  ck_assert_uint_eq(file_bytes(&region), head + region.arena_size);
  region_writer_deinit(&region);
}
END_TEST

/* A commit may begin in one segment and end in another. */
START_TEST(segments_committed_one_after_another) {
  struct region region;
  struct error_text why;
  int fds[FC_REGION_FDS_MAX];
  ck_assert_int_eq(region_writer_init(&region, 70u << 20, SHARED_MAX_VALUE, 1, true, &why), 0);
  unsigned n = region_writer_fds(&region, fds);
  ck_assert_uint_eq(n, 1 + region.n_segments);
  ck_assert_uint_lt(region.segment_bytes, 3000001);
  for (uint64_t bytes = 1; bytes <= region.arena_size; bytes += 3000001) {
    uint64_t left;
    ck_assert(region_writer_commit(&region, bytes));
    ck_assert_uint_eq(file_bytes(&region), region.index_bytes + region.committed_bytes);
    left = region.committed_bytes;
    for (unsigned i = 1; i < n; i++) { /* each is full before the next one begins */
      struct stat status;
      ck_assert_int_eq(fstat(fds[i], &status), 0);
      uint64_t size = (uint64_t)status.st_size, want = left < size ? left : size;
      ck_assert_uint_eq((uint64_t)status.st_blocks * 512, want);
      left -= want;
    }
  }
  memset(region.base + region.arena_offset, 0x5a, region.committed_bytes); /* no SIGBUS */
  region_writer_deinit(&region);
}
END_TEST

/* Returns the bytes of the region's arena that this process has mapped as huge pages. */
static uint64_t huge_bytes(const struct region *region) {
  const uintptr_t begin = (uintptr_t)region->base + region->arena_offset,
                  end = begin + region->arena_size;
  FILE *maps = fopen("/proc/self/smaps", "r");
  char line[512];
  bool is_within = false;
  uint64_t sum = 0;
  ck_assert_ptr_nonnull(maps);
  while (fgets(line, sizeof line, maps) != NULL) {
    char *rest;
    uintptr_t from = strtoull(line, &rest, 16);
    if (*rest == '-' && rest != line)
      is_within = from >= begin && from < end;
    else if (is_within && strncmp(line, "ShmemPmdMapped:", 15) == 0)
      sum += strtoull(line + 15, NULL, 10) * 1024;
  }
  ck_assert_int_eq(fclose(maps), 0);
  return sum;
}

/* 0: as the kernel has it. 1: as if it had huge pages, of which it gives none where it has none.
 * The files never have more memory than was counted, in whole steps or cut by the budget. */
START_TEST(huge_pages_within_count) {
  struct region region;
  struct error_text why;
  ck_assert_int_eq(region_writer_init(&region, 70u << 20, SHARED_MAX_VALUE, 1, true, &why), 0);
  bool found = region.has_huge_pages;
  if (_i == 1) {
    region.has_huge_pages = true;
    region.step_bytes = FC_HUGE_PAGE;
  }
  ck_assert_uint_eq(region.step_bytes, region.has_huge_pages ? FC_HUGE_PAGE : 1u << 20);
  ck_assert_uint_eq(file_bytes(&region), region.index_bytes);
  ck_assert(region_writer_commit(&region, 1));
  ck_assert_uint_eq(region.committed_bytes, region.step_bytes);
  ck_assert_uint_eq(file_bytes(&region), region.index_bytes + region.step_bytes);
  region.other_bytes = region.arena_size - 7 * (FC_HUGE_PAGE / 2) - 4096;
  ck_assert(region_writer_commit(&region, 3 * FC_HUGE_PAGE + 1));
  ck_assert_uint_eq(region.committed_bytes, 7 * (FC_HUGE_PAGE / 2) + (_i == 1 || found ? 4096 : 0));
  ck_assert_uint_eq(file_bytes(&region), region.index_bytes + region.committed_bytes);
  region.other_bytes = 0;
  for (uint64_t bytes = 1; bytes < region.arena_size; bytes += 900001) {
    ck_assert(region_writer_commit(&region, bytes));
    ck_assert_uint_eq(file_bytes(&region), region.index_bytes + region.committed_bytes);
  }
  ck_assert(region_writer_commit(&region, region.arena_size));
  memset(region.base + region.arena_offset, 0x5a, region.arena_size); /* no SIGBUS */
  if (found) /* all but the cut one, and the end of the arena */
    ck_assert_uint_ge(huge_bytes(&region), region.arena_size - 4 * FC_HUGE_PAGE);
  else
    printf("skipped: mapped huge pages: the kernel gives none to shared memory\n");
  region_writer_deinit(&region);
}
END_TEST

/* Of memory that may be shared, or private. */
START_TEST(commit_over_budget_refused) {
  const uint64_t step = 1u << 20;
  struct region region;
  struct error_text why;
  ck_assert_int_eq(region_writer_init(&region, SHARED_MAX_BYTES, 1, 1, _i != 0, &why), 0);
  ck_assert_uint_eq(region.budget_bytes, region.arena_size);
  ck_assert_uint_eq(region.other_bytes, 0);
  region.other_bytes = region.arena_size - 2 * step - 4096;
  ck_assert(region_writer_commit(&region, 1));
  ck_assert(region_writer_commit(&region, step + 1));
  ck_assert(!region_writer_commit(&region, 2 * step + 4097));
  ck_assert_uint_eq(region.committed_bytes, 2 * step);
  ck_assert(region_writer_commit(&region, 2 * step + 4096)); /* a step that is cut */
  ck_assert_uint_eq(region.committed_bytes, 2 * step + 4096);
  region.other_bytes = UINT64_MAX;
  ck_assert(region_writer_commit(&region, region.committed_bytes)); /* it stays */
  ck_assert(!region_writer_commit(&region, region.committed_bytes + 1));
  region.other_bytes = 0;
  region.budget_bytes = UINT64_MAX;
  ck_assert(region_writer_commit(&region, region.arena_size));
  ck_assert_uint_eq(region.committed_bytes, region.arena_size);
  region_writer_deinit(&region);
}
END_TEST

/* Makes a system call fail with that error from now on, in this process. Returns false if the
 * system does not allow it. */
static bool forbid(uint32_t call, uint32_t error) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {.len = sizeof filter / sizeof filter[0], .filter = filter};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

#define IMPOSSIBLE 77 /* exit status: the error could not be arranged */

/* Runs a function in a child. It returns 0, or the line of the failed condition. */
static void check_in_child(int (*run)(void)) {
  fflush(NULL);
  pid_t child = fork();
  if (child == 0)
    _exit(run());
  int end = 0;
  ck_assert_int_eq(waitpid(child, &end, 0), child);
  ck_assert(WIFEXITED(end));
  if (WEXITSTATUS(end) == IMPOSSIBLE)
    printf("skipped: system calls that fail: seccomp is not available\n");
  else
    ck_assert_int_eq(WEXITSTATUS(end), 0);
}

static int commit_without_memory(void) {
  struct region region;
  struct error_text why;
  if (region_writer_init(&region, SHARED_MAX_BYTES, SHARED_MAX_VALUE, SHARED_BOOT_ID, true, &why) !=
          0 ||
      region.index_fd < 0 || !region_writer_commit(&region, 1))
    return 1;
  if (!forbid(SYS_fallocate, ENOSPC))
    return IMPOSSIBLE;
  uint64_t committed = region.committed_bytes;
  if (!region_writer_commit(&region, committed)) /* already committed */
    return 2;
  if (region_writer_commit(&region, committed + 1) ||
      region_writer_commit(&region, region.arena_size))
    return 3;
  if (region.committed_bytes != committed)
    return 4;
  region_writer_deinit(&region);
  return 0;
}

START_TEST(commit_without_memory_refused) {
  check_in_child(commit_without_memory);
}
END_TEST

/* It serves as before, for the daemon only. */
static int check_private(void) {
  struct region region;
  struct error_text why = {0};
  if (region_writer_init(&region, SHARED_MAX_BYTES, SHARED_MAX_VALUE, SHARED_BOOT_ID, true, &why) !=
      0)
    return 1;
  if (region.index_fd != -1 || region.base == NULL ||
      strstr(why.text, "no shared memory hits") == NULL)
    return 2;
  if (!region_writer_commit(&region, region.arena_size) || !region_writer_open(&region, 1))
    return 3;
  region_writer_link(&region, 1, region_writer_at(&region, region.arena_offset));
  region_writer_close(&region, 1);
  if (region_writer_first(&region, 1) != region_writer_at(&region, region.arena_offset))
    return 4;
  region_writer_deinit(&region);
  return 0;
}

static int without_memfd(void) {
  return forbid(SYS_memfd_create, ENOSYS) ? check_private() : IMPOSSIBLE;
}
static int without_memory(void) {
  return forbid(SYS_fallocate, ENOSPC) ? check_private() : IMPOSSIBLE;
}
static int without_seals(void) {
  return forbid(SYS_fcntl, EINVAL) ? check_private() : IMPOSSIBLE;
}
static int without_descriptors(void) { /* for some of the files */
  struct rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return IMPOSSIBLE;
  limit.rlim_cur = (rlim_t)dup(STDERR_FILENO) + 3;
  return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? check_private() : IMPOSSIBLE;
}
static int with_small_files_only(void) {
  struct rlimit limit = {.rlim_cur = 4096, .rlim_max = 4096};
  if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &limit) != 0)
    return IMPOSSIBLE;
  return check_private();
}

START_TEST(region_without_memfd_is_private) {
  check_in_child(without_memfd);
  check_in_child(without_memory);
  check_in_child(without_seals);
  check_in_child(without_descriptors);
  check_in_child(with_small_files_only);
}
END_TEST

START_TEST(region_not_shared_is_private) {
  struct region region;
  struct error_text why = {0};
  ck_assert_int_eq(
      region_writer_init(&region, SHARED_MAX_BYTES, SHARED_MAX_VALUE, SHARED_BOOT_ID, false, &why),
      0);
  ck_assert_int_eq(region.index_fd, -1);
  ck_assert_str_eq(why.text, "");
  ck_assert(region_writer_commit(&region, region.arena_size));
  region_writer_deinit(&region);
}
END_TEST

START_TEST(region_larger_than_memory_refused) {
  struct region region;
  struct error_text why = {0};
  ck_assert_int_eq(
      region_writer_init(&region, UINT64_C(1) << 60, SHARED_MAX_VALUE, SHARED_BOOT_ID, false, &why),
      FC_ENOMEM);
  ck_assert_ptr_nonnull(strstr(why.text, "--max-bytes"));
  region_writer_deinit(&region);
}
END_TEST

/* The address space is too small, so it fails before memory is requested. */
START_TEST(region_of_largest_size_refused) {
  struct region region;
  struct error_text why = {0};
  bool shared = _i != 0;
  ck_assert_int_eq(region_writer_init(&region, LARGEST, 1 << 20, 1, shared, &why), FC_ENOMEM);
  ck_assert_ptr_nonnull(strstr(why.text, "1125899906842624"));
  ck_assert_ptr_nonnull(strstr(why.text, "--max-bytes"));
  ck_assert_int_eq(region.index_fd, -1);
  ck_assert_ptr_null(region.base);
  region_writer_deinit(&region); /* idempotent */
}
END_TEST

/* 64 GiB of buckets, and an arena with a 64th more than the entries. */
START_TEST(overhead_of_largest_size_computed) {
  uint64_t overhead = region_writer_overhead_bytes(LARGEST);
  ck_assert_uint_ge(overhead, (UINT64_C(64) << 30) + (LARGEST >> 6));
  ck_assert_uint_le(overhead, (UINT64_C(65) << 30) + (LARGEST >> 6));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("region_memory");
  TCase *tcase = tcase_create("region_memory");
  tcase_add_test(tcase, memory_committed_in_steps);
  tcase_add_test(tcase, segments_committed_one_after_another);
  tcase_add_loop_test(tcase, huge_pages_within_count, 0, 2);
  tcase_add_loop_test(tcase, commit_over_budget_refused, 0, 2);
  tcase_add_test(tcase, commit_without_memory_refused);
  tcase_add_test(tcase, region_without_memfd_is_private);
  tcase_add_test(tcase, region_not_shared_is_private);
  tcase_add_test(tcase, region_larger_than_memory_refused);
  tcase_add_loop_test(tcase, region_of_largest_size_refused, 0, 2);
  tcase_add_test(tcase, overhead_of_largest_size_computed);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
