/* The region as its writer makes it: what stands where, who may do what to it, what readers see of
 * its owner's life, and what happens where the system does not give the memory. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/lib/shm/region_reader.h"
#include "daemon/store/store.h"
#include "proto/errors.h"
#include "tests/support/runner.h"

#define MAX_BYTES (4u << 20)
#define MAX_VALUE 4096u
#define BOOT_ID 77u
#define NOBODY 65534

static void make(struct region *region) {
  struct error_text why = {0};
  ck_assert_int_eq(region_init(region, MAX_BYTES, MAX_VALUE, BOOT_ID, true, &why), 0);
  ck_assert_msg(region->fd >= 0, "%s", why.text);
}

/* ---- what stands where ---- */

START_TEST(the_parts_follow_each_other) {
  static const uint64_t sizes[] = {1, 64u << 10, 1u << 20, 5000001};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    struct region region;
    struct error_text why;
    ck_assert_int_eq(region_init(&region, sizes[i], MAX_VALUE, BOOT_ID, false, &why), 0);
    const struct fc_region_header *header = region.header;
    ck_assert_uint_eq(header->magic, FC_REGION_MAGIC);
    ck_assert_uint_eq(header->layout, FC_REGION_LAYOUT);
    ck_assert_uint_eq(header->max_value, MAX_VALUE);
    ck_assert_uint_eq(header->boot_id, BOOT_ID);
    ck_assert_uint_eq(header->size, region.size);
    ck_assert_uint_eq(header->buckets_offset, FC_REGION_PAGE);
    ck_assert_uint_eq(header->n_buckets, region.n_buckets);
    ck_assert_uint_eq(header->arena_offset, region.arena_offset);
    ck_assert_uint_eq(header->arena_size, region.arena_size);
    ck_assert_uint_ge(region.n_buckets, 64);
    ck_assert_uint_ge(region.arena_offset, FC_REGION_PAGE + region.n_buckets * 16);
    ck_assert_uint_eq(region.arena_offset % FC_REGION_PAGE, 0);
    ck_assert_uint_eq(region.arena_size % FC_REGION_PAGE, 0);
    ck_assert_uint_gt(region.arena_size, sizes[i]);
    ck_assert_uint_eq(region.size, region.arena_offset + region.arena_size);
    ck_assert_uint_eq(region_overhead_bytes(sizes[i]), region.size - sizes[i]);
    region_deinit(&region);
    region_deinit(&region);
  }
}
END_TEST

START_TEST(a_client_maps_it_by_its_boot_id) {
  struct region region;
  struct region_map map;
  make(&region);
  ck_assert(!region_map_fd(&map, region.fd, BOOT_ID + 1));
  ck_assert_ptr_null(map.base);
  ck_assert(region_map_fd(&map, region.fd, BOOT_ID));
  ck_assert_uint_eq(map.size, region.size);
  ck_assert(region_is_live(&map));
  region_unmap(&map);
  region_deinit(&region);
}
END_TEST

/* ---- the index ---- */

static uint64_t sequence_of(const struct region *region, uint64_t digest) {
  return region->buckets[fc_region_bucket_of(digest, region->n_buckets)].sequence;
}

START_TEST(a_window_is_opened_once_and_ends_two_further) {
  struct region region;
  make(&region);
  ck_assert_uint_eq(sequence_of(&region, 5), 0);
  ck_assert(region_open(&region, 5));
  ck_assert_uint_eq(sequence_of(&region, 5), 1);
  ck_assert(!region_open(&region, 5));
  ck_assert_uint_eq(sequence_of(&region, 5), 1);
  region_close(&region, 5);
  ck_assert_uint_eq(sequence_of(&region, 5), 2);
  ck_assert(region_open(&region, 5));
  region_close(&region, 5);
  ck_assert_uint_eq(sequence_of(&region, 5), 4);
  ck_assert_uint_eq(sequence_of(&region, UINT64_MAX), 0);
  region_deinit(&region);
}
END_TEST

