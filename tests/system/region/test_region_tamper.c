/* Clients, of the same user or of another, that try to write, cut, seal, map writable or reopen the
 * region: none succeeds. The other user needs root; otherwise that test prints that it is skipped.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/shm/region_layout.h"
#include "tests/support/child_process.h"
#include "tests/support/good_client.h"
#include "tests/support/harness.h"
#include "tests/support/raw.h"

#define PAGE 4096u

enum { STRANGER = 54321, SOCKET_GROUP = 54322 };

static const struct child_user member = {.uid = STRANGER, .gid = STRANGER, .group = SOCKET_GROUP};

static struct daemon served;
static struct good_client good;

/* Makes the directories of the socket passable. The socket itself stays as the daemon made it. */
static void start(void) {
  char root[HARNESS_PATH_SIZE];

  if (geteuid() == 0)
    harness_start(&served, "--max-bytes", "4M", "--socket-group", "54322", NULL);
  else /* this user cannot become another one, and may not be in that group */
    harness_start(&served, "--max-bytes", "4M", NULL);
  (void)snprintf(root, sizeof root, "%s", served.dir);
  *strrchr(root, '/') = '\0';
  ck_assert_int_eq(chmod(root, 0711), 0);
  ck_assert_int_eq(chmod(served.dir, 0711), 0);
  good_client_open(&good, served.socket);
}

static void stop(void) {
  good_client_close(&good);
  ck_assert_int_eq(harness_stop(&served), 0);
}

struct target {
  int fd;
  uint8_t *map; /* read-only, the whole file */
  size_t size;
  bool writable; /* a ring, whose content is its client's */
};

static const uint8_t other_bytes[PAGE] = {0xee};

static bool write_at_place(const struct target *target) {
  return write(target->fd, other_bytes, sizeof other_bytes) > 0;
}
static bool write_at_offset(const struct target *target) {
  return pwrite(target->fd, other_bytes, sizeof other_bytes, 0) > 0;
}
static bool send_file(const struct target *target) {
  int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  bool done = sendfile(target->fd, from, NULL, PAGE) > 0;

  (void)close(from);
  return done;
}
static bool map_to_write(const struct target *target) {
  return mmap(NULL, target->size, PROT_READ | PROT_WRITE, MAP_SHARED, target->fd, 0) != MAP_FAILED;
}
static bool protect_to_write(const struct target *target) {
  return mprotect(target->map, target->size, PROT_READ | PROT_WRITE) == 0;
}
static bool remove_pages(const struct target *target) {
  return madvise(target->map, target->size, MADV_REMOVE) == 0;
}
static bool punch(const struct target *target) {
  return fallocate(target->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE) == 0;
}
static bool zero(const struct target *target) {
  return fallocate(target->fd, FALLOC_FL_ZERO_RANGE, 0, PAGE) == 0;
}
static bool write_own_memory(const struct target *target) {
  int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
  bool done = fd >= 0 && pwrite(fd, other_bytes, PAGE, (off_t)(uintptr_t)target->map) > 0;

  (void)close(fd);
  return done;
}
static bool truncate_to_nothing(const struct target *target) {
  return ftruncate(target->fd, 0) == 0;
}
static bool truncate_by_a_page(const struct target *target) {
  return ftruncate(target->fd, (off_t)(target->size - PAGE)) == 0;
}
static bool grow_by_a_page(const struct target *target) {
  return ftruncate(target->fd, (off_t)(target->size + PAGE)) == 0;
}
static bool allocate_behind_the_end(const struct target *target) {
  return fallocate(target->fd, 0, (off_t)target->size, PAGE) == 0;
}
static bool allocate_behind_the_end_in_secret(const struct target *target) {
  return fallocate(target->fd, FALLOC_FL_KEEP_SIZE, (off_t)target->size, PAGE) == 0;
}
static bool seal_against_writing(const struct target *target) {
  return fcntl(target->fd, F_ADD_SEALS, F_SEAL_WRITE) == 0;
}
static bool seal_once_more(const struct target *target) {
  return fcntl(target->fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0;
}

static const struct attempt {
  const char *name;
  bool (*succeeds)(const struct target *target);
  bool writes; /* the content; else the size or the seals */
} attempts[] = {
    {"write", write_at_place, true},
    {"pwrite", write_at_offset, true},
    {"sendfile", send_file, true},
    {"mmap PROT_WRITE MAP_SHARED", map_to_write, true},
    {"mprotect PROT_WRITE", protect_to_write, true},
    {"madvise MADV_REMOVE", remove_pages, true},
    {"fallocate PUNCH_HOLE", punch, true},
    {"fallocate ZERO_RANGE", zero, true},
    {"write /proc/self/mem", write_own_memory, true},
    {"ftruncate to 0", truncate_to_nothing, false},
    {"ftruncate by a page", truncate_by_a_page, false},
    {"ftruncate to grow", grow_by_a_page, false},
    {"fallocate behind the end", allocate_behind_the_end, false},
    {"fallocate KEEP_SIZE behind the end", allocate_behind_the_end_in_secret, false},
    {"F_ADD_SEALS F_SEAL_WRITE", seal_against_writing, false},
    {"F_ADD_SEALS F_SEAL_SHRINK", seal_once_more, false},
};

/* Makes all attempts. Returns how many succeed, and prints which. */
static unsigned try_all(const struct target *target, const char *what) {
  unsigned succeeded = 0;

  for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
    if ((target->writable && attempts[i].writes) || !attempts[i].succeeds(target))
      continue;
    (void)fprintf(stderr, "%s: %s succeeded\n", what, attempts[i].name);
    succeeded++;
  }
  return succeeded;
}

