/* fd_identity.h - a file descriptor with the identity of the file that it was opened for.
 *
 * A library shares the descriptor table with its program. A program may close any number and reuse
 * it. The identity shows whether a number still belongs to the library. One thread. */
#ifndef FC_CLIENT_FD_IDENTITY_H
#define FC_CLIENT_FD_IDENTITY_H

#include <stdbool.h>
#include <sys/types.h>

struct fd_identity {
  int fd; /* -1: none */
  dev_t device;
  ino_t inode;
};

/* Records the identity of `fd`. Returns 0 or -errno. On failure the caller still owns `fd`. */
int fd_identity_set(struct fd_identity *identity, int fd);

/* Returns whether the number still refers to the recorded file. One system call. */
bool fd_identity_matches(const struct fd_identity *identity);

/* Returns whether the number still refers to the recorded socket and its peer has not closed. Two
 * system calls. */
bool fd_identity_is_connected(const struct fd_identity *identity);

/* Closes the descriptor, unless the program has closed or replaced it. Idempotent. */
void fd_identity_close(struct fd_identity *identity);

#endif
