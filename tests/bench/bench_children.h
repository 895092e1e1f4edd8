/* bench_children.h - the servers that the bench starts, and their end.
 *
 * A child dies with the bench, however the bench ends (the kernel sends it
 * SIGKILL then). Functions that fail say why on stderr and return -1.
 */
#ifndef BENCH_CHILDREN_H
#define BENCH_CHILDREN_H

#include <stddef.h>
#include <sys/types.h>

/* Zero it before the first use; child_stop at the end. */
struct child {
  pid_t pid; /* 0: none */
  int pidfd;
  const char *name; /* borrowed */
  char log[256];    /* file that takes its stdout and stderr */
};

/* Runs `fn(arg)` in a fork of this process, on CPU `cpu` (-1: on any); what it
 * returns is the exit status. */
int child_fork(struct child *child, const char *name, int cpu, int (*fn)(void *arg), void *arg);

/* Starts the program `argv[0]` (a path), on CPU `cpu` (-1: any), output to
 * DIR/NAME.log. `libraries`, where not NULL, is its LD_LIBRARY_PATH. */
int child_start(struct child *child, const char *name, int cpu, const char *dir,
                const char *libraries, const char *const argv[]);

/* Waits until the Unix socket `path` takes a connection, and returns that
 * connection, the caller's to close. -1 after 10 seconds, or when the child
 * ends first (its output is shown). */
int child_connect(const struct child *child, const char *path);

/* Ends it: SIGTERM, after 5 seconds SIGKILL; waits for its end. Idempotent. */
void child_stop(struct child *child);

/* Pins the calling thread and its later children to `cpu`; -1 for those that
 * the program was started with. */
int child_pin_self(int cpu);

#endif
