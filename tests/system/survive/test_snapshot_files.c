/* The state folder of a daemon: what comes back after a stop, a kill, a clear, and damage. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/ctl.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"

#define ENTRIES 60u

static struct daemon daemon_;
static char state[HARNESS_PATH_SIZE], file[HARNESS_PATH_SIZE + 16];

static void set_up(void) {
  daemon_ = (struct daemon){0};
  harness_make_dir(state);
  (void)snprintf(file, sizeof file, "%s/snapshot", state);
}

static void tear_down(void) {
  (void)harness_stop(&daemon_); /* 0 if it does not run */
}

static void start(void) {
  harness_start(&daemon_, "--state", state, "--max-bytes", "64M", NULL);
}

static struct fcache_key key_of(unsigned n, char prompt[16]) {
  (void)snprintf(prompt, 16, "prompt %u", n);
  return library_key("op", n % 2 == 0 ? "even" : "odd", prompt, 5);
}

static void put_all(void) {
  char prompt[16];
  struct fcache *cache = library_open(daemon_.socket, "ns", NULL, 0);
  for (unsigned n = 0; n < ENTRIES; n++) {
    struct fcache_key key = key_of(n, prompt);
    library_put_text(cache, &key, prompt);
  }
  fcache_close(cache);
}

/* Returns how many of the entries are there. Each has its value. */
static unsigned count_all(void) {
  char prompt[16];
  unsigned found = 0;
  struct fcache *cache = library_open(daemon_.socket, "ns", NULL, 0);
  for (unsigned n = 0; n < ENTRIES; n++) {
    struct fcache_key key = key_of(n, prompt);
    char *text = library_get_text(cache, &key);
    if (text != NULL)
      ck_assert_str_eq(text, prompt);
    found += text != NULL;
    free(text);
  }
  fcache_close(cache);
  return found;
}

static void take(void) {
  ctl_expect_part(CTL("--socket", daemon_.socket, "snapshot"), "wrote");
}

/* ---- restarts ---- */

START_TEST(stopped_daemon_leaves_all_entries) {
  start();
  put_all();
  ck_assert_int_eq(harness_stop(&daemon_), 0);
  start();
  ck_assert_uint_eq(count_all(), ENTRIES);
  ck_assert(harness_log_has(&daemon_, "restored 60 entries"));
}
END_TEST

START_TEST(killed_daemon_leaves_last_snapshot) {
  start();
  put_all();
  take();
  harness_kill9(&daemon_);
  start();
  ck_assert_uint_eq(count_all(), ENTRIES);
}
END_TEST

START_TEST(cleared_entries_stay_away_after_kill) {
  start();
  put_all();
  take();
  ck_assert_uint_eq(count_all(), ENTRIES);
  ctl_expect_part(CTL("--socket", daemon_.socket, "clear", "--namespace", "ns", "--view", "odd"),
                  "removed 30 entries");
  harness_kill9(&daemon_);
  for (int starts = 0; starts < 3; starts++) {
    start();
    ck_assert_uint_eq(count_all(), ENTRIES / 2);
    if (starts == 0)
      harness_kill9(&daemon_); /* before a snapshot without them */
    else
      ck_assert_int_eq(harness_stop(&daemon_), 0);
  }
}
END_TEST

struct written {
  struct fcache *cache;
  uint64_t least;
};

static bool has_written(void *arg) {
  const struct written *written = arg;
  return library_stat(written->cache, "snapshots_written") >= written->least;
}

START_TEST(timer_writes_snapshots) {
  harness_start(&daemon_, "--state", state, "--snapshot-interval", "1", NULL);
  put_all();
  struct fcache *cache = library_open(daemon_.socket, "ns", NULL, 0);
  /* the first one may have begun before the last put */
  struct written written = {cache, library_stat(cache, "snapshots_written") + 2};
  ck_assert(harness_wait_until(has_written, &written, LIBRARY_PATIENT_MS));
  fcache_close(cache);
  harness_kill9(&daemon_);
  start();
  ck_assert_uint_eq(count_all(), ENTRIES);
}
END_TEST

/* ---- damaged files ---- */

static void write_text(const char *path, const char *text) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
  ck_assert_int_eq(close(fd), 0);
}

static void cut_half(void) {
  struct stat status;
  ck_assert_int_eq(stat(file, &status), 0);
  ck_assert_int_eq(truncate(file, status.st_size / 2), 0);
}

static void flip_byte(void) {
  struct stat status;
  char byte;
  int fd = open(file, O_RDWR);
  ck_assert_int_eq(fstat(fd, &status), 0);
  ck_assert_int_eq(pread(fd, &byte, 1, status.st_size / 2), 1);
  byte ^= 4;
  ck_assert_int_eq(pwrite(fd, &byte, 1, status.st_size / 2), 1);
  ck_assert_int_eq(close(fd), 0);
}

static void empty_file(void) {
  ck_assert_int_eq(truncate(file, 0), 0);
}

static void foreign_file(void) {
  write_text(file, "a file of another program, which is in the way\n");
}

static void link_elsewhere(void) {
  ck_assert_int_eq(unlink(file), 0);
  ck_assert_int_eq(symlink("/etc/passwd", file), 0);
}

