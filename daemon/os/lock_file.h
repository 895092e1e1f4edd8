/* lock_file.h - PATH.lock beside the socket PATH: only its holder binds or unlinks PATH.
 *
 * Holding it means: flock(2) on the file that has this name after the lock was taken. The holder
 * unlinks it at the end, while it is still locked, so nothing is left behind. Two processes never
 * hold it at once. A process that opened the file before the unlink and locks it after sees that
 * the name is gone or another file's, and tries again. A process that creates a new one finds the
 * former holder done with PATH. */
#ifndef FC_DAEMON_LOCK_FILE_H
#define FC_DAEMON_LOCK_FILE_H

#include <stdbool.h>

#include "daemon/base/error_text.h"

/* Locks the socket at `socket_path` and writes this process's pid into the lock file, unless the
 * disk is full. Returns 0, FC_EBUSY if another process holds the lock, or FC_EREFUSED if the file
 * cannot be created or locked. *lock_fd is a close-on-exec descriptor for lock_file_release. The
 * lock ends with the process at the latest. */
int lock_file_acquire(const char *socket_path, int *lock_fd, struct error_text *error);

/* Returns false once the locked file was removed or replaced: another process can then lock the
 * socket. */
bool lock_file_is_held(const char *socket_path, int lock_fd);

/* Unlinks the lock file and releases the lock. The caller must not touch PATH afterwards. *lock_fd
 * becomes -1. Idempotent. */
void lock_file_release(const char *socket_path, int *lock_fd);

#endif