START_TEST(a_chain_is_linked_relinked_and_unlinked) {
  struct region region;
  make(&region);
  ck_assert(region_promise(&region, FC_REGION_PAGE));
  struct fc_region_entry *entries[4];
  for (uint32_t i = 0; i < 4; i++)
    entries[i] = region_at(&region, region.arena_offset + i * sizeof *entries[0]);
  ck_assert_ptr_null(region_first(&region, 9));
  for (uint32_t i = 0; i < 3; i++)
    region_link(&region, 9, entries[i]);
  ck_assert_ptr_eq(region_first(&region, 9), entries[2]);
  ck_assert_ptr_eq(region_next(&region, entries[2]), entries[1]);
  ck_assert_ptr_eq(region_next(&region, entries[1]), entries[0]);
  ck_assert_ptr_null(region_next(&region, entries[0]));
  entries[3]->next = region_offset(&region, entries[0]);
  region_relink(&region, 9, entries[1], entries[3]);
  ck_assert_ptr_eq(region_next(&region, entries[2]), entries[3]);
  ck_assert_ptr_eq(region_next(&region, entries[3]), entries[0]);
  region_unlink(&region, 9, entries[2]);
  region_unlink(&region, 9, entries[0]);
  ck_assert_ptr_eq(region_first(&region, 9), entries[3]);
  ck_assert_ptr_null(region_next(&region, entries[3]));
  region_unlink(&region, 9, entries[3]);
  ck_assert_ptr_null(region_first(&region, 9));
  region_deinit(&region);
}
END_TEST

/* ---- who may do what to it ---- */

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

/* In a child: by what it was handed, and by the file opened anew. Its exit status: 0 if nothing
 * worked, else 1 + the attempt's number. */
static _Noreturn void attack(const struct region *region, uid_t as) {
  char path[64];
  (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)getppid(), region->fd);
  if (as != getuid() && (setgid(as) != 0 || setuid(as) != 0))
    _exit(100);
  int anew = open(path, O_RDWR | O_CLOEXEC); /* where that is allowed at all */
  for (size_t i = 0; i < N_ATTEMPTS; i++)
    if (attempts[i].works(region->fd, region->size) ||
        (anew >= 0 && attempts[i].works(anew, region->size)))
      _exit((int)(1 + i));
  /* A private copy is the attacker's own business. */
  uint8_t *copy = mmap(NULL, region->size, PROT_READ | PROT_WRITE, MAP_PRIVATE, region->fd, 0);
  if (copy != MAP_FAILED)
    memset(copy, 0xee, region->size);
  _exit(0);
}

static void check_attack(uid_t as) {
  struct region region;
  struct stat status;
  make(&region);
  static uint8_t
      *before; /* static: valgrind sees that the child, which never returns, has it too */
  before = malloc(region.size);
  ck_assert_ptr_nonnull(before);
  ck_assert(region_promise(&region, region.arena_size));
  memset(region.base + region.arena_offset, 0x5a, region.arena_size);
  memcpy(before, region.base, region.size);
  pid_t child = fork();
  if (child == 0)
    attack(&region, as);
  int end = 0;
  ck_assert_int_eq(waitpid(child, &end, 0), child);
  ck_assert(WIFEXITED(end));
  size_t code = (size_t)WEXITSTATUS(end);
  ck_assert_msg(code == 0, "somebody can %s",
                code <= N_ATTEMPTS ? attempts[code - 1].what : "not become another user");
  ck_assert(memcmp(before, region.base, region.size) == 0);
  ck_assert_int_eq(fstat(region.fd, &status), 0);
  ck_assert_uint_eq((uint64_t)status.st_size, region.size);
  ck_assert_int_eq(fcntl(region.fd, F_GET_SEALS),
                   F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL);
  region.base[0]++; /* the daemon's own mapping stays writable */
  free(before);
  region_deinit(&region);
}

START_TEST(nobody_else_changes_it) {
  if (runner_lacks("seals against holes"))
    return;
  check_attack(getuid());
}
END_TEST