static void directory(void) {
  ck_assert_int_eq(unlink(file), 0);
  ck_assert_int_eq(mkdir(file, 0700), 0);
}

static void no_file(void) {
  ck_assert_int_eq(unlink(file), 0);
}

static const struct damage {
  void (*make)(void);
  unsigned least, most; /* entries that remain */
  const char *logged;
} damages[] = {
    {cut_half, 10, ENTRIES - 10, "the end of the file is missing"},
    {flip_byte, ENTRIES - 1, ENTRIES, "restored"},
    {empty_file, 0, 0, "is not restored: it is no image"},
    {foreign_file, 0, 0, "is not restored: it is no image"},
    {link_elsewhere, 0, 0, "is not restored: Too many levels"},
    {directory, 0, 0, "is not restored: Operation not permitted"},
    {no_file, 0, 0, ""},
};
#define DAMAGES (int)(sizeof damages / sizeof damages[0])

START_TEST(damaged_snapshot_costs_its_entries) {
  const struct damage *damage = &damages[_i];
  start();
  put_all();
  ck_assert_int_eq(harness_stop(&daemon_), 0);
  damage->make();
  start();
  unsigned found = count_all();
  ck_assert(found >= damage->least && found <= damage->most);
  ck_assert(harness_log_has(&daemon_, damage->logged));
  put_all();
  ck_assert_int_eq(harness_stop(&daemon_), 0); /* the next snapshot is good */
  start();
  ck_assert_uint_eq(count_all(), ENTRIES);
}
END_TEST

START_TEST(replaced_snapshot_is_replaced_again) {
  start();
  put_all();
  take();
  foreign_file();
  take();
  harness_kill9(&daemon_);
  start();
  ck_assert_uint_eq(count_all(), ENTRIES);
}
END_TEST

/* ---- folders ---- */

START_TEST(second_daemon_on_folder_refused) {
  struct daemon second = {0};
  char *err;
  start();
  harness_start(&second, NULL);
  ck_assert_int_eq(harness_stop(&second), 0);
  const char *const argv[] = {harness_fcached(), "--socket", second.socket, "--state", state, NULL};
  ck_assert_int_eq(harness_run(argv, NULL, &err), 1);
  ck_assert_ptr_nonnull(strstr(err, "another daemon uses the state folder"));
  free(err);
}
END_TEST

static bool mount_small(const char *size) {
  if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
      mount("tmpfs", state, "tmpfs", 0, size) < 0) {
    printf("skipped: no small disk can be mounted: %s\n", strerror(errno));
    return false;
  }
  return chmod(state, 0700) == 0;
}

START_TEST(full_disk_keeps_last_snapshot) {
  static char large[300000];
  if (!mount_small("size=256k"))
    return;
  start();
  put_all();
  take();
  struct fcache *cache = library_open(daemon_.socket, "ns", NULL, 0);
  struct fcache_key key = library_key("op", "even", "large", 1);
  memset(large, 7, sizeof large);
  ck_assert_int_eq(fcache_put(cache, &key, large, sizeof large, 1, 0), FCACHE_OK);
  for (int i = 0; i < 3; i++)
    ctl_expect_status(CTL("--socket", daemon_.socket, "snapshot"), 1, NULL, "No space left");
  ck_assert_uint_eq(library_stat(cache, "snapshots_failed"), 3);
  ck_assert_uint_eq(count_all(), ENTRIES);
  fcache_close(cache);
  harness_kill9(&daemon_);
  start();
  ck_assert_uint_eq(count_all(), ENTRIES);
  ck_assert(harness_log_has(&daemon_, "the last one stays"));
}
END_TEST

START_TEST(read_only_folder_restores_and_warns) {
  if (!mount_small("size=4m"))
    return;
  start();
  put_all();
  ck_assert_int_eq(harness_stop(&daemon_), 0);
  ck_assert_int_eq(mount(NULL, state, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
  start();
  ck_assert_uint_eq(count_all(), ENTRIES);
  ck_assert(harness_log_has(&daemon_, "cannot be written to"));
  ctl_expect_status(CTL("--socket", daemon_.socket, "snapshot"), 1, NULL, "Read-only");
  /* the clear takes effect, but the file still has the entries */
  ctl_expect_status(CTL("--socket", daemon_.socket, "clear", "--namespace", "ns"), 1, NULL,
                    "may restore them");
  ck_assert_uint_eq(count_all(), 0);
  (void)harness_stop(&daemon_);
  ck_assert_int_eq(umount2(state, MNT_DETACH), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("snapshot_files");
  TCase *tests = tcase_create("snapshot_files");
  tcase_set_timeout(tests, 60);
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_test(tests, stopped_daemon_leaves_all_entries);
  tcase_add_test(tests, killed_daemon_leaves_last_snapshot);
  tcase_add_test(tests, cleared_entries_stay_away_after_kill);
  tcase_add_test(tests, timer_writes_snapshots);
  tcase_add_loop_test(tests, damaged_snapshot_costs_its_entries, 0, DAMAGES);
  tcase_add_test(tests, replaced_snapshot_is_replaced_again);
  tcase_add_test(tests, second_daemon_on_folder_refused);
  tcase_add_test(tests, full_disk_keeps_last_snapshot);
  tcase_add_test(tests, read_only_folder_restores_and_warns);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
