/* The service manager of the tests: it does what systemd does with descriptors, and a daemon gets
 * its socket from it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/child_process.h"
#include "tests/support/library.h"
#include "tests/support/raw.h"
#include "tests/support/service_manager.h"

static struct service_manager manager;

static void set_up(void) {
  service_manager_init(&manager);
}

static void tear_down(void) {
  service_manager_deinit(&manager);
}

/* Sends a message with a descriptor (-1: none), as a daemon does. Returns 0 or -1. */
static int notify(const char *text, int fd) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  union {
    char bytes[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
  } control = {0};
  char copy[256];
  (void)snprintf(copy, sizeof copy, "%s", text);
  struct iovec piece = {.iov_base = copy, .iov_len = strlen(copy)};
  struct msghdr message = {
      .msg_name = &address, .msg_namelen = sizeof address, .msg_iov = &piece, .msg_iovlen = 1};
  int rc = -1, from = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  memcpy(address.sun_path, manager.notify_path, strlen(manager.notify_path) + 1);
  if (fd >= 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    struct cmsghdr *part = CMSG_FIRSTHDR(&message);
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    part->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(part), &fd, sizeof fd);
  }
  if (from >= 0 && sendmsg(from, &message, 0) == (ssize_t)piece.iov_len)
    rc = 0;
  (void)close(from);
  return rc;
}

static int make_memory(const char *text) {
  int fd = memfd_create("stored", MFD_CLOEXEC);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
  return fd;
}

static void put_and_get(const char *text) {
  struct fcache *cache = library_open(manager.daemon.socket, "manager", NULL, 0);
  struct fcache_key key = library_key("op", "view", text, 0);
  library_put_text(cache, &key, text);
  char *got = library_get_text(cache, &key);
  ck_assert_str_eq(got, text);
  free(got);
  fcache_close(cache);
}

START_TEST(store_names_are_kept_until_removed) {
  int a = make_memory("a"), b = make_memory("b"), c = make_memory("c");
  ck_assert_int_eq(notify("FDSTORE=1\nFDNAME=one\nFDPOLL=0", a), 0);
  ck_assert_int_eq(notify("FDSTORE=1\nFDNAME=one", b), 0);
  ck_assert_int_eq(notify("FDSTORE=1\nFDNAME=two", c), 0);
  ck_assert_int_eq(notify("FDSTORE=1\nFDNAME=again", a), 0); /* stored already */
  ck_assert_uint_eq(service_manager_count(&manager, NULL), 3);
  ck_assert_uint_eq(service_manager_count(&manager, "one"), 2);
  ck_assert_int_eq(notify("FDSTOREREMOVE=1\nFDNAME=one", -1), 0);
  ck_assert_uint_eq(service_manager_count(&manager, NULL), 1);
  ck_assert_int_ge(service_manager_fd(&manager, "two"), 0);
  ck_assert_int_eq(service_manager_fd(&manager, "one"), -1);
  ck_assert_int_eq(notify("FDSTORE=1\nFDNAME=a:b", b), 0); /* no valid name */
  ck_assert_int_ge(service_manager_fd(&manager, "stored"), 0);
  ck_assert_int_eq(close(a) + close(b) + close(c), 0);
}
END_TEST

START_TEST(store_beyond_its_limit_drops) {
  int fds[] = {make_memory("a"), make_memory("b"), make_memory("c")};
  manager.store_max = 2;
  for (int i = 0; i < 3; i++) {
    ck_assert_int_eq(notify("FDSTORE=1\nFDNAME=many", fds[i]), 0);
    ck_assert_int_eq(close(fds[i]), 0);
  }
  ck_assert_uint_eq(service_manager_count(&manager, "many"), 2);
  ck_assert_uint_eq(manager.n_dropped, 1);
}
END_TEST

static int say_and_die(void *arg) {
  int fd = memfd_create("last", MFD_CLOEXEC);
  (void)arg;
  CHILD_EXPECT(notify("FDSTORE=1\nFDNAME=last", fd) == 0);
  (void)raise(SIGKILL);
  return 1;
}