START_TEST(nor_does_another_user) {
  if (runner_lacks("seals against holes"))
    return;
  if (getuid() != 0) {
    printf("skipped: the region against another user: only root can be one\n");
    return;
  }
  check_attack(NOBODY);
}
END_TEST

/* ---- life and death ---- */

/* A process that owns a region, and our mapping of it. */
struct owner {
  pid_t pid;
  struct region_map map;
};

/* In the owner: says where its region is, and waits to be killed. */
static _Noreturn void live(void (*prepare)(struct region *region), int to) {
  struct region region;
  struct error_text why;
  if (region_init(&region, MAX_BYTES, MAX_VALUE, BOOT_ID, true, &why) != 0)
    _exit(1);
  prepare(&region);
  if (write(to, &region.fd, sizeof region.fd) != sizeof region.fd)
    _exit(1);
  for (;;)
    pause();
}

static void start_owner(struct owner *owner, void (*prepare)(struct region *region)) {
  int ends[2], theirs = -1;
  char path[64];
  ck_assert_int_eq(pipe(ends), 0);
  owner->pid = fork();
  if (owner->pid == 0) {
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* where the test fails */
    live(prepare, ends[1]);
  }
  close(ends[1]);
  ck_assert_int_eq(read(ends[0], &theirs, sizeof theirs), sizeof theirs);
  close(ends[0]);
  (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)owner->pid, theirs);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  ck_assert_msg(fd >= 0, "%s: %s", path, strerror(errno));
  ck_assert(region_map_fd(&owner->map, fd, BOOT_ID));
  close(fd);
}

static void kill_owner(const struct owner *owner) {
  ck_assert_int_eq(kill(owner->pid, SIGKILL), 0);
  ck_assert_int_eq(waitpid(owner->pid, NULL, 0), owner->pid);
}

static void prepare_nothing(struct region *region) {
  (void)region;
}

START_TEST(a_killed_owner_is_seen) {
  if (runner_lacks("robust mutexes"))
    return;
  struct owner owner;
  start_owner(&owner, prepare_nothing);
  ck_assert(region_is_live(&owner.map));
  kill_owner(&owner);
  ck_assert(!region_is_live(&owner.map));
  region_unmap(&owner.map);
}
END_TEST

START_TEST(a_stopped_owner_lives) {
  if (runner_lacks("robust mutexes"))
    return;
  struct owner owner;
  int status;
  start_owner(&owner, prepare_nothing);
  ck_assert_int_eq(kill(owner.pid, SIGSTOP), 0);
  ck_assert_int_eq(waitpid(owner.pid, &status, WUNTRACED), owner.pid);
  ck_assert(WIFSTOPPED(status));
  ck_assert(region_is_live(&owner.map));
  kill_owner(&owner);
  ck_assert(!region_is_live(&owner.map));
  region_unmap(&owner.map);
}
END_TEST

static struct fc_key key_of(uint32_t n) {
  return (struct fc_key){.op = fc_str_of("op"), .view = fc_str_of("base"), .top_k = n};
}

/* Both keys' digests are in the namespace of this id. */
#define NAMESPACE_ID 3u

static uint64_t digest_of(uint32_t n) {
  struct fc_key key = key_of(n);
  return fc_key_digest(NAMESPACE_ID, &key);
}

/* An owner that stores keys 1 and 2, and dies in the midst of a change of 2's bucket. */
static void prepare_half_a_window(struct region *region) {
  static struct store store;
  static struct namespace ns;
  struct store_put_info info = {.origin = 5, .compute_ns = 6};
  if (store_init(&store, region, MAX_BYTES, MAX_VALUE, 7, 8) != 0)
    _exit(1);
  namespace_init(&ns, fc_str_of("ns"), NAMESPACE_ID, 1);
  for (uint32_t n = 1; n <= 2; n++) {
    struct fc_key key = key_of(n);
    if (store_put(&store, &ns, &key, "value", 5, &info) != FC_STORED)
      _exit(1);
  }
  if (!region_open(region, digest_of(2)))
    _exit(1);
}

