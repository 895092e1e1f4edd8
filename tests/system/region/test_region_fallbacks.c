/* Clients without a region: every request is a message, and nothing is logged. The reasons: the
 * option of the daemon or of the client, no descriptor or no address space left in the client, and
 * fault 11, an application that closes the library's descriptors and uses their numbers. Retired
 * regions and daemons that die are in test_region_replaced.c and test_region_dead.c, unknown
 * layouts in test_shm_refused.c. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/child_process.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"
#include "tests/support/sanitizer.h"
#include "tests/support/stamped.h"

#define TIMEOUT_MS 60000u
#define DEADLINE_MS 2000u

enum { NUMBERS = 40, ROUNDS = 25, BATCH = 20 };

static struct daemon served;

static void stop(void) {
  ck_assert_int_eq(harness_stop(&served), 0);
}

/* ---- processes whose stderr is checked ---- */

struct captured {
  int (*fn)(void *arg);
  void *arg;
  int stderr_fd;
  pid_t pid;
};

static int with_its_stderr(void *arg) {
  struct captured *captured = arg;

  CHILD_EXPECT(dup2(captured->stderr_fd, STDERR_FILENO) == STDERR_FILENO);
  return captured->fn(captured->arg);
}

static struct captured start_captured(int (*fn)(void *arg), void *arg) {
  struct captured captured = {fn, arg, memfd_create("stderr", MFD_CLOEXEC), 0};

  ck_assert_int_ge(captured.stderr_fd, 0);
  captured.pid = child_start(with_its_stderr, &captured, NULL);
  return captured;
}

/* Waits for the process, which must exit with 0. It must have logged one line with `text`, or
 * nothing: if `text` is NULL, and with `or_nothing`. */
static void expect_said_or(struct captured *captured, const char *text, bool or_nothing) {
  int status = harness_wait(captured->pid, TIMEOUT_MS);
  char said[4096] = "";

  ck_assert_int_ge(pread(captured->stderr_fd, said, sizeof said - 1, 0), 0);
  (void)close(captured->stderr_fd);
  ck_assert_msg(status == 0, "status %d: %s", status, said);
  if (text == NULL || (or_nothing && said[0] == '\0'))
    ck_assert_str_eq(said, "");
  else
    ck_assert_msg(strstr(said, text) && strchr(said, '\n') == said + strlen(said) - 1,
                  "not one line that has \"%s\": %s", text, said);
}

static void expect_said(struct captured *captured, const char *text) {
  expect_said_or(captured, text, false);
}

/* ---- a worker, in its own process ---- */

/* Its report, in shared memory. */
static struct report {
  struct fcache_counters counters;
  uint64_t computed;
  unsigned free_before, free_after; /* descriptors */
} * report;

struct computation {
  uint64_t number, computed;
};

static int compute(void *arg, struct fcache_value *value) {
  struct computation *computation = arg;

  computation->computed++;
  report->computed++;
  return stamped_make(value, computation->number, 9) ? FCACHE_OK : FCACHE_ENOMEM;
}

/* Returns whether the value is right. */
static bool lookup_is_right(struct fcache *cache, uint64_t number, struct fcache_value *value,
                            uint64_t *computed) {
  struct computation computation = {.number = number};
  struct fcache_key key = stamped_key(number);
  uint64_t version;
  int rc = fcache_cached(cache, &key, compute, &computation, value);

  *computed += computation.computed;
  return rc == FCACHE_OK && stamped_check(value, number, &version) && version == 9;
}

static int get_batch(struct fcache *cache) {
  struct fcache_value values[BATCH] = {0};
  struct fcache_hash prompts[BATCH];
  bool hit[BATCH];
  uint64_t version;

  for (uint64_t i = 0; i < BATCH; i++)
    prompts[i] = stamped_key(NUMBERS - 5 + i).prompt;
  CHILD_EXPECT(fcache_get_many(cache, "op", "view", 0, prompts, BATCH, 0, values, hit) ==
               FCACHE_OK);
  for (uint64_t i = 0; i < BATCH; i++) {
    CHILD_EXPECT(hit[i] == (i < 5)); /* no message asked for the other numbers */
    CHILD_EXPECT(!hit[i] || stamped_check(&values[i], NUMBERS - 5 + i, &version));
    fcache_value_free(&values[i]);
  }
  return 0;
}

