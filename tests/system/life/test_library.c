/* Contracts of <fcache.h> that need a real daemon and more than one call: puts long after their
 * lookup, values over the limit, statistics requested within a statistics callback, programs that
 * change their directory or have no usable stderr. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/child_process.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/trace_lines.h"

#define TIMEOUT_MS 20000u
#define MAX_VALUE (1u << 20)

static struct daemon served;
static char trace[HARNESS_PATH_SIZE + 8];

static void start(void) {
  char dir[HARNESS_PATH_SIZE];

  harness_make_dir(dir);
  (void)snprintf(trace, sizeof trace, "%s/trace", dir);
  harness_start(&served, "--max-value", "1M", "--trace", trace, NULL);
}

static void stop(void) {
  ck_assert_int_eq(harness_stop(&served), 0);
}

/* ---- puts long after the lookup ---- */

static struct fcache_key key_of(unsigned number) {
  return (struct fcache_key){
      .op = "op", .view = "view", .prompt = fcache_hash(&number, sizeof number)};
}

START_TEST(clear_during_many_puts_not_undone) {
  enum { N = 1000 };
  struct fcache *worker = library_open(served.socket, "shared", NULL, 0);
  struct fcache *other = library_open(served.socket, "shared", NULL, 0);
  struct fcache_value value = {0};
  unsigned stored = 0;

  for (unsigned i = 0; i < N; i++) {
    struct fcache_key key = key_of(i);
    ck_assert_int_eq(fcache_get(worker, &key, 0, &value), FCACHE_MISS);
  }
  ck_assert_int_eq(fcache_clear(other, NULL, NULL, NULL), FCACHE_OK);
  for (unsigned i = 0; i < N; i++) {
    struct fcache_key key = key_of(i);
    int rc = fcache_put(worker, &key, "old", 3, 1, 0);
    ck_assert(rc == FCACHE_OK || rc == FCACHE_NOT_STORED);
    stored += rc == FCACHE_OK;
  }
  ck_assert_uint_eq(stored, 0);
  ck_assert_uint_eq(library_stat(other, "puts_stale"), N);
  fcache_close(worker);
  fcache_close(other);
}
END_TEST

/* Also if the first put found no daemon. */
START_TEST(put_retried_keeps_its_epoch) {
  struct fcache *worker = library_open(served.socket, "shared", NULL, 0);
  struct fcache_key key = key_of(1);
  struct fcache_value value = {0};

  ck_assert_int_eq(fcache_get(worker, &key, 0, &value), FCACHE_MISS);
  harness_kill9(&served);
  ck_assert_int_eq(fcache_put(worker, &key, "old", 3, 1, 0), FCACHE_NOT_STORED);
  harness_start(&served, NULL);
  ck_assert_int_eq(fcache_clear(worker, NULL, NULL, NULL), FCACHE_OK); /* connects */
  ck_assert(fcache_connected(worker));
  ck_assert_int_eq(fcache_put(worker, &key, "old", 3, 1, 0), FCACHE_NOT_STORED);
  ck_assert_int_eq(fcache_get(worker, &key, 0, &value), FCACHE_MISS);
  ck_assert_int_eq(fcache_put(worker, &key, "new", 3, 1, 0), FCACHE_OK);
  fcache_close(worker);
}
END_TEST

/* ---- values over the limit ---- */

static int compute_large(void *arg, struct fcache_value *value) {
  return fcache_value_set(value, arg, MAX_VALUE + 1);
}

static int compute_some_large(void *arg, const size_t *misses, size_t n,
                              struct fcache_batch *batch) {
  int rc = 0;

  (void)misses;
  for (size_t i = 0; i < n && rc == 0; i++)
    rc = fcache_batch_add(batch, arg, i == 0 ? MAX_VALUE + 1 : 5);
  return rc;
}

START_TEST(cached_value_over_limit_counted_and_returned) {
  struct fcache *worker = library_open(served.socket, "shared", NULL, 0);
  struct fcache_key key = key_of(0);
  struct fcache_hash prompts[4];
  struct fcache_value value = {0}, values[4] = {{0}};
  struct fcache_counters counters;
  struct library_stats stats = {0};
  char *large = calloc(1, MAX_VALUE + 1);

  ck_assert_ptr_nonnull(large);
  for (unsigned i = 0; i < 4; i++)
    prompts[i] = key_of(i + 1).prompt;
  ck_assert_int_eq(fcache_cached(worker, &key, compute_large, large, &value), FCACHE_OK);
  ck_assert_uint_eq(value.size, MAX_VALUE + 1);
  ck_assert_int_eq(
      fcache_cached_batch(worker, "op", "view", 0, prompts, 4, compute_some_large, large, values),
      FCACHE_OK);
  fcache_get_counters(worker, &counters);
  library_stats_read(worker, &stats);
  ck_assert_uint_eq(counters.too_big, 2);
  ck_assert_uint_eq(counters.cache_misses, 5);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "cache_misses"), 5);
  ck_assert_uint_eq(library_stats_count(&stats, "shared", "forward_passes"), 5);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "batched_prompts"), 4);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "puts_too_big"), 2);
  ck_assert_uint_eq(library_stats_count(&stats, NULL, "entries"), 3);
  library_stats_free(&stats);
  fcache_close(worker);
  for (unsigned i = 0; i < 4; i++)
    fcache_value_free(&values[i]);
  fcache_value_free(&value);
  free(large);
  stop(); /* writes the trace to its end; the fixture's stop then does nothing */
  ck_assert_uint_eq(trace_lines_read(trace, NULL, NULL), 5);
}
END_TEST