/* Makes all attempts on each descriptor that opening `path` gives. */
static unsigned try_path(const char *path, const struct target *target, unsigned *opened) {
  static const int modes[] = {O_RDWR, O_WRONLY, O_RDWR | O_TRUNC, O_RDWR | O_APPEND};
  unsigned succeeded = 0;

  for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
    struct target again = *target;

    again.fd = open(path, modes[i] | O_CLOEXEC);
    if (again.fd < 0)
      continue;
    succeeded += try_all(&again, path);
    *opened += 1;
    (void)close(again.fd);
  }
  return succeeded;
}

static bool map_target(struct target *target, int fd) {
  struct stat status;

  if (fstat(fd, &status) < 0)
    return false;
  target->fd = fd;
  target->size = (size_t)status.st_size;
  target->map = mmap(NULL, target->size, PROT_READ, MAP_SHARED, fd, 0);
  return target->map != MAP_FAILED;
}

/* What a client gets: the files of the region, and the ring. */
struct targets {
  unsigned n;
  struct target list[FC_REGION_PASSED_MAX];
};

/* Returns the target that is the file at `path`, NULL if none is. */
static const struct target *target_at(const struct targets *targets, const char *path) {
  struct stat there, ours;

  for (unsigned i = 0; i < targets->n; i++)
    if (stat(path, &there) == 0 && fstat(targets->list[i].fd, &ours) == 0 &&
        there.st_ino == ours.st_ino && there.st_dev == ours.st_dev)
      return &targets->list[i];
  return NULL;
}

/* Makes all attempts on the daemon's own descriptors of the region. *opened: of these, the number
 * that could be opened. */
static unsigned try_daemon(const struct targets *targets, unsigned *opened) {
  char path[64], connection[256];
  unsigned succeeded = 0;

  for (int fd = 0; fd < 256; fd++) {
    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)served.pid, fd);
    ssize_t size = readlink(path, connection, sizeof connection - 1);
    if (size < 0)
      continue;
    connection[size] = '\0';
    if (strncmp(connection, "/memfd:fcached-region", 21) != 0 &&
        strncmp(connection, "/memfd:fcached-segment", 22) != 0)
      continue;
    const struct target *target = target_at(targets, path);
    succeeded += target == NULL ? 1 : try_path(path, target, opened);
  }
  return succeeded;
}

static bool map_targets(struct targets *targets, const struct raw *raw) {
  for (unsigned i = 0; i < raw->n_region_fds; i++)
    if (!map_target(&targets->list[i], raw->region_fds[i]))
      return false;
  targets->n = raw->n_region_fds + 1;
  targets->list[targets->n - 1].writable = true;
  return map_target(&targets->list[targets->n - 1], raw->ring_fd);
}

/* Makes all attempts as a client, on each descriptor that it got. Returns 0 if none succeeds. */
static int try_everything(void *arg) {
  static struct targets targets;
  struct raw raw;
  char path[64];
  unsigned opened = 0;

  CHILD_EXPECT(raw_try_region(&raw, served.socket, "hostile", "hostile") == 0);
  CHILD_EXPECT(raw.n_region_fds > 2 && map_targets(&targets, &raw));
  for (unsigned i = 0; i < targets.n; i++) {
    CHILD_EXPECT(try_all(&targets.list[i], "a client's descriptor") == 0);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", targets.list[i].fd);
    CHILD_EXPECT(try_path(path, &targets.list[i], &opened) == 0);
    CHILD_EXPECT(opened > i); /* opening alone changes nothing */
  }
  opened = 0;
  CHILD_EXPECT(try_daemon(&targets, &opened) == 0);
  CHILD_EXPECT(*(bool *)arg ? opened == 0 : opened >= raw.n_region_fds);
  raw_close(&raw);
  return 0;
}

/* Copies the region without the calibration of the clock, which the daemon itself renews. */
static void copy_region(uint8_t *to, const uint8_t *region, size_t size) {
  const size_t from = offsetof(struct fc_region_header, clock_sequence),
               end = offsetof(struct fc_region_header, reserved_1);
  memcpy(to, region, size);
  memset(to + from, 0, end - from);
}

static void try_as(const struct child_user *user) {
  struct raw raw;
  size_t size;
  bool is_stranger = user != NULL;

  raw_open_region(&raw, served.socket, "watcher", "watcher");
  const uint8_t *region = raw_map_region(&raw, &size);
  uint8_t *before = malloc(size), *after = malloc(size);
  ck_assert(region != NULL && before != NULL && after != NULL);
  copy_region(before, region, size);
  ck_assert_int_eq(child_run(try_everything, &is_stranger, user), 0);
  copy_region(after, region, size);
  ck_assert_int_eq(memcmp(before, after, size), 0);
  free(before);
  free(after);
  (void)munmap((void *)(uintptr_t)region, size);
  raw_close(&raw);
  good_client_check(&good);
}

START_TEST(region_same_user_cannot_change) {
  try_as(NULL);
}
END_TEST

START_TEST(region_other_user_cannot_change) {
  if (geteuid() != 0) {
    printf("skipped: only root can become other users\n");
    return;
  }
  try_as(&member);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("tampering with the region");
  TCase *tcase = tcase_create("tampering with the region");

  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, start, stop);
  tcase_add_test(tcase, region_same_user_cannot_change);
  tcase_add_test(tcase, region_other_user_cannot_change);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
