/* bench_daemon.h - one fcached that the bench starts. */
#ifndef BENCH_DAEMON_H
#define BENCH_DAEMON_H

#include "tests/bench/bench_children.h"
#include "tests/bench/env.h"

#include <stdint.h>

struct daemon_options {
  const char *name;      /* names its socket and its log; borrowed */
  const char *max_bytes; /* as on its command line */
  const char *trace;     /* path of its trace; NULL: none */
};

/* Zero it before the first use; daemon_stop at the end. */
struct daemon {
  struct child child;
  char socket[96];
};

/* Starts it, and returns when it serves. 0, or -1 after saying why on stderr. */
int daemon_start(struct daemon *daemon, const struct bench_env *env,
                 const struct daemon_options *options);

/* Idempotent; also after a failed start. */
void daemon_stop(struct daemon *daemon);

/* The CPU time that all threads of process `pid` have had. 0, or -1 after saying why. */
int daemon_cpu_ns(pid_t pid, uint64_t *ns);

/* Waits until the daemon has all but nothing to do any more: its trace is written,
 * which it does within 100 ms of the last line. After 2 seconds it says on stderr
 * that the daemon does not rest, and returns all the same. */
void daemon_settle(pid_t pid);

#endif
