/* peer.h - the process at the other end of a connected Unix socket, by the credentials that the
 * kernel recorded at connect. */
#ifndef FC_DAEMON_PEER_H
#define FC_DAEMON_PEER_H

#include "daemon/os/id_map.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct peer {
  pid_t pid; /* 0: in another pid namespace */
  uid_t uid;
  gid_t gid;
  gid_t
      *groups; /* supplementary; owned; NULL if there are none or the kernel does not report them */
  size_t n_groups;
  uint64_t start_time; /* distinguishes processes that reused a pid, or 0 if unknown */
  int pidfd;           /* owned, close-on-exec, readable once the process has exited, or -1 */
};

/* Reads the credentials of the connected socket `fd`. Returns 0, FC_ENOMEM, or FC_EREFUSED if the
 * kernel gives none. A missing pidfd (an old kernel, no free descriptor, an exited process) is no
 * error. After an error the peer holds nothing. */
int peer_init(struct peer *peer, int fd);
void peer_deinit(struct peer *peer); /* idempotent */

/* Frees the list of groups. Call after peer_is_admin. Idempotent. */
void peer_free_groups(struct peer *peer);

/* Convert between a process's start_time and the start_ticks of struct proc_stat. The second takes
 * no 0. */
static inline uint64_t peer_start_time(uint64_t start_ticks) {
  return start_ticks + 1;
}
static inline uint64_t peer_start_ticks(uint64_t start_time) {
  assert(start_time > 0);
  return start_time - 1;
}

/* The administrators: root, the daemon's own user, and the admin group's members. */
struct peer_admins {
  uid_t own_uid; /* the daemon's */
  bool has_group;
  gid_t group;
  struct id_map ids; /* of the daemon's user namespace */
};

/* Returns true if the peer is root or the daemon's own user. A uid that the id map does not know is
 * neither. */
bool peer_has_owner_uid(const struct peer *peer, const struct peer_admins *admins);

/* Returns true if the peer may clear all namespaces, control the trace, close connections and shut
 * the daemon down. */
bool peer_is_admin(const struct peer *peer, const struct peer_admins *admins);

#endif
