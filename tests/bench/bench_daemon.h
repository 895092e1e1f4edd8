/* bench_daemon.h - a fcached that the bench starts. */
#ifndef BENCH_DAEMON_H
#define BENCH_DAEMON_H

#include "tests/bench/bench_children.h"
#include "tests/bench/env.h"

#include <stdint.h>

struct daemon_options {
  const char *name;      /* names its socket and its log; borrowed */
  const char *max_bytes; /* as on its command line */
  const char *trace;     /* path of its trace; NULL: none */
  const char *tier;      /* path of the Unix socket of its tier; NULL: none */
};

/* Zero it before the first use, and call daemon_stop at the end. */
struct daemon {
  struct child child;
  char socket[96];
};

/* Starts it, and returns when it serves. Returns 0, or -1 with the reason on stderr. */
int daemon_start(struct daemon *daemon, const struct bench_env *env,
                 const struct daemon_options *options);

/* Idempotent, also after a failed start. */
void daemon_stop(struct daemon *daemon);

/* Reads the CPU time of all threads of process `pid`. Returns 0, or -1 with the reason on stderr.
 */
int daemon_cpu_ns(pid_t pid, uint64_t *ns);

/* Waits until the daemon rests and its trace is written, within 100 ms of the last line. After 2
 * seconds it prints that the daemon does not rest, and returns. */
void daemon_settle(pid_t pid);

#endif
