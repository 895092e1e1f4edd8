/* fd_identity.h - a descriptor of ours in a program that may close it, and use its number
 * for something else: known by what it was when we opened it. */
#ifndef FC_CLIENT_OWN_FD_H
#define FC_CLIENT_OWN_FD_H

#include <stdbool.h>
#include <sys/types.h>

struct own_fd {
  int fd; /* -1: none */
  dev_t device;
  ino_t inode;
};

/* Remembers what `fd` is. 0 or -errno; the descriptor is the caller's to close on failure. */
int own_fd_take(struct own_fd *own, int fd);

/* Is it still what we opened? A system call. */
bool own_fd_is_ours(const struct own_fd *own);

/* Of a connection: is its other side still there? Two system calls. */
bool own_fd_is_connected(const struct own_fd *own);

/* Closes it, unless it is not ours any more. Idempotent. */
void own_fd_close(struct own_fd *own);

#endif
