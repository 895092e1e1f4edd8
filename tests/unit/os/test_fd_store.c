/* The descriptor store: what is pushed comes back to the next process, in whatever state the
 * service manager is. */
#include "daemon/os/fd_store.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/child_process.h"
#include "tests/support/service_manager.h"

#define FIRST_FD 3

static struct service_manager manager;
static struct sd_notify notify;
static struct fd_store store;

static void connect_store(const char *path) {
  ck_assert_int_eq(setenv("NOTIFY_SOCKET", path, 1), 0);
  sd_notify_init(&notify);
  ck_assert_int_eq(unsetenv("NOTIFY_SOCKET"), 0);
  fd_store_init(&store, &notify);
}

static void set_up(void) {
  service_manager_init(&manager);
  connect_store(manager.notify_path);
}

static void tear_down(void) {
  fd_store_deinit(&store);
  fd_store_deinit(&store);
  sd_notify_deinit(&notify);
  service_manager_deinit(&manager);
}

/* Returns a memory file of `size` bytes, with the first page in use. */
static int make_memory(off_t size) {
  int fd = memfd_create("test", MFD_CLOEXEC);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(ftruncate(fd, size), 0);
  ck_assert_int_eq(pwrite(fd, "x", 1, 0), 1);
  return fd;
}

static uint64_t inode_of(int fd) {
  struct stat st;
  return fstat(fd, &st) == 0 ? st.st_ino : 0;
}

/* ---- the next process ---- */

struct passed_one {
  const char *name;
  int fd;
};

struct next {
  const struct passed_one *list;
  size_t n;
  int (*check)(void);
};

/* Puts the descriptors where a service manager passes them, and receives them. */
static int receive_in_child(void *arg) {
  const struct next *next = arg;
  struct passed_fds passed;
  struct error_text error;
  char names[4096] = "", number[16], pid[16];
  int copies[16], own_notify;
  CHILD_EXPECT(next->n <= 16);
  own_notify = fcntl(notify.fd, F_DUPFD_CLOEXEC, 200);
  for (size_t i = 0; i < next->n; i++)
    copies[i] = fcntl(next->list[i].fd, F_DUPFD, 100);
  for (size_t i = 0; i < next->n; i++) {
    CHILD_EXPECT(dup2(copies[i], FIRST_FD + (int)i) >= 0 && close(copies[i]) == 0);
    size_t used = strlen(names);
    (void)snprintf(names + used, sizeof names - used, "%s%s", i == 0 ? "" : ":",
                   next->list[i].name); /* may cut a hostile name */
  }
  notify.fd = own_notify;
  (void)snprintf(number, sizeof number, "%zu", next->n);
  (void)snprintf(pid, sizeof pid, "%d", (int)getpid());
  CHILD_EXPECT(setenv("LISTEN_FDS", number, 1) == 0 && setenv("LISTEN_PID", pid, 1) == 0 &&
               setenv("LISTEN_FDNAMES", names, 1) == 0);
  CHILD_EXPECT(passed_fds_receive(&passed, &error) == 0 && passed.n == next->n);
  CHILD_EXPECT(fd_store_receive(&store, &passed) == 0);
  passed_fds_deinit(&passed);
  int rc = next->check();
  fd_store_deinit(&store);
  return rc;
}

static void receive(const struct passed_one *list, size_t n, int (*check)(void)) {
  struct next next = {list, n, check};
  ck_assert_int_eq(child_run(receive_in_child, &next, NULL), 0);
}

static const struct fd_store_memory *find(const char *name) {
  for (unsigned i = 0; i < store.n_received; i++)
    if (strcmp(store.received[i].name, name) == 0)
      return &store.received[i];
  return NULL;
}

/* ---- tests ---- */

START_TEST(store_pushed_memory_is_kept_by_name) {
  char name[FD_STORE_NAME_SIZE];
  int catalog = make_memory(4096), segment = make_memory(1 << 20);
  ck_assert(fd_store_is_available(&store));
  fd_store_push(&store, FD_STORE_CATALOG, catalog);
  fd_store_push(&store, fd_store_segment_name(name, 0xabc, 7), segment);
  ck_assert_str_eq(name, "segment-0000000000000abc-7");
  ck_assert_uint_eq(inode_of(service_manager_fd(&manager, name)), inode_of(segment));
  ck_assert_uint_eq(inode_of(service_manager_fd(&manager, "catalog")), inode_of(catalog));
  fd_store_push(&store, fd_store_segment_name(name, 0xabc, 8), segment);
  ck_assert_int_eq(service_manager_fd(&manager, name), -1); /* it has a name already */
  fd_store_remove(&store, FD_STORE_CATALOG);
  ck_assert_uint_eq(service_manager_count(&manager, NULL), 1);
  ck_assert_uint_eq(store.failed, 0);
  ck_assert_int_eq(close(catalog) + close(segment), 0);
}
END_TEST