/* ---- statistics within a statistics callback ---- */

struct nested {
  struct fcache *cache;
  unsigned stats, within;
};

static void count_within(void *arg, const struct fcache_stat *stat) {
  struct nested *nested = arg;

  nested->within += stat->name[0] != '\0';
}

static void request_nested_stats(void *arg, const struct fcache_stat *stat) {
  struct nested *nested = arg;
  struct fcache_value value = {0};
  struct fcache_key key = key_of(7);

  nested->stats += stat->name[0] != '\0';
  ck_assert_int_eq(fcache_get(nested->cache, &key, 0, &value), FCACHE_OK);
  fcache_value_free(&value);
  if (nested->stats == 1)
    ck_assert_int_eq(fcache_server_stats(nested->cache, count_within, nested), FCACHE_OK);
}

START_TEST(stats_callback_may_use_handle) {
  struct nested nested = {.cache = library_open(served.socket, "shared", NULL, 0)};
  struct fcache_key key = key_of(7);
  char *data = calloc(1, MAX_VALUE);

  ck_assert_ptr_nonnull(data);
  ck_assert_int_eq(fcache_put(nested.cache, &key, data, MAX_VALUE, 1, 0), FCACHE_OK);
  ck_assert_int_eq(fcache_server_stats(nested.cache, request_nested_stats, &nested), FCACHE_OK);
  ck_assert_uint_gt(nested.stats, 20);
  ck_assert_uint_eq(nested.stats, nested.within);
  fcache_close(nested.cache);
  free(data);
}
END_TEST

/* ---- programs that change directory, and programs without stderr ---- */

static void drop_line(void *arg, const char *line) {
  (void)arg;
  (void)line;
}

static bool is_connected(void *cache) {
  struct fcache_key key = key_of(1);
  struct fcache_value value = {0};

  (void)fcache_get(cache, &key, 0, &value);
  fcache_value_free(&value);
  return fcache_connected(cache);
}

/* Returns the number of descriptors of this process that are connected to the daemon. */
static unsigned sockets_of(const struct daemon *daemon, int *lowest, bool close_them) {
  unsigned n = 0;

  for (int fd = 1023; fd >= 0; fd--) {
    struct sockaddr_un address = {0};
    socklen_t size = sizeof address;

    if (getpeername(fd, (struct sockaddr *)&address, &size) != 0 ||
        strstr(daemon->socket, address.sun_path) == NULL || address.sun_path[0] == '\0')
      continue;
    n++;
    *lowest = fd;
    if (close_them)
      (void)close(fd);
  }
  return n;
}

/* Opens by a relative path, changes directory, and loses the connection. */
static int move_away(void *arg) {
  const struct daemon *daemon = arg;
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache *cache;
  int fd;

  CHILD_EXPECT(chdir(daemon->dir) == 0);
  options.socket = strrchr(daemon->socket, '/') + 1;
  options.name_space = "shared";
  options.deadline_ms = LIBRARY_PATIENT_MS;
  options.log = drop_line;
  CHILD_EXPECT(fcache_open(&options, &cache, NULL) == FCACHE_OK && fcache_connected(cache));
  CHILD_EXPECT(chdir("/") == 0);
  CHILD_EXPECT(sockets_of(daemon, &fd, true) == 1);
  CHILD_EXPECT(harness_wait_until(is_connected, cache, TIMEOUT_MS));
  fcache_close(cache);
  return 0;
}

START_TEST(socket_relative_found_after_chdir) {
  ck_assert_int_eq(child_run(move_away, &served, NULL), 0);
}
END_TEST

/* Output to stdout and stderr must not reach the connection. */
static int open_without_stderr(void *arg) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache *cache;
  int fd = -1, said = dup(STDERR_FILENO);

  for (int i = 0; i <= STDERR_FILENO; i++)
    (void)close(i);
  options.socket = ((const struct daemon *)arg)->socket;
  options.name_space = "shared";
  options.deadline_ms = LIBRARY_PATIENT_MS;
  options.log = drop_line;
  int rc = fcache_open(&options, &cache, NULL);
  unsigned n = sockets_of(arg, &fd, false);
  if (dup2(said, STDERR_FILENO) < 0)
    return 2;
  CHILD_EXPECT(rc == FCACHE_OK && fcache_connected(cache));
  CHILD_EXPECT(n == 1 && fd > STDERR_FILENO);
  fcache_close(cache);
  return 0;
}

START_TEST(connection_without_std_streams_not_on_their_numbers) {
  ck_assert_int_eq(child_run(open_without_stderr, &served, NULL), 0);
}
END_TEST

