/* Region and ring that cannot be used: every lookup goes over the socket, and nothing is logged. */
#include <check.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fcache.h"
#include "proto/limits.h"
#include "tests/support/client_fixture.h"
#include "tests/support/library.h"
#include "tests/support/region_builder.h"
#include "tests/support/runner.h"
#include "tests/support/scripted_daemon.h"
#include "tests/support/sharing_daemon.h"

static void check_socket_alone(void) {
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  ck_assert_int_eq(sharing_get(cache, "a"), 's');
  ck_assert_int_eq(sharing_get(cache, "none"), 'm');
  ck_assert_uint_eq(library_counters(cache).region_hits, 0);
  ck_assert_uint_eq(library_counters(cache).degraded, 0);
  ck_assert_uint_eq(client_lines.n, 0);
  ck_assert_uint_eq(sharing_mappings("test-region"), 1); /* ours */
  ck_assert_uint_eq(sharing_mappings("test-ring"), 1);
  fcache_close(cache);
}

START_TEST(region_disabled_not_requested) {
  (void)setenv("FCACHE_REGION", "0", 1);
  if (_i == 0) {
    sharing.n_fds = 0;
    sharing.scripted.welcome.namespace_id = 0;
  } /* or a daemon that sends it unrequested */
  check_socket_alone();
  ck_assert_uint_eq(atomic_load(&sharing.scripted.layout), 0);
  (void)setenv("FCACHE_REGION", "1", 1);
  ck_assert_int_eq(setenv("FCACHE_REGION", _i == 0 ? "" : "yes", 1), 0);
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  ck_assert_uint_eq(atomic_load(&sharing.scripted.layout), FC_REGION_LAYOUT);
  fcache_close(cache);
}
END_TEST

START_TEST(region_other_layout_uses_socket) {
  sharing.region.header->layout = FC_REGION_LAYOUT + 1;
  check_socket_alone();
}
END_TEST

START_TEST(region_of_other_daemon_uses_socket) {
  sharing.region.header->boot_id++;
  check_socket_alone();
}
END_TEST

START_TEST(welcome_wrong_number_of_fds_uses_socket) {
  unsigned right = sharing.n_region_fds + 1;
  const unsigned n_passed[] = {
      0, 1, 2, 3, right - 1, right + 1, FC_REGION_PASSED_MAX, SCRIPTED_PASSED_MAX};
  sharing.n_fds = n_passed[_i];
  check_socket_alone();
}
END_TEST

/* A file in place of the index, of a segment in the middle, or of the last one. */
START_TEST(welcome_other_fds_uses_socket) {
  int ends[2], loose[FC_REGION_FDS_MAX];
  struct region_build other;
  ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
  unsigned n = region_build_fds(&other, SHARING_REGION_BYTES, SCRIPTED_BOOT_ID, 64,
                                _i % 4 == 0 ? 0 : F_SEAL_GROW, loose);
  const unsigned places[] = {0, 3, n - 1};
  sharing.wrong_file = places[_i / 4];
  switch (_i % 4) {
  case 2:
    sharing.wrong_fd = ends[0];
    break;
  case 3: /* sealed, but of another size */
    sharing.wrong_fd = sharing.region_fds[sharing.wrong_file == 0 ? 1 : 0];
    break;
  default:
    sharing.wrong_fd = loose[sharing.wrong_file];
  }
  region_build_unmap(&other);
  check_socket_alone();
  for (unsigned i = 0; i < n; i++)
    ck_assert_int_eq(close(loose[i]), 0);
  ck_assert_int_eq(close(ends[0]), 0);
  ck_assert_int_eq(close(ends[1]), 0);
}
END_TEST

/* Words of the header that do not fit the files. */
START_TEST(region_header_other_files_uses_socket) {
  struct fc_region_header *header = sharing.region.header;
  const uint64_t segment = header->segment_bytes, arena = header->arena_size;
  switch (_i) {
  case 0:
    header->n_segments = 0;
    break;
  case 1:
    header->n_segments--;
    break;
  case 2:
    header->n_segments++;
    break;
  case 3:
    header->n_segments = UINT32_MAX;
    break;
  case 4:
    header->segment_bytes = 0;
    break;
  case 5:
    header->segment_bytes = segment - FC_REGION_SEGMENT_UNIT;
    break;
  case 6:
    header->segment_bytes = segment + 4096; /* no multiple of the unit */
    break;
  case 7:
    header->segment_bytes = UINT64_MAX - FC_REGION_SEGMENT_UNIT + 1;
    break;
  case 8: /* the last segment is shorter */
    header->arena_size = arena - 4096;
    header->size -= 4096;
    break;
  case 9: /* the arena begins within the index */
    header->arena_offset -= FC_REGION_SEGMENT_UNIT / 2;
    header->size -= FC_REGION_SEGMENT_UNIT / 2;
    break;
  case 10:
    header->arena_size = UINT64_MAX - 15;
    break;
  default:
    header->size = UINT64_MAX;
  }
  check_socket_alone();
}
END_TEST

START_TEST(ring_without_seals_uses_socket) {
  sharing.ring_seals = F_SEAL_GROW;
  check_socket_alone();
}
END_TEST

