/* filtered.h - runs a program where the kernel refuses some system calls, as in a sandbox: by a
 * seccomp filter, which needs no right and no package. */
#ifndef FC_TESTS_FILTERED_H
#define FC_TESTS_FILTERED_H

#include <stdbool.h>

/* What the program lacks. */
#define FILTERED_NO_MARKS "robust-0"   /* set_robust_list succeeds, and does nothing (gVisor) */
#define FILTERED_NO_ROBUST "robust-38" /* it fails with ENOSYS */
#define FILTERED_NO_FORKS "fork"       /* fork fails with EAGAIN, as at a limit on processes */
#define FILTERED_NO_THREADS "thread"   /* so does the creation of threads */

/* epoll_ctl(ADD) fails with ENOSPC, as at fs.epoll.max_user_watches, for descriptors from a number
 * on, which follows. */
#define FILTERED_NO_WATCHES "watches-"

/* At the start of the test program's main: where it was started to become another program behind a
 * filter, does so, and does not return. */
void filtered_become(int argc, char **argv);

/* From now on harness_fcached() is the daemon behind that filter. False where there are no filters:
 * then the test says so, and is skipped. */
bool filtered_use(const char *lack);

/* Likewise: it is the shell's `command`, where $REAL is the daemon and "$@" its arguments. Returns
 * the daemon's own path. */
const char *filtered_use_shell(const char *command);

#endif
