/* Descriptors of the library that the program closes or replaces. */
#include <check.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fcache.h"
#include "tests/support/client_fixture.h"
#include "tests/support/runner.h"
#include "tests/support/scripted_daemon.h"

#define DEADLINE_MS 150u

/* Keeps the connection open without a welcome. */
static void serve_no_welcome(struct scripted_daemon *scripted, int fd, unsigned nth) {
  (void)fd;
  (void)nth;
  scripted_wait_released(scripted);
}

/* Another socket at the number of the handle's socket, with "mine" to read. */
static int replace_by_file(int fd, const char *path) {
  int file = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  ck_assert_int_ge(file, 0);
  /* dup2 replaces it in one step: the daemon's next connection would get a free number. */
  ck_assert_int_eq(dup3(file, fd, O_CLOEXEC), fd);
  ck_assert_int_eq(close(file), 0);
  ck_assert_int_eq((int)write(fd, "mine", 4), 4);
  ck_assert_int_eq((int)lseek(fd, 0, SEEK_SET), 0);
  ck_assert_int_eq(unlink(path), 0);
  return -1;
}

/* Returns the other end. */
static int replace_by_socket(int fd) {
  int pair[2];
  ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  ck_assert_int_eq(dup2(pair[0], fd), fd);
  ck_assert_int_eq(close(pair[0]), 0);
  ck_assert_int_eq((int)write(pair[1], "mine", 4), 4);
  return pair[1];
}

/* It is open, nothing was read from it, and nothing was written to it. */
static void check_untouched(int fd, int other_end) {
  char content[16];
  ck_assert_int_eq((int)read(fd, content, sizeof content), 4);
  ck_assert_mem_eq(content, "mine", 4);
  ck_assert_int_eq(close(fd), 0);
  if (other_end < 0)
    return;
  ck_assert_int_eq((int)read(other_end, content, sizeof content), 0);
  ck_assert_int_eq(close(other_end), 0);
}

START_TEST(descriptor_reused_untouched) {
  struct scripted_daemon scripted;
  char path[SCRIPTED_PATH_SIZE + 8];
  bool handshake = _i / 2 == 1;
  scripted_start(&scripted, handshake ? serve_no_welcome : client_serve_hits, NULL);
  (void)snprintf(path, sizeof path, "%s/file", scripted.dir);
  struct fcache *cache = client_open(scripted.path, handshake ? DEADLINE_MS : CLIENT_LONG_MS);
  /* or while it awaits the welcome of another connection */
  uint64_t end_ms = runner_now_ms() + CLIENT_LONG_MS;
  while (handshake && atomic_load(&scripted.accepted) < 2 && runner_now_ms() < end_ms)
    ck_assert_int_eq(client_get(cache, "a"), FCACHE_MISS);
  int fd = client_socket_of(scripted.path);
  int other_end = _i % 2 == 0 ? replace_by_file(fd, path) : replace_by_socket(fd);
  ck_assert_int_eq(client_get(cache, "a"), FCACHE_MISS);
  fcache_close(cache);
  check_untouched(fd, other_end);
  scripted_stop(&scripted);
}
END_TEST

struct swap {
  atomic_int fd; /* the handle's socket */
  atomic_int other_end;
};

/* Makes the handle wait, and replaces its socket during the wait. */
static void serve_a_swap(struct scripted_daemon *scripted, int fd, unsigned nth) {
  struct swap *swap = scripted->arg;
  struct fc_request request;
  struct fc_buf taken = {0};
  uint8_t *body;
  int pair[2];
  if (nth > 0 || !scripted_handshake(scripted, fd) || !scripted_read(scripted, fd, &body, &request))
    return;
  free(body);
  if (fc_encode_miss_lease(&taken, request.id, 7, FC_LEASE_TAKEN) != 0)
    return;
  scripted_send(fd, &taken);
  if (!scripted_read(scripted, fd, &body, &request))
    return;
  free(body);
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0 ||
      write(pair[1], "mine", 4) != 4 || dup3(pair[0], atomic_load(&swap->fd), O_CLOEXEC) < 0)
    return;
  (void)close(pair[0]);
  atomic_store(&swap->other_end, pair[1]);
  scripted_wait_closed(fd);
}

/* No ping is sent to the other file, and nothing is read from it. */
START_TEST(descriptor_reused_during_wait_untouched) {
  struct swap swap = {.other_end = -1};
  struct scripted_daemon scripted;
  struct fcache_value value = {0};
  struct fcache_key key = client_key("a");
  scripted_start(&scripted, serve_a_swap, &swap);
  struct fcache *cache = client_open(scripted.path, 8 * DEADLINE_MS); /* it pings after a quarter */
  atomic_store(&swap.fd, client_socket_of(scripted.path));
  ck_assert_int_eq(fcache_get_wait(cache, &key, FCACHE_LEASE, CLIENT_LONG_MS, &value), FCACHE_MISS);
  ck_assert_ptr_nonnull(strstr(fcache_last_error(cache), "the program closed the descriptor"));
  ck_assert_int_ge(atomic_load(&swap.other_end), 0);
  fcache_close(cache);
  fcache_value_free(&value);
  check_untouched(atomic_load(&swap.fd), atomic_load(&swap.other_end));
  scripted_stop(&scripted);
}
END_TEST

START_TEST(descriptor_closed_reconnects) {
  struct scripted_daemon scripted;
  scripted_start(&scripted, client_serve_hits, NULL);
  struct fcache *cache = client_open(scripted.path, CLIENT_LONG_MS);
  int fd = client_socket_of(scripted.path);
  ck_assert_int_eq(close(fd), 0);
  ck_assert_int_eq(client_get(cache, "a"), FCACHE_MISS);
  client_get_until(cache, FCACHE_OK);
  fcache_close(cache);
  scripted_stop(&scripted);
}
END_TEST

START_TEST(descriptor_is_close_on_exec) {
  struct scripted_daemon scripted;
  scripted_start(&scripted, client_serve_hits, NULL);
  struct fcache *cache = client_open(scripted.path, CLIENT_LONG_MS);
  int fd = client_socket_of(scripted.path);
  ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  fcache_close(cache);
  scripted_stop(&scripted);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("connection_descriptors");
  TCase *tcase = tcase_create("connection_descriptors");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, client_set_up, client_tear_down);
  tcase_add_loop_test(tcase, descriptor_reused_untouched, 0, 4);
  tcase_add_test(tcase, descriptor_reused_during_wait_untouched);
  tcase_add_test(tcase, descriptor_closed_reconnects);
  tcase_add_test(tcase, descriptor_is_close_on_exec);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
