/* Attempts of other processes and users to change the region. */
#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/runner.h"
#include "tests/support/shared_region.h"

#define NOBODY 65534

static bool can_write(int fd, size_t size) {
  (void)size;
  return write(fd, "x", 1) >= 0 || pwrite(fd, "x", 1, 4096) >= 0;
}
static bool can_cut(int fd, size_t size) {
  return ftruncate(fd, 0) == 0 || ftruncate(fd, (off_t)size - 4096) == 0;
}
static bool can_grow(int fd, size_t size) {
  return ftruncate(fd, (off_t)size + 4096) == 0 || fallocate(fd, 0, (off_t)size, 4096) == 0;
}
static bool can_map_to_write(int fd, size_t size) {
  return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED ||
         mmap(NULL, size, PROT_WRITE, MAP_SHARED_VALIDATE, fd, 0) != MAP_FAILED;
}
static bool can_make_a_map_writable(int fd, size_t size) {
  void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
  return map != MAP_FAILED && mprotect(map, size, PROT_READ | PROT_WRITE) == 0;
}
static bool can_punch(int fd, size_t size) {
  void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
  return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 8192) == 0 ||
         fallocate(fd, FALLOC_FL_ZERO_RANGE, 0, 8192) == 0 ||
         (map != MAP_FAILED && madvise(map, 8192, MADV_REMOVE) == 0);
}
static bool can_seal(int fd, size_t size) {
  (void)size;
  return fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0;
}

static const struct attempt {
  const char *what;
  bool (*works)(int fd, size_t size);
} attempts[] = {
    {"write", can_write},
    {"cut", can_cut},
    {"grow", can_grow},
    {"map to write", can_map_to_write},
    {"make a map writable", can_make_a_map_writable},
    {"punch out pages", can_punch},
    {"seal", can_seal},
};
#define N_ATTEMPTS (sizeof attempts / sizeof attempts[0])

/* Tries to write through a descriptor that clients receive, and through the file opened again.
 * Returns 0 if nothing worked, else 1 + the number of the attempt. */
static int attack_file(int fd) {
  struct stat status;
  char path[64];
  if (fstat(fd, &status) != 0)
    return 100;
  size_t size = (size_t)status.st_size;
  (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getppid(), fd);
  int anew = open(path, O_RDWR | O_CLOEXEC); /* if the system allows that at all */
  for (size_t i = 0; i < N_ATTEMPTS; i++)
    if (attempts[i].works(fd, size) || (anew >= 0 && attempts[i].works(anew, size)))
      return (int)(1 + i);
  /* A private copy does no harm. */
  uint8_t *copy = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
  if (copy != MAP_FAILED)
    memset(copy, 0xee, size);
  return 0;
}

/* Runs in a child. */
static _Noreturn void attack(const struct region *region, uid_t as) {
  int fds[FC_REGION_FDS_MAX], code = 0;
  unsigned n = region_writer_fds(region, fds);
  if (as != getuid() && (setgid(as) != 0 || setuid(as) != 0))
    _exit(100);
  for (unsigned i = 0; i < n && code == 0; i++)
    code = attack_file(fds[i]);
  _exit(code);
}

static void check_attack(uid_t as) {
  struct region region;
  int fds[FC_REGION_FDS_MAX];
  shared_region_open(&region);
  /* static, because the child never returns: else valgrind reports its copy as lost */
  static uint8_t *before;
  before = malloc(region.size);
  ck_assert_ptr_nonnull(before);
  ck_assert(region_writer_commit(&region, region.arena_size));
  memset(region.base + region.arena_offset, 0x5a, region.arena_size);
  memcpy(before, region.base, region.size);
  pid_t child = fork();
  if (child == 0)
    attack(&region, as);
  int end = 0;
  ck_assert_int_eq(waitpid(child, &end, 0), child);
  ck_assert(WIFEXITED(end));
  size_t code = (size_t)WEXITSTATUS(end);
  ck_assert_msg(code == 0, "another process can %s",
                code <= N_ATTEMPTS ? attempts[code - 1].what : "not become another user");
  ck_assert(memcmp(before, region.base, region.size) == 0);
  unsigned n = region_writer_fds(&region, fds);
  uint64_t size = 0;
  ck_assert_uint_eq(n, 1 + region.n_segments);
  for (unsigned i = 0; i < n; i++) {
    struct stat status;
    ck_assert_int_eq(fstat(fds[i], &status), 0);
    size += (uint64_t)status.st_size;
    ck_assert_int_eq(fcntl(fds[i], F_GET_SEALS),
                     F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL);
  }
  ck_assert_uint_eq(size, region.size);
  region.base[0]++; /* the daemon's own mapping stays writable */
  region.base[region.size - 1]++;
  free(before);
  region_writer_deinit(&region);
}

START_TEST(other_process_cannot_write_region) {
  if (runner_lacks("seals against holes"))
    return;
  check_attack(getuid());
}
END_TEST

START_TEST(other_user_cannot_write_region) {
  if (runner_lacks("seals against holes"))
    return;
  if (getuid() != 0) {
    printf("skipped: the region against another user: only root can be one\n");
    return;
  }
  check_attack(NOBODY);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("region_access");
  TCase *tcase = tcase_create("region_access");
  tcase_add_test(tcase, other_process_cannot_write_region);
  tcase_add_test(tcase, other_user_cannot_write_region);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