/* NUMBERS misses, ROUNDS * NUMBERS + 5 hits, and then a clear. */
static int work_with(struct fcache *cache) {
  struct fcache_value value = {0};
  uint64_t computed = 0, removed = 0;

  for (uint64_t i = 0; i < NUMBERS; i++)
    CHILD_EXPECT(lookup_is_right(cache, i, &value, &computed));
  CHILD_EXPECT(computed == NUMBERS);
  for (uint64_t i = 0; i < (uint64_t)ROUNDS * NUMBERS; i++)
    CHILD_EXPECT(lookup_is_right(cache, i % NUMBERS, &value, &computed));
  CHILD_EXPECT(computed == NUMBERS);
  CHILD_EXPECT(get_batch(cache) == 0);
  CHILD_EXPECT(fcache_clear(cache, NULL, NULL, &removed) == FCACHE_OK && removed == NUMBERS);
  struct fcache_key key = stamped_key(0);
  CHILD_EXPECT(fcache_get(cache, &key, 0, &value) == FCACHE_MISS);
  report->counters = library_counters(cache);
  fcache_value_free(&value);
  return 0;
}

/* Of the numbers that the limit allows. */
static unsigned free_descriptors(void) {
  struct rlimit limit;
  unsigned n = 0;

  (void)getrlimit(RLIMIT_NOFILE, &limit); /* cannot fail for this one */
  for (int fd = 0; fd < (int)limit.rlim_cur; fd++)
    n += fcntl(fd, F_GETFD) < 0;
  return n;
}

/* Uses descriptors until only `n` are left. */
static bool leave_descriptors(unsigned n) {
  struct rlimit limit;
  int lowest = open("/dev/null", O_RDONLY | O_CLOEXEC);

  if (lowest < 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
    return false;
  (void)close(lowest);
  limit.rlim_cur = (rlim_t)lowest;
  for (unsigned left = 0; left < n; limit.rlim_cur++)
    left += fcntl((int)limit.rlim_cur, F_GETFD) < 0;
  return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

/* Limits the address space: a region of 256 MiB does not fit, all else does. */
static bool leave_address_space(void) {
  struct rlimit limit;
  char *text = harness_read_file("/proc/self/statm", NULL);
  unsigned long pages = text ? strtoul(text, NULL, 10) : 0;

  free(text);
  if (pages == 0 || getrlimit(RLIMIT_AS, &limit) < 0)
    return false;
  limit.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE) + (64u << 20);
  return setrlimit(RLIMIT_AS, &limit) == 0;
}

/* The resource that a worker lacks. */
struct lack {
  const char *variable; /* $FCACHE_REGION; NULL: not set */
  unsigned descriptors; /* that the worker has left; 0: enough */
  bool address_space;
};

static int work(void *arg) {
  const struct lack *lack = arg;

  if (lack->variable)
    CHILD_EXPECT(setenv("FCACHE_REGION", lack->variable, 1) == 0);
  CHILD_EXPECT(lack->descriptors == 0 || leave_descriptors(lack->descriptors));
  CHILD_EXPECT(!lack->address_space || leave_address_space());
  report->free_before = free_descriptors();
  struct fcache *cache =
      library_open_in_child(served.socket, "fallback", "worker", LIBRARY_PATIENT_MS);
  CHILD_EXPECT(cache != NULL && fcache_connected(cache));
  report->free_after = free_descriptors();
  CHILD_EXPECT(work_with(cache) == 0);
  fcache_close(cache);
  CHILD_EXPECT(free_descriptors() == report->free_before);
  return 0;
}

static bool has_left(void *look) {
  return library_stat(look, "clients") == 1;
}

/* The daemon must have counted the worker's lookups, with the path that served them. */
static void assert_counted(struct fcache *look) {
  const struct fcache_counters *counters = &report->counters;
  struct library_stats stats = {0};

  ck_assert(harness_wait_until(has_left, look, TIMEOUT_MS));
  library_stats_read(look, &stats);
  ck_assert_uint_eq(counters->cache_hits, ROUNDS * NUMBERS + 5);
  ck_assert_uint_eq(counters->cache_misses, NUMBERS);
  ck_assert_uint_eq(counters->degraded, 0);
  ck_assert_uint_eq(counters->unrecorded, 0);
  ck_assert_uint_eq(library_stats_count(&stats, "fallback", "cache_hits"), counters->cache_hits);
  ck_assert_uint_eq(library_stats_count(&stats, "fallback", "cache_misses"), NUMBERS);
  ck_assert_uint_eq(library_stats_count(&stats, "fallback", "entries"), 0);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "hits_region"), counters->region_hits);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "hits_socket"),
                    counters->cache_hits - counters->region_hits);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "hits_unrecorded"), 0);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "dropped"), 0);
  library_stats_free(&stats);
}