/* The log line goes to a pipe without a reader: full, or with its other end closed. SIGPIPE has its
 * default action. */
static int open_with_dead_stderr(void *arg) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache *cache;
  struct fcache_value value = {0};
  struct fcache_key key = key_of(1);
  int ends[2];
  char page[4096] = {0};

  CHILD_EXPECT(pipe(ends) == 0 && signal(SIGPIPE, SIG_DFL) != SIG_ERR);
  if (*(bool *)arg) {
    CHILD_EXPECT(fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
    while (write(ends[1], page, sizeof page) > 0)
      continue;
    CHILD_EXPECT(fcntl(ends[1], F_SETFL, 0) == 0);
  } else {
    CHILD_EXPECT(close(ends[0]) == 0);
  }
  CHILD_EXPECT(dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
  (void)alarm(20); /* ends the process if it blocks */
  options.socket = "/nowhere/s";
  options.name_space = "shared";
  if (fcache_open(&options, &cache, NULL) != FCACHE_OK ||
      fcache_get(cache, &key, 0, &value) != FCACHE_MISS)
    return 2;
  fcache_close(cache);
  return 0;
}

START_TEST(stderr_dead_program_goes_on) {
  bool full = _i == 1;

  ck_assert_int_eq(child_run(open_with_dead_stderr, &full, NULL), 0);
}
END_TEST

/* ---- failing system calls ---- */

#define NOBODY 65534u

static int open_forbidden(void *arg) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache *cache;
  /* NOBODY may not look into the directory of the socket. */
  const char *reason = geteuid() == NOBODY ? "(Permission denied: join the socket's group)"
                                           : "(Permission denied: only its owner may connect: ";

  options.socket = arg;
  options.name_space = "shared";
  options.log = drop_line;
  CHILD_EXPECT(fcache_open(&options, &cache, NULL) == FCACHE_OK);
  CHILD_EXPECT(strstr(fcache_last_error(cache), "no daemon could be reached at ") != NULL);
  CHILD_EXPECT(strstr(fcache_last_error(cache), reason) != NULL);
  fcache_close(cache);
  return 0;
}

START_TEST(socket_without_permission_named) {
  struct child_user nobody = {NOBODY, NOBODY, 0};
  bool root = geteuid() == 0; /* root ignores file modes */

  ck_assert_int_eq(chmod(served.socket, 0), 0);
  ck_assert_int_eq(child_run(open_forbidden, served.socket, root ? &nobody : NULL), 0);
}
END_TEST

/* Makes madvise fail for MADV_WIPEONFORK, as in an old kernel. Returns false if this machine has no
 * system call filters. */
static bool refuse_wipe_on_fork(void) {
  struct sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MADV_WIPEONFORK, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};

  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

#define SKIPPED 77

static int use_inherited(void *arg) {
  struct fcache *cache = arg;
  struct fcache_counters counters;
  struct fcache_value value = {0};
  struct fcache_key key = key_of(1);

  fcache_get_counters(cache, &counters);
  CHILD_EXPECT(counters.cache_hits == 0 && !fcache_connected(cache));
  CHILD_EXPECT(fcache_get(cache, &key, 0, &value) == FCACHE_OK);
  fcache_value_free(&value);
  fcache_close(cache);
  return 0;
}

static int fork_on_an_old_kernel(void *arg) {
  struct fcache_value value = {0};
  struct fcache_key key = key_of(1);

  if (!refuse_wipe_on_fork())
    return SKIPPED;
  struct fcache *cache = library_open(((const struct daemon *)arg)->socket, "shared", NULL, 0);
  CHILD_EXPECT(fcache_put(cache, &key, "value", 5, 1, 0) == FCACHE_OK);
  CHILD_EXPECT(fcache_get(cache, &key, 0, &value) == FCACHE_OK);
  CHILD_EXPECT(child_run(use_inherited, cache, NULL) == 0);
  CHILD_EXPECT(fcache_connected(cache));
  CHILD_EXPECT(fcache_get(cache, &key, 0, &value) == FCACHE_OK);
  fcache_value_free(&value);
  fcache_close(cache);
  return 0;
}

START_TEST(fork_without_wipeonfork_detected) {
  int rc = child_run(fork_on_an_old_kernel, &served, NULL);

  if (rc == SKIPPED)
    printf("skipped: no filter of system calls can be set up here\n");
  else
    ck_assert_int_eq(rc, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("library");
  TCase *tcase = tcase_create("daemon");

  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, start, stop);
  tcase_add_test(tcase, clear_during_many_puts_not_undone);
  tcase_add_test(tcase, put_retried_keeps_its_epoch);
  tcase_add_test(tcase, cached_value_over_limit_counted_and_returned);
  tcase_add_test(tcase, stats_callback_may_use_handle);
  tcase_add_test(tcase, socket_relative_found_after_chdir);
  tcase_add_test(tcase, connection_without_std_streams_not_on_their_numbers);
  tcase_add_loop_test(tcase, stderr_dead_program_goes_on, 0, 2);
  tcase_add_test(tcase, socket_without_permission_named);
  tcase_add_test(tcase, fork_without_wipeonfork_detected);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