START_TEST(welcome_version_1_uses_socket) {
  sharing.n_fds = 0;
  sharing.scripted.welcome.version = 1;
  check_socket_alone();
}
END_TEST

static void close_standard_streams(void) {
  for (int fd = 0; fd <= STDERR_FILENO; fd++)
    (void)close(fd);
}

/* Runs in a child, after a byte from `go`. Returns 'r' or 's', or another letter for an error. */
static int in_child(int go, bool streams) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache *cache;
  char byte;
  options.socket = sharing.scripted.path;
  options.name_space = "test";
  options.deadline_ms = CLIENT_LONG_MS;
  options.log = client_log;
  if (!streams)
    close_standard_streams();
  if (read(go, &byte, 1) != 1 || fcache_open(&options, &cache, NULL) != FCACHE_OK)
    return 'o';
  for (int fd = 0; fd <= STDERR_FILENO && !streams; fd++)
    if (fcntl(fd, F_GETFD) >= 0)
      return 'f'; /* a descriptor of the library */
  int result = (unsigned char)sharing_get(cache, "a");
  fcache_close(cache);
  return client_lines.n == 0 ? result : 'l';
}

/* Sets the limits from outside: valgrind intercepts setrlimit. */
static int get_in_child(void (*limit)(pid_t child, int n), int n, bool streams) {
  int status, go[2];
  ck_assert_int_eq(pipe2(go, O_CLOEXEC), 0);
  scripted_wait_idle(&sharing.scripted);
  pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0)
    _exit(in_child(go[0], streams));
  if (limit != NULL)
    limit(child, n);
  ck_assert_int_eq((int)write(go[1], "", 1), 1);
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_int_eq(close(go[0]), 0);
  ck_assert_int_eq(close(go[1]), 0);
  ck_assert(WIFEXITED(status));
  return WEXITSTATUS(status);
}

/* Room for `n` descriptors beside the inherited ones. */
static void limit_descriptors(pid_t child, int n) {
  char path[64];
  struct rlimit limit;
  int end = 0;
  for (int left = n; left > 0; end++) {
    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)child, end);
    left -= faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
  }
  ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = (rlim_t)end;
  ck_assert_int_eq(prlimit(child, RLIMIT_NOFILE, &limit, NULL), 0);
}

START_TEST(descriptor_limit_reached_uses_socket) {
  int all = 1 + (int)sharing.n_region_fds + 1; /* the connection's, and those of the welcome */
  ck_assert_int_eq(get_in_child(limit_descriptors, 1, true), 's');
  ck_assert_int_eq(get_in_child(limit_descriptors, 2, true), 's');
  ck_assert_int_eq(get_in_child(limit_descriptors, all - 1, true), 's');
  ck_assert_int_eq(get_in_child(limit_descriptors, all, true), 'r');
}
END_TEST

static void limit_memory(pid_t child, int bytes) {
  char path[64];
  unsigned long pages = 0;
  struct rlimit limit;
  (void)snprintf(path, sizeof path, "/proc/%d/statm", (int)child);
  FILE *statm = fopen(path, "re");
  ck_assert_ptr_nonnull(statm);
  ck_assert_int_eq(fscanf(statm, "%lu", &pages), 1);
  (void)fclose(statm);
  ck_assert_int_eq(getrlimit(RLIMIT_AS, &limit), 0);
  limit.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE) + (rlim_t)bytes;
  ck_assert_int_eq(prlimit(child, RLIMIT_AS, &limit, NULL), 0);
}

START_TEST(memory_limit_reached_uses_socket) {
  ck_assert_int_eq(get_in_child(limit_memory, SHARING_REGION_BYTES / 2, true), 's');
  ck_assert_int_eq(get_in_child(limit_memory, 4 * SHARING_REGION_BYTES, true), 'r');
}
END_TEST

/* A program without standard streams: the library works, and leaves none of its descriptors at
 * their numbers. */
START_TEST(standard_streams_closed_untouched) {
  ck_assert_int_eq(get_in_child(NULL, 0, false), 'r');
}
END_TEST

int main(void) {
  Suite *suite = suite_create("shm_refused");
  TCase *tcase = tcase_create("shm_refused");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, sharing_set_up, sharing_tear_down);
  tcase_add_loop_test(tcase, region_disabled_not_requested, 0, 2);
  tcase_add_test(tcase, region_other_layout_uses_socket);
  tcase_add_test(tcase, region_of_other_daemon_uses_socket);
  tcase_add_loop_test(tcase, welcome_wrong_number_of_fds_uses_socket, 0, 8);
  tcase_add_loop_test(tcase, welcome_other_fds_uses_socket, 0, 12);
  tcase_add_loop_test(tcase, region_header_other_files_uses_socket, 0, 12);
  tcase_add_test(tcase, ring_without_seals_uses_socket);
  tcase_add_test(tcase, welcome_version_1_uses_socket);
  tcase_add_test(tcase, descriptor_limit_reached_uses_socket);
  tcase_add_test(tcase, memory_limit_reached_uses_socket);
  tcase_add_test(tcase, standard_streams_closed_untouched);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
