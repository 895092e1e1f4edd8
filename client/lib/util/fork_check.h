/* fork_check.h - tells a process that it is a forked child, also where clone was
 * called past libc: a page that the kernel hands empty to a child with memory of
 * its own. (A child of vfork shares its parent's memory and only execs.) Looking
 * costs one load. Where a kernel has no MADV_WIPEONFORK the page holds our pid, and
 * looking costs a system call. */
#ifndef FC_CLIENT_FORK_MARK_H
#define FC_CLIENT_FORK_MARK_H

#include <stdbool.h>
#include <sys/types.h>
#include <unistd.h>

struct fork_mark {
  bool marked;
  pid_t pid; /* 0: the kernel wipes the page in children */
};

/* A marked page, or NULL where there is no memory. */
volatile struct fork_mark *fork_mark_new(void);
void fork_mark_free(volatile struct fork_mark *mark); /* NULL is allowed */

/* True in a child, until it marks the page again: from then on it is the parent
 * of its own children. */
static inline bool fork_mark_is_child(const volatile struct fork_mark *mark) {
  return !mark->marked || (mark->pid != 0 && mark->pid != getpid());
}
static inline void fork_mark_set(volatile struct fork_mark *mark) {
  mark->marked = true;
  if (mark->pid != 0)
    mark->pid = getpid();
}

#endif
