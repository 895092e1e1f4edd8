/* robust_futex.h - checks that the kernel marks a robust futex whose owner dies.
 *
 * The mark is the only sign by which clients that read the region see the daemon's end. The C
 * library offers robust mutexes even where no kernel marks them: under qemu-user, and where a
 * sandbox or a seccomp filter answers set_robust_list(2) itself. */
#ifndef FC_DAEMON_ROBUST_FUTEX_H
#define FC_DAEMON_ROBUST_FUTEX_H

#include "daemon/base/error_text.h"

/* Forks a child that locks a robust mutex in shared memory and exits, and checks the mark in the
 * futex word. Returns 0, or FC_EREFUSED with a text: there is no mark, or the test itself failed
 * (no memory, no process, a child that runs longer than ROBUST_FUTEX_WAIT_MS). Call while the
 * process has one thread and no lock or socket open. Reaps the child, whatever the disposition of
 * SIGCHLD. */
int robust_futex_check(struct error_text *error);

#define ROBUST_FUTEX_WAIT_MS 2000u

#endif
