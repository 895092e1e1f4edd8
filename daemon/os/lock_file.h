/* lock_file.h - PATH.lock beside the socket PATH: who holds it, alone binds or
 * unlinks PATH.
 *
 * To hold it is to have flock(2) on the file that stands under its name, as seen
 * after locking. Its holder unlinks it at the end, while it still has the lock, so
 * nothing is left behind, and no two can ever hold it: whoever opened the file
 * before it was unlinked, and locks it after, sees that it stands there no more,
 * and takes the one that does; whoever makes a new one finds the old holder done
 * with PATH. */
#ifndef FC_DAEMON_LOCK_FILE_H
#define FC_DAEMON_LOCK_FILE_H

#include <stdbool.h>

#include "daemon/base/error_text.h"

/* Takes the lock of the socket at `socket_path`, and writes our pid into it where the disk takes
 * it. 0 and *lock_fd, a descriptor (close-on-exec) for lock_file_release; FC_EBUSY where another
 * process holds it; FC_EREFUSED where there can be no such file. The lock goes, at the latest, with
 * the process. */
int lock_file_take(const char *socket_path, int *lock_fd, struct fault *fault);

/* True while the file that we have locked has its name: false once somebody has removed or replaced
 * it, and another process can take the lock of the socket. */
bool lock_file_is_held(const char *socket_path, int lock_fd);

/* Unlinks it, and lets it go: PATH must not be touched after. *lock_fd becomes -1;
 * nothing happens where it is that already. */
void lock_file_release(const char *socket_path, int *lock_fd);

#endif
