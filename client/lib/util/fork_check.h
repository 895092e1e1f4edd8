/* fork_check.h - detects in one load that the process is a forked child.
 *
 * The mark is in a page that the kernel clears in a child with memory of its own (MADV_WIPEONFORK),
 * also where the program called clone(2) without libc. A child of vfork shares its parent's memory
 * and only calls exec. Without MADV_WIPEONFORK (Linux before 4.14) the page holds the process id,
 * and each check costs a system call. One thread. */
#ifndef FC_CLIENT_FORK_CHECK_H
#define FC_CLIENT_FORK_CHECK_H

#include <stdbool.h>
#include <sys/types.h>
#include <unistd.h>

struct fork_check {
  bool marked;
  pid_t pid; /* 0: the kernel clears the page in children */
};

/* Returns a marked page of the caller's, or NULL without memory. */
volatile struct fork_check *fork_check_new(void);

/* Unmaps the page. NULL is allowed. */
void fork_check_free(volatile struct fork_check *check);

/* Returns true in a child of the process that marked the page. */
static inline bool fork_check_is_child(const volatile struct fork_check *check) {
  return !check->marked || (check->pid != 0 && check->pid != getpid());
}

/* Marks the page for the calling process. */
static inline void fork_check_reset(volatile struct fork_check *check) {
  check->marked = true;
  if (check->pid != 0)
    check->pid = getpid();
}

#endif