START_TEST(store_message_of_dead_process_is_read) {
  ck_assert_int_eq(child_run(say_and_die, NULL, NULL), 128 + SIGKILL);
  ck_assert_uint_eq(service_manager_count(&manager, "last"), 1);
}
END_TEST

/* The socket outlives the daemon: a client that connects in between is served by the next one. */
START_TEST(daemon_serves_on_the_socket_of_the_manager) {
  struct raw early;
  service_manager_start(&manager, NULL);
  put_and_get("first");
  service_manager_kill9(&manager);
  ck_assert_int_eq(raw_connect(&early, manager.daemon.socket), 0);
  service_manager_start(&manager, "--max-bytes", "32M", NULL);
  ck_assert_int_eq(raw_hello(&early, "early", "manager"), 0);
  raw_close(&early);
  put_and_get("second");
  ck_assert_int_eq(service_manager_end(&manager), 0);
  ck_assert(manager.stopping);
  ck_assert(harness_exists(manager.daemon.socket));
}
END_TEST

/* 600 descriptors that no daemon has stored: they harm nothing. */
START_TEST(daemon_with_foreign_descriptors_serves) {
  for (int i = 0; i < 600; i++) {
    int fd = i % 2 == 0 ? make_memory("foreign") : open("/dev/null", O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    service_manager_store(&manager, i % 3 == 0 ? "foreign" : "segment-1-1", fd);
    ck_assert_int_eq(close(fd), 0);
  }
  ck_assert_uint_eq(service_manager_count(&manager, NULL), 600);
  service_manager_start(&manager, NULL);
  put_and_get("foreign");
  ck_assert_int_eq(service_manager_stop(&manager), 0);
  ck_assert_uint_eq(service_manager_count(&manager, NULL), 0);
}
END_TEST

START_TEST(daemon_that_cannot_start_returns_its_status) {
  int status = 0;
  service_manager_launch(&manager, (const char *const[]){"--max-bytes", "nonsense", NULL});
  ck_assert(!service_manager_wait_ready(&manager, &status));
  ck_assert_int_eq(status, 2);
  service_manager_start(&manager, NULL);
}
END_TEST

/* The manager keeps the socket open, so a client that no daemon accepts waits for its timeout. */
START_TEST(daemon_with_wrong_configuration_refuses_clients_before_it_ends) {
  static const char *const wrong[][3] = {{"--max-bytes", "nonsense"},
                                         {"--config", "/nonexistent/fcached.conf"}};
  struct raw raw;
  struct fc_reply reply;
  int status = 0;
  ck_assert_int_eq(raw_connect(&raw, manager.daemon.socket), 0);
  service_manager_launch(&manager, wrong[_i]);
  ck_assert_int_eq(raw_recv(&raw, &reply, LIBRARY_PATIENT_MS), RAW_CLOSED);
  raw_close(&raw);
  ck_assert(!service_manager_wait_ready(&manager, &status));
  ck_assert_int_eq(status, 2);
  service_manager_start(&manager, NULL);
  put_and_get("after the correction");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("service_manager");
  TCase *tests = tcase_create("service_manager");

  tcase_set_timeout(tests, 60);
  tcase_add_checked_fixture(tests, set_up, tear_down);
  tcase_add_test(tests, store_names_are_kept_until_removed);
  tcase_add_test(tests, store_beyond_its_limit_drops);
  tcase_add_test(tests, store_message_of_dead_process_is_read);
  tcase_add_test(tests, daemon_serves_on_the_socket_of_the_manager);
  tcase_add_test(tests, daemon_with_foreign_descriptors_serves);
  tcase_add_test(tests, daemon_that_cannot_start_returns_its_status);
  tcase_add_loop_test(tests, daemon_with_wrong_configuration_refuses_clients_before_it_ends, 0, 2);
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
