#include "daemon/os/peer.h"
#include "proto/errors.h"
#include "tests/support/runner.h"

#include <check.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

START_TEST(peer_of_own_process_has_own_ids) {
  int ends[2];
  struct peer peer;
  ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  ck_assert_int_eq(peer_init(&peer, ends[0]), 0);
  ck_assert_int_eq(peer.pid, getpid());
  ck_assert_uint_eq(peer.uid, geteuid());
  ck_assert_uint_eq(peer.gid, getegid());
  int n = getgroups(0, NULL);
  ck_assert_uint_eq(peer.n_groups, (size_t)n);
  if (peer.pidfd >= 0)
    ck_assert_int_ne(fcntl(peer.pidfd, F_GETFD) & FD_CLOEXEC, 0);
  peer_deinit(&peer);
  peer_deinit(&peer);
  ck_assert_int_eq(peer.pidfd, -1);
  close(ends[0]);
  close(ends[1]);
}
END_TEST

START_TEST(peer_of_no_socket_refused) {
  struct peer peer;
  int ends[2];
  ck_assert_int_eq(pipe(ends), 0);
  ck_assert_int_eq(peer_init(&peer, ends[0]), FC_EREFUSED);
  peer_deinit(&peer);
  ck_assert_int_eq(peer_init(&peer, -1), FC_EREFUSED);
  close(ends[0]);
  close(ends[1]);
}
END_TEST

/* A listening socket with an abstract address that the kernel picks. */
static int listen_somewhere(struct sockaddr_un *where, socklen_t *size) {
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ck_assert_int_ge(fd, 0);
  *where = (struct sockaddr_un){.sun_family = AF_UNIX};
  ck_assert_int_eq(bind(fd, (struct sockaddr *)where, sizeof(sa_family_t)), 0);
  *size = sizeof *where;
  ck_assert_int_eq(getsockname(fd, (struct sockaddr *)where, size), 0);
  ck_assert_int_eq(listen(fd, 1), 0);
  return fd;
}

#define MANY_GROUPS 300 /* more than fit at the first try */

/* Connects, as user 12345 with many groups if `other`, and stays until the peer closes. */
static pid_t start_client(int listener, const struct sockaddr_un *where, socklen_t size,
                          bool other) {
  pid_t pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid != 0)
    return pid;
  gid_t groups[MANY_GROUPS];
  char byte;
  for (unsigned i = 0; i < MANY_GROUPS; i++)
    groups[i] = 20000 + i;
  (void)close(listener);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  if (other && (setgroups(MANY_GROUPS, groups) < 0 || setgid(12346) < 0 || setuid(12345) < 0))
    _exit(2);
  if (fd < 0 || connect(fd, (const struct sockaddr *)where, size) < 0)
    _exit(3);
  _exit(read(fd, &byte, 1) == 0 ? 0 : 4);
}

static void finish_client(pid_t pid, int fd, const struct peer *peer) {
  int status;
  struct pollfd ended = {.fd = peer->pidfd, .events = POLLIN};
  if (peer->pidfd >= 0)
    ck_assert_int_eq(poll(&ended, 1, 0), 0); /* alive */
  close(fd);
  if (peer->pidfd >= 0)
    ck_assert_int_eq(poll(&ended, 1, 10000), 1);
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert_int_eq(status, 0);
}

static struct peer_admins admins(uid_t own_uid, bool has_group, gid_t group) {
  return (struct peer_admins){.own_uid = own_uid, .has_group = has_group, .group = group};
}

static bool is_admin(const struct peer *peer, struct peer_admins admins_here) {
  return peer_is_admin(peer, &admins_here);
}

START_TEST(peer_of_another_process_has_a_pidfd) {
  struct sockaddr_un where;
  socklen_t size;
  struct peer peer;
  int listener = listen_somewhere(&where, &size);
  pid_t pid = start_client(listener, &where, size, false);
  int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(peer_init(&peer, fd), 0);
  ck_assert_int_eq(peer.pid, pid);
  ck_assert(is_admin(&peer, admins(geteuid(), false, 0)));
  finish_client(pid, fd, &peer);
  peer_deinit(&peer);
  close(listener);
}
END_TEST