/* Runs a worker that lacks a resource. Neither it nor the daemon logs anything. */
static void run(struct lack lack) {
  struct captured captured;
  char *log;

  report = child_shared(sizeof *report);
  captured = start_captured(work, &lack);
  expect_said(&captured, NULL);
  log = harness_log(&served);
  ck_assert_str_eq(log, "");
  free(log);
  struct fcache *look = library_open(served.socket, "look", NULL, 0);
  assert_counted(look);
  fcache_close(look);
}

START_TEST(nothing_lacking_hits_from_region) {
  harness_start(&served, NULL);
  run((struct lack){0});
  ck_assert_uint_eq(report->counters.region_hits, report->counters.cache_hits);
  ck_assert_uint_eq(report->free_before - report->free_after, 1); /* the socket alone */
}
END_TEST

START_TEST(daemon_without_region_uses_socket) {
  harness_start(&served, "--no-region", NULL);
  run((struct lack){0});
  ck_assert_uint_eq(report->counters.region_hits, 0);
}
END_TEST

START_TEST(client_with_region_off_uses_socket) {
  harness_start(&served, NULL);
  run((struct lack){.variable = "0"});
  ck_assert_uint_eq(report->counters.region_hits, 0);
}
END_TEST

/* One is for the socket. The kernel drops descriptors of the welcome that do not fit, and the
 * client closes the others. */
START_TEST(client_without_descriptors_uses_socket) {
  harness_start(&served, NULL);
  struct raw probe;
  raw_open_region(&probe, served.socket, "probe", "probe");
  unsigned all = 1 + probe.n_region_fds + 1; /* the socket, and those of the welcome */
  raw_close(&probe);
  const unsigned left[] = {1, 2, all / 2, all - 1, all};
  run((struct lack){.descriptors = left[_i]});
  ck_assert_uint_eq(report->counters.region_hits, _i < 4 ? 0 : report->counters.cache_hits);
  ck_assert_uint_eq(report->free_before, left[_i]);
  ck_assert_uint_eq(report->free_after, left[_i] - 1);
}
END_TEST

START_TEST(client_without_address_space_uses_socket) {
  if (SANITIZER_SLOW) {
    printf("skipped: a sanitizer's own memory is over any limit of address space\n");
    return;
  }
  harness_start(&served, NULL);
  run((struct lack){.address_space = true});
  ck_assert_uint_eq(report->counters.region_hits, 0);
}
END_TEST

/* ---- resources that are free again ---- */

