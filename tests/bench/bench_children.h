/* bench_children.h - starts and stops the servers of the bench.
 *
 * A child dies with the bench, however the bench ends, by a SIGKILL of the kernel. Functions that
 * fail print the reason on stderr and return -1. */
#ifndef BENCH_CHILDREN_H
#define BENCH_CHILDREN_H

#include <stddef.h>
#include <sys/types.h>

/* Zero it before the first use, and call child_stop at the end. */
struct child {
  pid_t pid; /* 0: none */
  int pidfd;
  const char *name; /* borrowed */
  char log[256];    /* file for stdout and stderr */
};

/* Runs `fn(arg)` in a fork of this process, on CPU `cpu` (-1: any). Its result is the exit status.
 */
int child_fork(struct child *child, const char *name, int cpu, int (*fn)(void *arg), void *arg);

/* Starts the program `argv[0]` (a path) on CPU `cpu` (-1: any), with output to DIR/NAME.log.
 * `libraries` is its LD_LIBRARY_PATH, or NULL. */
int child_start(struct child *child, const char *name, int cpu, const char *dir,
                const char *libraries, const char *const argv[]);

/* Waits until the Unix socket `path` accepts a connection, and returns it; the caller closes it.
 * Returns -1 after 10 seconds, or if the child ends first; then its output is printed. */
int child_connect(const struct child *child, const char *path);

/* Stops it with SIGTERM, or with SIGKILL after 5 seconds, and waits for its end. Idempotent. */
void child_stop(struct child *child);

/* Pins the calling thread and its later children to `cpu`, or with -1 to the CPUs of the start. */
int child_pin_self(int cpu);

#endif