static int check_received(void) {
  const struct fd_store_memory *memory = find("segment-1-1");
  CHILD_EXPECT(store.n_received == 2 && memory != NULL && find("catalog") != NULL);
  CHILD_EXPECT(memory->bytes == 8 << 20 && memory->committed_bytes > 0);
  CHILD_EXPECT(memory->committed_bytes < 1 << 20 && memory->inode == inode_of(memory->fd));
  CHILD_EXPECT(fd_store_received_bytes(&store) ==
               memory->committed_bytes + find("catalog")->committed_bytes);
  CHILD_EXPECT((fcntl(memory->fd, F_GETFD) & FD_CLOEXEC) != 0);
  return 0;
}

START_TEST(store_next_process_receives_memory) {
  int catalog = make_memory(4096), segment = make_memory(8 << 20);
  const struct passed_one list[] = {{"segment-1-1", segment}, {"catalog", catalog}};
  receive(list, 2, check_received);
  ck_assert_uint_eq(manager.n_messages, 0); /* nothing was foreign */
  ck_assert_int_eq(close(catalog) + close(segment), 0);
}
END_TEST

static int check_foreign(void) {
  CHILD_EXPECT(store.n_received == 1 && find("catalog") != NULL);
  CHILD_EXPECT(fcntl(FIRST_FD, F_GETFD) < 0); /* closed */
  return 0;
}

/* Foreign descriptors are closed and leave the store, unless their name is in use. */
START_TEST(store_foreign_descriptors_are_removed) {
  int ends[2], catalog = make_memory(4096), other = make_memory(4096);
  int null = open("/dev/null", O_RDONLY | O_CLOEXEC), file;
  char path[HARNESS_PATH_SIZE + 8];
  (void)snprintf(path, sizeof path, "%s/file", manager.daemon.dir);
  file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
  const struct passed_one list[] = {
      {"other", other},  {"segment-1-2", null}, {"catalog", catalog},
      {"catalog", file}, {"segment-1-1", file}, {"", ends[0]},
  };
  for (size_t i = 0; i < 6; i++)
    service_manager_store(&manager, list[i].name, list[i].fd);
  ck_assert_uint_eq(service_manager_count(&manager, NULL), 5); /* `file` once */
  receive(list, 6, check_foreign);
  ck_assert_uint_eq(service_manager_count(&manager, "catalog"), 2);
  ck_assert_uint_eq(service_manager_count(&manager, NULL), 3); /* and the one without a name */
  ck_assert_int_eq(close(catalog) + close(other) + close(null) + close(file), 0);
  ck_assert_int_eq(close(ends[0]) + close(ends[1]), 0);
}
END_TEST

static int take_catalog_and_drop(void) {
  for (unsigned i = 0; i < store.n_received; i++)
    if (strcmp(store.received[i].name, "catalog") == 0 && store.received[i].bytes == 8192)
      store.received[i].fd = -1; /* as the adopting owner does; the process ends soon */
  fd_store_drop_received(&store);
  CHILD_EXPECT(store.n_received == 0 && store.failed == 0);
  return 0;
}

START_TEST(store_memory_that_nobody_takes_is_removed) {
  int catalog = make_memory(8192), second = make_memory(4096), index = make_memory(4096);
  const struct passed_one list[] = {
      {"catalog", catalog}, {"catalog", second}, {"segment-1-2", index}};
  for (size_t i = 0; i < 3; i++)
    service_manager_store(&manager, list[i].name, list[i].fd);
  receive(list, 3, take_catalog_and_drop);
  ck_assert_uint_eq(service_manager_count(&manager, "catalog"), 2);
  ck_assert_uint_eq(service_manager_count(&manager, "segment"), 0);
  ck_assert_int_eq(close(catalog) + close(second) + close(index), 0);
}
END_TEST