static int lack_and_recover(void *arg) {
  struct fcache_value value = {0};
  struct rlimit limit;
  uint64_t computed = 0;

  (void)arg;
  CHILD_EXPECT(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  CHILD_EXPECT(leave_descriptors(1));
  struct fcache *cache = library_open_in_child(served.socket, "fallback", NULL, LIBRARY_PATIENT_MS);
  CHILD_EXPECT(cache != NULL && fcache_connected(cache));
  for (unsigned i = 0; i < 10; i++)
    CHILD_EXPECT(lookup_is_right(cache, 1, &value, &computed));
  CHILD_EXPECT(computed == 1 && library_counters(cache).region_hits == 0);
  CHILD_EXPECT(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  CHILD_EXPECT(kill(getppid(), SIGUSR1) == 0); /* its exit lets the next daemon start */
  while (library_counters(cache).region_hits < 10)
    CHILD_EXPECT(lookup_is_right(cache, 1, &value, &computed));
  fcache_value_free(&value);
  fcache_close(cache);
  return 0;
}

START_TEST(client_reconnects_region_mapped_again) {
  sigset_t signals;
  struct timespec bound = {.tv_sec = TIMEOUT_MS / 1000};

  report = child_shared(sizeof *report);
  (void)sigemptyset(&signals);
  (void)sigaddset(&signals, SIGUSR1);
  ck_assert_int_eq(sigprocmask(SIG_BLOCK, &signals, NULL), 0);
  harness_start(&served, NULL);
  struct captured captured = start_captured(lack_and_recover, NULL);
  ck_assert_int_eq(sigtimedwait(&signals, NULL, &bound), SIGUSR1);
  ck_assert_int_eq(harness_stop(&served), 0);
  harness_start(&served, NULL);
  expect_said_or(&captured, "sharing is off", true); /* nothing if the restart was fast */
}
END_TEST

/* ---- fault 11: the application's descriptors ---- */

enum { FILES = 24, FILE_SIZE = 200, CLOSINGS = 12 };

/* The application's descriptors at the closed numbers: files, each with a position, and last a pair
 * of sockets. */
struct application {
  int fds[FILES + 2];
  struct stat status[FILES + 2];
};

static bool open_file(struct application *application, const char *dir, unsigned i) {
  char path[HARNESS_PATH_SIZE + 16], bytes[FILE_SIZE];
  int fd;

  (void)snprintf(path, sizeof path, "%s/%u", dir, i);
  fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
  memset(bytes, 'a' + (int)i, sizeof bytes);
  application->fds[i] = fd;
  return fd >= 0 && write(fd, bytes, sizeof bytes) == (ssize_t)sizeof bytes &&
         lseek(fd, 10 + (off_t)i, SEEK_SET) == 10 + (off_t)i &&
         fstat(fd, &application->status[i]) == 0;
}

/* Closes all descriptors, the library's included, but the standard streams. */
static bool close_all_and_open(struct application *application, const char *dir) {
  for (int fd = 3; fd < 256; fd++)
    (void)close(fd);
  for (unsigned i = 0; i < FILES; i++)
    if (!open_file(application, dir, i))
      return false;
  return socketpair(AF_UNIX, SOCK_STREAM, 0, &application->fds[FILES]) == 0 &&
         fstat(application->fds[FILES], &application->status[FILES]) == 0 &&
         fstat(application->fds[FILES + 1], &application->status[FILES + 1]) == 0;
}

static bool is_as_it_was(const struct application *application, unsigned i) {
  struct stat status;

  return fstat(application->fds[i], &status) == 0 &&
         status.st_dev == application->status[i].st_dev &&
         status.st_ino == application->status[i].st_ino &&
         status.st_size == application->status[i].st_size;
}

static int check_application(const struct application *application) {
  char bytes[FILE_SIZE], wanted[FILE_SIZE];

  for (unsigned i = 0; i < FILES; i++) {
    CHILD_EXPECT(is_as_it_was(application, i));
    CHILD_EXPECT(lseek(application->fds[i], 0, SEEK_CUR) == 10 + (off_t)i);
    CHILD_EXPECT(pread(application->fds[i], bytes, sizeof bytes, 0) == FILE_SIZE);
    memset(wanted, 'a' + (int)i, sizeof wanted);
    CHILD_EXPECT(memcmp(bytes, wanted, sizeof bytes) == 0);
  }
  for (unsigned i = FILES; i < FILES + 2; i++) {
    struct pollfd poll_fd = {.fd = application->fds[i], .events = POLLIN};

    CHILD_EXPECT(is_as_it_was(application, i));
    CHILD_EXPECT(poll(&poll_fd, 1, 0) == 0); /* nothing was sent, and neither end is closed */
  }
  return 0;
}

/* Hits and misses until the handle is connected again, and some more. The files must be unchanged.
 */
static int work_on(struct fcache *cache, const struct application *application, uint64_t first) {
  struct fcache_value value = {0};
  uint64_t computed = 0, hits = library_counters(cache).region_hits;

  for (uint64_t i = 0; i < 300; i++) /* of keys that may still be in the region */
    CHILD_EXPECT(lookup_is_right(cache, i % NUMBERS, &value, &computed));
  CHILD_EXPECT(check_application(application) == 0);
  for (uint64_t i = 0; !fcache_connected(cache) || i < 20; i++)
    CHILD_EXPECT(lookup_is_right(cache, first + i, &value, &computed));
  CHILD_EXPECT(check_application(application) == 0);
  for (uint64_t i = 0; i < 300; i++)
    CHILD_EXPECT(lookup_is_right(cache, i % NUMBERS, &value, &computed));
  CHILD_EXPECT(library_counters(cache).region_hits >= hits + 300 - NUMBERS);
  CHILD_EXPECT(check_application(application) == 0);
  fcache_value_free(&value);
  return 0;
}

static char dir[HARNESS_PATH_SIZE];

static int close_again_and_again(void *arg) {
  static struct application application;
  struct fcache *cache =
      library_open_in_child(served.socket, "fallback", "closer", LIBRARY_PATIENT_MS);

  (void)arg;
  CHILD_EXPECT(cache != NULL && fcache_connected(cache));
  for (uint64_t round = 0; round < CLOSINGS; round++) {
    CHILD_EXPECT(close_all_and_open(&application, dir));
    CHILD_EXPECT(work_on(cache, &application, (round + 1) * 100000) == 0);
  }
  CHILD_EXPECT(close_all_and_open(&application, dir));
  report->counters = library_counters(cache);
  fcache_close(cache);
  CHILD_EXPECT(check_application(&application) == 0);
  return 0;
}

/* The lingering connection, which missed its deadline, is closed too. */
static int close_what_lingers(void *arg) {
  static struct application application;
  struct fcache *cache = library_open_in_child(served.socket, "fallback", "closer", DEADLINE_MS);
  struct fcache_value value = {0};
  uint64_t computed = 0;

  (void)arg;
  CHILD_EXPECT(cache != NULL && fcache_connected(cache));
  for (uint64_t i = 0; i < NUMBERS; i++)
    CHILD_EXPECT(lookup_is_right(cache, i, &value, &computed));
  CHILD_EXPECT(harness_freeze(&served));
  CHILD_EXPECT(lookup_is_right(cache, 1000, &value, &computed)); /* takes the deadline */
  CHILD_EXPECT(!fcache_connected(cache));
  CHILD_EXPECT(close_all_and_open(&application, dir));
  for (uint64_t i = 0; i < 300; i++)
    CHILD_EXPECT(lookup_is_right(cache, i % NUMBERS, &value, &computed));
  CHILD_EXPECT(check_application(&application) == 0);
  CHILD_EXPECT(kill(served.pid, SIGCONT) == 0);
  CHILD_EXPECT(work_on(cache, &application, 2000) == 0);
  report->counters = library_counters(cache);
  fcache_close(cache);
  fcache_value_free(&value);
  CHILD_EXPECT(check_application(&application) == 0);
  return 0;
}

/* Hits without a record are counted, so none is missing in the sum. */
static void close_descriptors(int (*fn)(void *arg), const char *said) {
  struct library_stats stats = {0};

  report = child_shared(sizeof *report);
  harness_make_dir(dir);
  harness_start(&served, NULL);
  struct captured captured = start_captured(fn, NULL);
  expect_said(&captured, said);
  struct fcache *look = library_open(served.socket, "look", NULL, 0);
  ck_assert(harness_wait_until(has_left, look, TIMEOUT_MS));
  library_stats_read(look, &stats);
  uint64_t counted = library_stats_count(&stats, "fallback", "cache_hits");
  uint64_t unrecorded = library_stats_count(&stats, NULL, "hits_unrecorded");
  ck_assert_uint_le(counted, report->counters.cache_hits);
  ck_assert_uint_ge(counted + unrecorded, report->counters.cache_hits);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "dropped"), 0);
  library_stats_free(&stats);
  fcache_close(look);
}

START_TEST(descriptors_reused_by_program_untouched) {
  close_descriptors(close_again_and_again, "the program closed the descriptor");
}
END_TEST

START_TEST(descriptors_reused_while_lingering_untouched) {
  close_descriptors(close_what_lingers, "did not answer within");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("without the region");
  TCase *tcase = tcase_create("daemon");

  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, NULL, stop);
  tcase_add_test(tcase, nothing_lacking_hits_from_region);
  tcase_add_test(tcase, daemon_without_region_uses_socket);
  tcase_add_test(tcase, client_with_region_off_uses_socket);
  tcase_add_loop_test(tcase, client_without_descriptors_uses_socket, 0, 5);
  tcase_add_test(tcase, client_without_address_space_uses_socket);
  tcase_add_test(tcase, client_reconnects_region_mapped_again);
  tcase_add_test(tcase, descriptors_reused_by_program_untouched);
  tcase_add_test(tcase, descriptors_reused_while_lingering_untouched);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
