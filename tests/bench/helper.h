/* helper.h - another process that works while the bench measures, when it is told to.
 *
 * It is a fork of this process, told over a pair of sockets. Functions return 0, or
 * -1 after saying on stderr what failed. */
#ifndef BENCH_HELPER_H
#define BENCH_HELPER_H

#include "tests/bench/bench_children.h"
#include "tests/bench/measure.h"

#include <stdint.h>

/* One burst of its work, in its own process: `ns` long. Sets *out. 0 or -1. */
typedef int helper_fn(void *arg, uint64_t ns, struct measure *out);

/* Zero it before the first use; helper_stop at the end. */
struct helper {
  struct child child;
  int fd; /* valid while there is a child */
};

/* Forks it, on CPU `cpu` (-1: any). `arg` is its own copy of the caller's. It has done one
 * short burst when this returns, and so has opened and touched what it needs. */
int helper_start(struct helper *helper, const char *name, int cpu, helper_fn *fn, void *arg);

/* Idempotent. */
void helper_stop(struct helper *helper);

/* Lets it begin a burst; waits for its end and takes what it found. */
int helper_begin(const struct helper *helper, uint64_t ns);
int helper_end(const struct helper *helper, struct measure *out);

#endif