/* ---- a service manager that does not read ---- */

static unsigned read_all(int fd, char *last, size_t size) {
  unsigned n = 0;
  ssize_t got;
  while ((got = recv(fd, last, size - 1, MSG_DONTWAIT)) >= 0) {
    last[got] = '\0';
    n++;
  }
  return n;
}

START_TEST(store_changes_wait_for_the_service_manager) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int reader = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), memory = make_memory(4096);
  char name[FD_STORE_NAME_SIZE], last[256];
  unsigned pushed = 0, got;
  (void)snprintf(address.sun_path, sizeof address.sun_path, "%.90s/slow", manager.daemon.dir);
  ck_assert_int_eq(bind(reader, (struct sockaddr *)&address, sizeof address), 0);
  sd_notify_deinit(&notify);
  connect_store(address.sun_path);
  while (store.n_pending < 5) /* until its queue is full, and beyond */
    fd_store_push(&store, fd_store_segment_name(name, 1, pushed++), memory);
  fd_store_remove(&store, "catalog");
  ck_assert_uint_eq(store.n_pending, 6);
  ck_assert(!fd_store_flush(&store, 0));
  ck_assert(!fd_store_flush(&store, 20));
  got = read_all(reader, last, sizeof last);
  ck_assert_uint_eq(got, pushed - 5);
  ck_assert(fd_store_flush(&store, 1000));
  got = read_all(reader, last, sizeof last);
  ck_assert_uint_eq(got, 6);
  ck_assert_str_eq(last, "FDSTOREREMOVE=1\nFDNAME=catalog");
  ck_assert_uint_eq(store.failed, 0);
  ck_assert_int_eq(close(reader), 0);
  fd_store_push(&store, "segment-1-2", memory); /* nobody listens */
  ck_assert_uint_eq(store.failed, 1);
  ck_assert_int_eq(close(memory), 0);
}
END_TEST

static bool is_at_end(int pipe_fd) {
  struct pollfd end = {.fd = pipe_fd, .events = POLLIN};
  return poll(&end, 1, 0) == 1;
}

/* A service manager that does not read has not closed what was removed. */
START_TEST(store_barrier_ends_behind_the_changes_before) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int reader = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  char last[256];
  (void)snprintf(address.sun_path, sizeof address.sun_path, "%.90s/slow", manager.daemon.dir);
  ck_assert_int_eq(bind(reader, (struct sockaddr *)&address, sizeof address), 0);
  sd_notify_deinit(&notify);
  connect_store(address.sun_path);
  while (store.n_pending == 0)
    fd_store_remove(&store, "catalog");
  int barrier = fd_store_barrier(&store);
  ck_assert_int_ge(barrier, 0);
  (void)read_all(reader, last, sizeof last);
  ck_assert(!is_at_end(barrier)); /* it was not sent yet */
  ck_assert(fd_store_flush(&store, 1000));
  ck_assert(!is_at_end(barrier));
  (void)read_all(reader, last, sizeof last);
  ck_assert_str_eq(last, "BARRIER=1");
  ck_assert(is_at_end(barrier));
  ck_assert_int_eq(close(barrier) + close(reader), 0);
}
END_TEST

START_TEST(store_without_service_manager_does_nothing) {
  int memory = make_memory(4096);
  sd_notify_deinit(&notify);
  ck_assert(!fd_store_is_available(&store));
  fd_store_push(&store, "catalog", memory);
  fd_store_remove(&store, "catalog");
  ck_assert(fd_store_flush(&store, 1000));
  ck_assert_uint_eq(store.failed, 0);
  ck_assert_uint_eq(service_manager_count(&manager, NULL), 0);
  ck_assert_int_eq(close(memory), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fd_store");
  TCase *tests = tcase_create("fd_store");

  tcase_set_timeout(tests, 30);
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_test(tests, store_pushed_memory_is_kept_by_name);
  tcase_add_test(tests, store_next_process_receives_memory);
  tcase_add_test(tests, store_foreign_descriptors_are_removed);
  tcase_add_test(tests, store_memory_that_nobody_takes_is_removed);
  tcase_add_test(tests, store_changes_wait_for_the_service_manager);
  tcase_add_test(tests, store_barrier_ends_behind_the_changes_before);
  tcase_add_test(tests, store_without_service_manager_does_nothing);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
