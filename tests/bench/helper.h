/* helper.h - another process that works during a burst.
 *
 * It is a fork of this process, which controls it over a pair of sockets. Functions return 0, or -1
 * with the reason on stderr. */
#ifndef BENCH_HELPER_H
#define BENCH_HELPER_H

#include "tests/bench/bench_children.h"
#include "tests/bench/measure.h"

#include <stdint.h>

/* Does one burst of work of `ns`, in the helper. Sets *out. */
typedef int helper_fn(void *arg, uint64_t ns, struct measure *out);

/* Zero it before the first use, and call helper_stop at the end. */
struct helper {
  struct child child;
  int fd; /* valid while there is a child */
};

/* Forks it on CPU `cpu` (-1: any), with a copy of `arg`. It has done one short burst when this
 * returns, and so has opened and touched its needs. */
int helper_start(struct helper *helper, const char *name, int cpu, helper_fn *fn, void *arg);

/* Idempotent. */
void helper_stop(struct helper *helper);

/* Start a burst of the helper; wait for its end and read the results. */
int helper_begin(const struct helper *helper, uint64_t ns);
int helper_end(const struct helper *helper, struct measure *out);

#endif