static enum region_result get(const struct region_map *map, uint32_t n,
                              struct fcache_value *value) {
  struct fc_key key = key_of(n);
  struct region_hit hit = {0};
  enum region_result result = region_get(map, NAMESPACE_ID, digest_of(n), &key, value, &hit);
  if (result == REGION_HIT) {
    ck_assert_uint_eq(hit.compute_ns, 6);
    ck_assert_uint_eq((uint32_t)hit.origin, 5);
  }
  return result;
}

START_TEST(an_owner_that_died_in_a_window_leaves_it_busy) {
  if (runner_lacks("robust mutexes"))
    return;
  struct owner owner;
  struct fcache_value value = {0};
  start_owner(&owner, prepare_half_a_window);
  ck_assert_int_eq(get(&owner.map, 2, &value), REGION_BUSY);
  kill_owner(&owner);
  /* Nobody would ask a dead region; one that began to before its end ends as well. */
  ck_assert(!region_is_live(&owner.map));
  ck_assert_int_eq(get(&owner.map, 2, &value), REGION_BUSY);
  ck_assert_int_eq(get(&owner.map, 1, &value), REGION_HIT);
  ck_assert_uint_eq(value.size, 5);
  ck_assert(memcmp(value.data, "value", 5) == 0);
  ck_assert_int_eq(get(&owner.map, 3, &value), REGION_MISS);
  free(value.data);
  region_unmap(&owner.map);
}
END_TEST

START_TEST(a_retired_region_serves_nothing) {
  struct region region;
  struct region_map map;
  make(&region);
  ck_assert(region_map_fd(&map, region.fd, BOOT_ID));
  ck_assert(region_is_live(&map));
  region_retire(&region);
  ck_assert(!region_is_live(&map));
  region_deinit(&region);
  ck_assert(!region_is_live(&map));
  region_unmap(&map);
}
END_TEST

START_TEST(the_end_of_a_region_is_seen) {
  struct region region;
  struct region_map map;
  make(&region);
  ck_assert(region_map_fd(&map, region.fd, BOOT_ID));
  region_deinit(&region);
  ck_assert_ptr_null(region.base);
  ck_assert_int_eq(region.fd, -1);
  ck_assert(!region_is_live(&map));
  region_unmap(&map);
}
END_TEST

/* ---- memory ---- */

static uint64_t given_bytes(const struct region *region) {
  struct stat status;
  ck_assert_int_eq(fstat(region->fd, &status), 0);
  return (uint64_t)status.st_blocks * 512;
}

START_TEST(memory_is_promised_in_steps) {
  const uint64_t step = 1u << 20;
  struct region region;
  make(&region);
  uint64_t head = region.arena_offset;
  ck_assert_uint_eq(given_bytes(&region), head);
  ck_assert(region_promise(&region, 1));
  ck_assert_uint_eq(given_bytes(&region), head + step);
  ck_assert(region_promise(&region, step));
  ck_assert_uint_eq(given_bytes(&region), head + step);
  ck_assert(region_promise(&region, step + 1));
  ck_assert_uint_eq(given_bytes(&region), head + 2 * step);
  ck_assert(region_promise(&region, region.arena_size));
  ck_assert_uint_eq(given_bytes(&region), region.size);
  region_deinit(&region);
}
END_TEST

/* From now on the system call fails with that error, in this process. False where that cannot be
 * arranged. */
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

#define IMPOSSIBLE 77 /* exit status: the fault could not be arranged */

/* Runs it in a child: 0 is good, anything else the line that was not. */
static void check_in_child(int (*run)(void)) {
  fflush(NULL);
  pid_t child = fork();
  if (child == 0)
    _exit(run());
  int end = 0;
  ck_assert_int_eq(waitpid(child, &end, 0), child);
  ck_assert(WIFEXITED(end));
  if (WEXITSTATUS(end) == IMPOSSIBLE)
    printf("skipped: system calls that fail: seccomp is not to be had\n");
  else
    ck_assert_int_eq(WEXITSTATUS(end), 0);
}