START_TEST(peer_of_other_user_has_its_groups) {
  if (runner_lacks("groups of a peer"))
    return;
  if (geteuid() != 0)
    return; /* only root can become another user */
  struct sockaddr_un where;
  socklen_t size;
  struct peer peer;
  int listener = listen_somewhere(&where, &size);
  pid_t pid = start_client(listener, &where, size, true);
  int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(peer_init(&peer, fd), 0);
  ck_assert_uint_eq(peer.uid, 12345);
  ck_assert_uint_eq(peer.gid, 12346);
  ck_assert_uint_eq(peer.n_groups, MANY_GROUPS);
  ck_assert(!is_admin(&peer, admins(0, false, 20001)));
  ck_assert(!is_admin(&peer, admins(0, true, 19999)));
  ck_assert(is_admin(&peer, admins(0, true, 20299)));  /* a supplementary group */
  ck_assert(is_admin(&peer, admins(0, true, 12346)));  /* its own */
  ck_assert(is_admin(&peer, admins(12345, false, 0))); /* the daemon's user */
  finish_client(pid, fd, &peer);
  peer_deinit(&peer);
  close(listener);
}
END_TEST

START_TEST(peer_is_admin_by_uid_or_group) {
  struct peer root = {.uid = 0, .gid = 5, .pidfd = -1};
  struct peer user = {.uid = 7, .gid = 0, .pidfd = -1};
  ck_assert(is_admin(&root, admins(99, false, 0)));
  ck_assert(is_admin(&user, admins(7, false, 0)));
  ck_assert(!is_admin(&user, admins(8, false, 0))); /* no admin group is not group 0 */
  ck_assert(is_admin(&user, admins(8, true, 0)));
  ck_assert(!is_admin(&user, admins(8, true, 1)));
}
END_TEST

/* In a user namespace with some ids mapped, 65534 is any other user. */
START_TEST(peer_with_overflow_id_is_no_admin) {
  struct id_map partial = {
      .uids_partial = true, .gids_partial = true, .overflow_uid = 65534, .overflow_gid = 65533};
  gid_t groups[] = {3, 65533};
  struct peer unmapped = {.uid = 65534, .gid = 65533, .groups = groups, .n_groups = 2, .pidfd = -1};
  struct peer root = {.uid = 0, .gid = 65533, .pidfd = -1};
  struct peer_admins admins_here = admins(65534, true, 65533);
  ck_assert(peer_is_admin(&unmapped, &admins_here)); /* all are mapped */
  admins_here.ids = partial;
  ck_assert(!peer_is_admin(&unmapped, &admins_here));
  ck_assert(peer_is_admin(&root, &admins_here));
  admins_here.group = 3; /* a mapped group is that group */
  ck_assert(peer_is_admin(&unmapped, &admins_here));
  admins_here.has_group = false;
  ck_assert(!peer_is_admin(&unmapped, &admins_here));
  admins_here.own_uid = 7;
  ck_assert(!peer_is_admin(&unmapped, &admins_here));
  admins_here.ids.overflow_uid = 0; /* sysctl kernel.overflowuid=0 */
  ck_assert(!peer_is_admin(&root, &admins_here));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("peer");
  TCase *tc = tcase_create("peer");
  tcase_add_test(tc, peer_of_own_process_has_own_ids);
  tcase_add_test(tc, peer_of_no_socket_refused);
  tcase_add_test(tc, peer_of_another_process_has_a_pidfd);
  tcase_add_test(tc, peer_of_other_user_has_its_groups);
  tcase_add_test(tc, peer_is_admin_by_uid_or_group);
  tcase_add_test(tc, peer_with_overflow_id_is_no_admin);
  suite_add_tcase(suite, tc);
  return runner_run(suite);
}
