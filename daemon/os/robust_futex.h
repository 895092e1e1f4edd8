/* robust_futex.h - does the kernel mark a robust futex whose owner dies?
 *
 * Clients that read the region see the daemon's end by that mark alone. A C library
 * gives robust mutexes also where nothing marks them: under qemu-user, and where a
 * sandbox or a seccomp filter answers set_robust_list(2) itself. */
#ifndef FC_DAEMON_ROBUST_H
#define FC_DAEMON_ROBUST_H

#include "daemon/base/error_text.h"

/* Proves it once: forks a child that locks a robust mutex in shared memory and exits, and looks at
 * what the kernel left in the lock's word. Returns 0, or FC_EREFUSED with the reason in *why, also
 * where it could not be tried (no memory, no process to be had, a child that does not end within
 * ROBUST_WAIT_MS): what is not proved is not to be relied on. Call it while there is one thread,
 * before any lock or socket is open. The child is waited for, whatever SIGCHLD is set to. */
int robust_prove(struct fault *why);

#define ROBUST_WAIT_MS 2000u

#endif
