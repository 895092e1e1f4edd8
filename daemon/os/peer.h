/* peer.h - who is at the other end of a connected Unix socket: what the kernel
 * recorded when it connected, not what it says. */
#ifndef FC_DAEMON_PEER_H
#define FC_DAEMON_PEER_H

#include "daemon/os/id_map.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct peer {
  pid_t pid; /* 0: of another pid namespace */
  uid_t uid;
  gid_t gid;
  gid_t *groups; /* supplementary; owned; NULL: none, or the kernel cannot say */
  size_t n_groups;
  uint64_t
      birth; /* tells processes apart that had the same pid one after the other; 0: not known */
  int pidfd; /* owned, close-on-exec, readable when the process has ended; -1: none */
};

/* 0, FC_ENOMEM, or FC_EREFUSED where the kernel gives no credentials. With an error
 * nothing is held. No pidfd (an old kernel, no descriptors left, the process is
 * gone) is not an error. */
int peer_init(struct peer *peer, int fd);
/* A process's `birth`, of struct proc_stat's start_ticks, and back where it is not 0. */
static inline uint64_t peer_birth(uint64_t start_ticks) {
  return start_ticks + 1;
}
static inline uint64_t peer_birth_ticks(uint64_t birth) {
  return birth - 1;
}

void peer_deinit(struct peer *peer); /* idempotent */

/* Frees the list of groups: peer_is_admin must have been asked before. Idempotent. */
void peer_forget_groups(struct peer *peer);

/* Whose clients may do everything. */
struct peer_admins {
  uid_t own_uid; /* the daemon's */
  bool has_group;
  gid_t group;
  struct id_map ids; /* what the peers' ids mean here */
};

/* Is it of the daemon's own user, or root? Never a peer for an id that may be anybody's. */
bool peer_has_owner_uid(const struct peer *peer, const struct peer_admins *admins);

/* May it clear everything, control the trace, close connections, shut down? The daemon's own user,
 * root, and the members of the admin group, if there is one. Never a peer for an id that may be
 * anybody's. */
bool peer_is_admin(const struct peer *peer, const struct peer_admins *admins);

#endif
