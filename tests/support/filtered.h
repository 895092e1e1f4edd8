/* filtered.h - runs a program without some system calls, as in a sandbox: by a seccomp filter,
 * which needs no privilege and no package. */
#ifndef FC_TESTS_FILTERED_H
#define FC_TESTS_FILTERED_H

#include <stdbool.h>

/* The missing system calls. */
#define FILTERED_NO_MARKS "robust-0"   /* set_robust_list succeeds without effect (gVisor) */
#define FILTERED_NO_ROBUST "robust-38" /* it fails with ENOSYS */
#define FILTERED_NO_FORKS "fork"       /* fork fails with EAGAIN, as at a limit on processes */
#define FILTERED_NO_THREADS "thread"   /* clone of a thread fails */

/* epoll_ctl(ADD) fails with ENOSPC, as at fs.epoll.max_user_watches, for descriptors from the
 * number that follows. */
#define FILTERED_NO_WATCHES "watches-"

/* Call at the start of main. If the program was started to execute another one behind a filter,
 * this does so and does not return. */
void filtered_become(int argc, char **argv);

/* Makes harness_fcached() the daemon behind that filter. Returns false if the kernel has no
 * filters; the test then prints a reason and skips. */
bool filtered_use(const char *lack);

/* Makes harness_fcached() a shell script that runs `command`, where $REAL is the daemon and "$@"
 * its arguments. Returns the daemon's path. */
const char *filtered_use_shell(const char *command);

#endif
