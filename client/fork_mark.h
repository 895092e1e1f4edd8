/* fork_mark.h - tells a process that it is a forked child, also where clone was
 * called past libc: a page that the kernel hands empty to a child with memory of
 * its own. (A child of vfork shares its parent's memory and only execs.) Looking
 * costs one load; getpid would cost a system call. */
#ifndef FC_CLIENT_FORK_MARK_H
#define FC_CLIENT_FORK_MARK_H

#include <stdbool.h>

/* A marked page, or NULL where there is no memory (or no MADV_WIPEONFORK: Linux 4.14). */
volatile int *fork_mark_new(void);
void fork_mark_free(volatile int *mark); /* NULL is allowed */

/* True in a child, until it marks the page again: from then on it is the parent
 * of its own children. */
static inline bool fork_mark_is_child(const volatile int *mark) {
  return *mark == 0;
}
static inline void fork_mark_set(volatile int *mark) {
  *mark = 1;
}

#endif
