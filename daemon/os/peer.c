#include "daemon/os/peer.h"

#include "daemon/os/proc_stat.h"
#include "proto/errors.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif
#define GROUPS_MAX 65536u /* Linux's NGROUPS_MAX */

static int read_groups(struct peer *peer, int fd) {
  socklen_t size = 64 * sizeof(gid_t);
  for (int tries = 0; tries < 3; tries++) {
    gid_t *groups = malloc(size > 0 ? size : 1);
    if (groups == NULL)
      return FC_ENOMEM;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0) {
      peer->groups = groups;
      peer->n_groups = size / sizeof(gid_t);
      return 0;
    }
    int error = errno;
    free(groups);
    /* ERANGE: `size` is now the needed size. Any other error: an old kernel. */
    if (error != ERANGE || size > GROUPS_MAX * sizeof(gid_t))
      return 0;
  }
  return 0;
}

/* The socket's own pidfd refers to the process that connected. The fallback opens one by pid, which
 * is wrong only if that process has exited and its pid was reused since. Then the daemon watches
 * the wrong process: it sees the client's exit by the closed socket alone. */
static int open_pidfd(int fd, pid_t pid) {
  int pidfd;
  socklen_t size = sizeof pidfd;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0)
    return pidfd;
  if (errno != ENOPROTOOPT || pid <= 0)
    return -1;
  long opened = syscall(SYS_pidfd_open, pid, 0); /* always close-on-exec */
  return opened < 0 ? -1 : (int)opened;
}

/* Returns 0 if unknown. The pid may have been reused: not if the process that connected is still
 * alive after the read. */
static uint64_t read_start_time(pid_t pid, int pidfd) {
  struct proc_stat stat;
  struct pollfd death = {.fd = pidfd, .events = POLLIN};
  if (pidfd < 0 || !proc_stat_read(pid, &stat) || poll(&death, 1, 0) != 0)
    return 0;
  return peer_start_time(stat.start_ticks);
}

int peer_init(struct peer *peer, int fd) {
  struct ucred creds;
  socklen_t size = sizeof creds;
  *peer = (struct peer){.pidfd = -1};
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &creds, &size) < 0 || size != sizeof creds)
    return FC_EREFUSED;
  peer->pid = creds.pid;
  peer->uid = creds.uid;
  peer->gid = creds.gid;
  int r = read_groups(peer, fd);
  if (r < 0)
    return r;
  peer->pidfd = open_pidfd(fd, creds.pid);
  peer->start_time = read_start_time(creds.pid, peer->pidfd);
  return 0;
}

void peer_free_groups(struct peer *peer) {
  free(peer->groups);
  peer->groups = NULL;
  peer->n_groups = 0;
}

void peer_deinit(struct peer *peer) {
  if (peer->pidfd >= 0)
    (void)close(peer->pidfd); /* nothing was written */
  peer_free_groups(peer);
  *peer = (struct peer){.pidfd = -1};
}

static bool is_admin_group(const struct peer_admins *admins, gid_t gid) {
  return gid == admins->group && id_map_knows_gid(&admins->ids, gid);
}

bool peer_has_owner_uid(const struct peer *peer, const struct peer_admins *admins) {
  return (peer->uid == 0 || peer->uid == admins->own_uid) &&
         id_map_knows_uid(&admins->ids, peer->uid);
}

bool peer_is_admin(const struct peer *peer, const struct peer_admins *admins) {
  if (peer_has_owner_uid(peer, admins))
    return true;
  if (!admins->has_group)
    return false;
  if (is_admin_group(admins, peer->gid))
    return true;
  for (size_t i = 0; i < peer->n_groups; i++) {
    if (is_admin_group(admins, peer->groups[i]))
      return true;
  }
  return false;
}