static int promise_without_memory(void) {
  struct region region;
  struct error_text why;
  if (region_init(&region, MAX_BYTES, MAX_VALUE, BOOT_ID, true, &why) != 0 || region.fd < 0 ||
      !region_promise(&region, 1))
    return 1;
  if (!forbid(SYS_fallocate, ENOSPC))
    return IMPOSSIBLE;
  uint64_t promised = region.promised_bytes;
  if (!region_promise(&region, promised)) /* it is there */
    return 2;
  if (region_promise(&region, promised + 1) || region_promise(&region, region.arena_size))
    return 3;
  if (region.promised_bytes != promised)
    return 4;
  region_deinit(&region);
  return 0;
}

START_TEST(a_promise_that_cannot_be_kept_is_not_given) {
  check_in_child(promise_without_memory);
}
END_TEST

/* It serves as before, for the daemon alone. */
static int check_private(void) {
  struct region region;
  struct error_text why = {0};
  if (region_init(&region, MAX_BYTES, MAX_VALUE, BOOT_ID, true, &why) != 0)
    return 1;
  if (region.fd != -1 || region.base == NULL ||
      strstr(why.text, "clients cannot read the cache themselves") == NULL)
    return 2;
  if (!region_promise(&region, region.arena_size) || !region_open(&region, 1))
    return 3;
  region_link(&region, 1, region_at(&region, region.arena_offset));
  region_close(&region, 1);
  if (region_first(&region, 1) != region_at(&region, region.arena_offset))
    return 4;
  region_deinit(&region);
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
static int with_small_files_alone(void) {
  struct rlimit limit = {.rlim_cur = 4096, .rlim_max = 4096};
  if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || setrlimit(RLIMIT_FSIZE, &limit) != 0)
    return IMPOSSIBLE;
  return check_private();
}

START_TEST(without_shared_memory_it_is_private) {
  check_in_child(without_memfd);
  check_in_child(without_memory);
  check_in_child(without_seals);
  check_in_child(with_small_files_alone);
}
END_TEST

START_TEST(what_was_not_to_be_shared_is_private) {
  struct region region;
  struct error_text why = {0};
  ck_assert_int_eq(region_init(&region, MAX_BYTES, MAX_VALUE, BOOT_ID, false, &why), 0);
  ck_assert_int_eq(region.fd, -1);
  ck_assert_str_eq(why.text, "");
  ck_assert(region_promise(&region, region.arena_size));
  region_deinit(&region);
}
END_TEST

START_TEST(more_than_there_is_is_refused) {
  struct region region;
  struct error_text why = {0};
  ck_assert_int_eq(region_init(&region, UINT64_C(1) << 60, MAX_VALUE, BOOT_ID, false, &why),
                   FC_ENOMEM);
  ck_assert_ptr_nonnull(strstr(why.text, "--max-bytes"));
  region_deinit(&region);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("region");
  TCase *tests = tcase_create("region");
  tcase_add_test(tests, the_parts_follow_each_other);
  tcase_add_test(tests, a_client_maps_it_by_its_boot_id);
  tcase_add_test(tests, a_window_is_opened_once_and_ends_two_further);
  tcase_add_test(tests, a_chain_is_linked_relinked_and_unlinked);
  tcase_add_test(tests, nobody_else_changes_it);
  tcase_add_test(tests, nor_does_another_user);
  tcase_add_test(tests, a_killed_owner_is_seen);
  tcase_add_test(tests, a_stopped_owner_lives);
  tcase_add_test(tests, an_owner_that_died_in_a_window_leaves_it_busy);
  tcase_add_test(tests, a_retired_region_serves_nothing);
  tcase_add_test(tests, the_end_of_a_region_is_seen);
  tcase_add_test(tests, memory_is_promised_in_steps);
  tcase_add_test(tests, a_promise_that_cannot_be_kept_is_not_given);
  tcase_add_test(tests, without_shared_memory_it_is_private);
  tcase_add_test(tests, what_was_not_to_be_shared_is_private);
  tcase_add_test(tests, more_than_there_is_is_refused);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
