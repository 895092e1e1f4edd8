#include "daemon/memory_check.h"
#include "proto/errors.h"
#include "tests/support/runner.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char root[64];       /* a tree that looks like / */
static uint64_t held_bytes; /* of the daemon before */

static void make_root(void) {
  strcpy(root, "/tmp/fcached-test-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(root));
  held_bytes = 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
  (void)st, (void)type, (void)ftw;
  return remove(path);
}

static void remove_root(void) {
  ck_assert_int_eq(nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

/* Writes `text` to root + path, and creates its directories. */
static void put(const char *path, const char *text) {
  char full[512];
  snprintf(full, sizeof full, "%s%s", root, path);
  for (char *slash = strchr(full + strlen(root) + 1, '/'); slash != NULL;
       slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    (void)mkdir(full, 0755);
    *slash = '/';
  }
  FILE *file = fopen(full, "w");
  ck_assert_ptr_nonnull(file);
  ck_assert_int_ge(fputs(text, file), 0);
  ck_assert_int_eq(fclose(file), 0);
}

/* 360 MiB */
static const struct memory_amounts bounds = {{[MEMORY_REGION] = 264u << 20,
                                              [MEMORY_MESSAGES] = 60u << 20,
                                              [MEMORY_SOCKETS] = 4u << 20,
                                              [MEMORY_RINGS] = 12u << 20,
                                              [MEMORY_CLIENTS] = 1u << 20,
                                              [MEMORY_NAMESPACES] = 4u << 20,
                                              [MEMORY_LEASES] = 3u << 20,
                                              [MEMORY_TRACE] = 8u << 20,
                                              [MEMORY_DAEMON] = 4u << 20}};
static struct error_text error;

static int check(void) {
  memset(&error, 0, sizeof error);
  return memory_check(&bounds, held_bytes, root, &error);
}

/* 200 MiB of the 360 are held. Each limit leaves 160 MiB beside them, or 8 KiB less. */
START_TEST(memory_check_held_memory_counts_once) {
  static const struct {
    const char *path, *enough, *less;
  } rows[] = {
      {"/proc/meminfo", "MemAvailable:     163840 kB\n", "MemAvailable:     163832 kB\n"},
      {"/sys/fs/cgroup/a/memory.max", "377487360\n", "377479168\n"},
      {"/sys/fs/cgroup/memory.max", "377491456\n", "377483264\n"},
  };
  held_bytes = 200u << 20;
  put("/proc/self/cgroup", "0::/a\n");
  put("/sys/fs/cgroup/a/memory.current", "1048576\n"); /* a new group: the held bytes are above */
  put("/sys/fs/cgroup/memory.current", "209719296\n"); /* and 4 KiB of other processes */
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    put(rows[i].path, rows[i].enough);
    ck_assert_msg(check() == 0, "%s: %s", rows[i].path, error.text);
    put(rows[i].path, rows[i].less);
    ck_assert_int_eq(check(), FC_ENOMEM);
    put(rows[i].path, rows[i].enough);
  }
  held_bytes = 500u << 20; /* more than the options allow: a restart with a smaller limit */
  ck_assert_int_eq(check(), 0);
}
END_TEST

START_TEST(memory_check_without_files_has_no_limit) {
  ck_assert_int_eq(check(), 0);
}
END_TEST

START_TEST(memory_check_v2_tightest_ancestor_counts) {
  put("/proc/self/cgroup", "0::/a.slice/b.service\n");
  put("/sys/fs/cgroup/a.slice/b.service/memory.max", "max\n");
  put("/sys/fs/cgroup/a.slice/memory.max", "400000000\n");
  ck_assert_int_eq(check(), 0);
  put("/sys/fs/cgroup/a.slice/memory.max", "300000000\n");
  ck_assert_int_eq(check(), FC_ENOMEM);
  ck_assert_ptr_nonnull(strstr(error.text, "300000000 bytes"));
  ck_assert_ptr_nonnull(strstr(error.text, "377487360 bytes"));
  ck_assert_ptr_nonnull(strstr(
      error.text, "region 264 MiB (--max-bytes), messages 60 MiB (--client-budget), sockets 4 MiB "
                  "(--client-budget and --max-clients), rings 12 MiB (--client-budget), clients "
                  "1 MiB (--max-clients), namespaces 4 MiB (--max-namespaces), leases 3 MiB "
                  "(--max-leases), trace 8 MiB, daemon 4 MiB"));
  ck_assert_ptr_nonnull(strstr(error.text, "/sys/fs/cgroup/a.slice/memory.max"));
  ck_assert_ptr_nonnull(strstr(error.text, "lower --max-bytes, or raise that limit"));
  put("/sys/fs/cgroup/memory.max", "1000\n"); /* and of the mount itself, as in a container */
  ck_assert_int_eq(check(), FC_ENOMEM);
  ck_assert_ptr_nonnull(strstr(error.text, "(1000 bytes)"));
}
END_TEST

START_TEST(memory_check_exact_limit_passes) {
  put("/proc/self/cgroup", "0::/\n");
  put("/sys/fs/cgroup/memory.max", "377487360\n");
  ck_assert_int_eq(check(), 0);
  put("/sys/fs/cgroup/memory.max", "352321535\n");
  ck_assert_int_eq(check(), FC_ENOMEM);
}
END_TEST

START_TEST(memory_check_v1_controller_counts) {
  put("/proc/self/cgroup", "12:cpu,cpuacct:/x\n5:hugetlb,memory:/docker/abc\n1:name=systemd:/y\n");
  put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  ck_assert_int_eq(check(), 0);
  put("/sys/fs/cgroup/memory/docker/memory.limit_in_bytes", "104857600\n");
  ck_assert_int_eq(check(), FC_ENOMEM);
  ck_assert_ptr_nonnull(strstr(error.text, "100 MiB"));
}
END_TEST

/* Memory in use is not available, except for file pages and slabs, which can be reclaimed. */
START_TEST(memory_check_v2_memory_in_use_counts) {
  put("/proc/self/cgroup", "0::/a.slice/b.service\n");
  put("/sys/fs/cgroup/a.slice/memory.max", "629145600\n");
  put("/sys/fs/cgroup/a.slice/memory.current", "524288000\n");
  ck_assert_int_eq(check(), FC_ENOMEM);
  ck_assert_ptr_nonnull(strstr(error.text, "100 MiB (104857600 bytes) are left of the 600 MiB "));
  ck_assert_ptr_nonnull(strstr(error.text, "/sys/fs/cgroup/a.slice/memory.max, where 500 MiB "));
  put("/sys/fs/cgroup/a.slice/memory.stat",
      "anon 1\nfile 500000000\nshmem 200000000\nactive_file 100000000\ninactive_file 100000000\n"
      "slab_reclaimable 72521439\nslab 99999999999\n");
  ck_assert_int_eq(check(), FC_ENOMEM);
  ck_assert_ptr_nonnull(strstr(error.text, "(377379039 bytes)"));
  put("/sys/fs/cgroup/a.slice/memory.stat",
      "inactive_file 100000000\nactive_file 100000000\nslab_reclaimable 72629760\n");
  ck_assert_int_eq(check(), 0);
  put("/sys/fs/cgroup/a.slice/b.service/memory.max", "500000000\n"); /* our own group */
  put("/sys/fs/cgroup/a.slice/b.service/memory.current", "200000000\n");
  ck_assert_int_eq(check(), FC_ENOMEM);
  ck_assert_ptr_nonnull(strstr(error.text, "(300000000 bytes)"));
  put("/sys/fs/cgroup/a.slice/b.service/memory.current",
      "600000000\n"); /* above the limit, as after it was lowered */
  ck_assert_int_eq(check(), FC_ENOMEM);
  ck_assert_ptr_nonnull(strstr(error.text, "(0 bytes)"));
}
END_TEST

START_TEST(memory_check_v1_memory_in_use_counts) {
  put("/proc/self/cgroup", "4:memory:/x\n");
  put("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "629145600\n");
  put("/sys/fs/cgroup/memory/x/memory.usage_in_bytes", "524288000\n");
  ck_assert_int_eq(check(), FC_ENOMEM);
  ck_assert_ptr_nonnull(strstr(error.text, "(104857600 bytes)"));
  put("/sys/fs/cgroup/memory/x/memory.stat",
      "inactive_file 999999999\ntotal_inactive_file 272629760\ntotal_active_file 0\n");
  ck_assert_int_eq(check(), 0);
}
END_TEST

START_TEST(memory_check_path_outside_the_mount_ignored) {
  put("/proc/self/cgroup", "0::/../../other\n");
  put("/sys/fs/cgroup/memory.max", "1000\n");
  ck_assert_int_eq(check(), FC_ENOMEM);
}
END_TEST

START_TEST(memory_check_available_memory_counts) {
  put("/proc/meminfo", "MemTotal:  8000000 kB\nMemFree: 1 kB\nMemAvailable:     400000 kB\n");
  ck_assert_int_eq(check(), 0);
  put("/proc/meminfo", "MemTotal:  8000000 kB\nMemAvailable:     100000 kB\n");
  ck_assert_int_eq(check(), FC_ENOMEM);
  ck_assert_ptr_nonnull(strstr(error.text, "102400000 bytes"));
  ck_assert_ptr_nonnull(strstr(error.text, "free some memory"));
}
END_TEST

static const char *const odd_groups[] = {
    "",
    "\n\n\n",
    ":",
    "::",
    "0:",
    "0::",
    "0::relative\n",
    "garbage\n",
    ":::::::",
    "0::/\n0::/\n",
    "5:,,,:/\n",
    "0::////\n",
    "0::/ \xff\xfe/\n",
};

START_TEST(memory_check_malformed_group_file_ignored) {
  put("/proc/self/cgroup", odd_groups[_i]);
  ck_assert_int_eq(check(), 0);
}
END_TEST

static const char *const odd_limits[] = {
    "", "max", "-1", "x", " 5", "5x", "99999999999999999999999999", "0x5", "\n5", "1e3",
};

START_TEST(memory_check_malformed_limit_file_ignored) {
  put("/proc/self/cgroup", "0::/x\n");
  put("/sys/fs/cgroup/memory.max", odd_limits[_i]);
  put("/sys/fs/cgroup/x/memory.max", "400000000\n");
  put("/sys/fs/cgroup/x/memory.current", odd_limits[_i]);
  put("/sys/fs/cgroup/x/memory.stat", odd_limits[_i]);
  put("/proc/meminfo", "MemAvailable: 99999999999999999999 kB\nMemAvailable: x\n");
  ck_assert_int_eq(check(), 0);
}
END_TEST

START_TEST(memory_check_long_and_irregular_files_ignored) {
  char line[9000] = "0::/", path[128];
  memset(line + 4, 'x', sizeof line - 5);
  line[sizeof line - 1] = '\0';
  put("/proc/self/cgroup", line);
  ck_assert_int_eq(check(), 0);
  put("/proc/self/cgroup", "0::/\n");
  put("/sys/fs/cgroup/x", "");
  snprintf(path, sizeof path, "%s/sys/fs/cgroup/memory.max", root);
  ck_assert_int_eq(mkfifo(path, 0600), 0); /* would block an open for reading */
  ck_assert_int_eq(check(), 0);
  ck_assert_int_eq(unlink(path), 0);
  ck_assert_int_eq(mkdir(path, 0700), 0);
  ck_assert_int_eq(check(), 0);
}
END_TEST

START_TEST(memory_check_overflowing_sum_refused) {
  struct memory_amounts huge = {{UINT64_MAX, UINT64_MAX, UINT64_MAX}};
  put("/proc/self/cgroup", "0::/\n");
  put("/sys/fs/cgroup/memory.max", "18446744073709551614\n");
  ck_assert_int_eq(memory_check(&huge, 0, root, &error), FC_ENOMEM);
}
END_TEST

START_TEST(memory_check_rlimit_counts) {
  if (runner_lacks("limits of memory"))
    return;
  int status;
  pid_t pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0) {
    struct rlimit limit;
    getrlimit(RLIMIT_DATA, &limit);
    limit.rlim_cur = 100u << 20;
    setrlimit(RLIMIT_DATA, &limit);
    _exit(check() == FC_ENOMEM && strstr(error.text, "RLIMIT_DATA") != NULL &&
                  strstr(error.text, "100 MiB (104857600 bytes)") != NULL
              ? 0
              : 1);
  }
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert_int_eq(status, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("memory");
  TCase *tc = tcase_create("memory");
  tcase_add_checked_fixture(tc, make_root, remove_root);
  tcase_add_test(tc, memory_check_held_memory_counts_once);
  tcase_add_test(tc, memory_check_without_files_has_no_limit);
  tcase_add_test(tc, memory_check_v2_tightest_ancestor_counts);
  tcase_add_test(tc, memory_check_exact_limit_passes);
  tcase_add_test(tc, memory_check_v1_controller_counts);
  tcase_add_test(tc, memory_check_v2_memory_in_use_counts);
  tcase_add_test(tc, memory_check_v1_memory_in_use_counts);
  tcase_add_test(tc, memory_check_path_outside_the_mount_ignored);
  tcase_add_test(tc, memory_check_available_memory_counts);
  tcase_add_loop_test(tc, memory_check_malformed_group_file_ignored, 0,
                      sizeof odd_groups / sizeof odd_groups[0]);
  tcase_add_loop_test(tc, memory_check_malformed_limit_file_ignored, 0,
                      sizeof odd_limits / sizeof odd_limits[0]);
  tcase_add_test(tc, memory_check_long_and_irregular_files_ignored);
  tcase_add_test(tc, memory_check_overflowing_sum_refused);
  tcase_add_test(tc, memory_check_rlimit_counts);
  suite_add_tcase(suite, tc);
  return runner_run(suite);
}
