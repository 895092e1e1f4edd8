/* memory.h - is there the memory that the options promise? Asked once at start,
 * so that a daemon that cannot keep its promise says so then, and is not killed
 * under load. */
#ifndef FC_DAEMON_MEMORY_H
#define FC_DAEMON_MEMORY_H

#include "daemon/fault.h"

#include <stdint.h>

#define MEMORY_OVERHEAD_BYTES (16u << 20) /* program, libraries, stacks, trace buffer */

struct memory_need {
  uint64_t max_bytes;           /* --max-bytes */
  uint64_t region_bytes;        /* beside them: region_overhead_bytes */
  uint64_t client_budget_bytes; /* --client-budget, for messages in flight */
  uint64_t rings_bytes;         /* rings_pool_bytes; 0: there are none */
  uint64_t manifests_bytes;     /* of as many namespaces as there may be */
};

/* Compares the need (all of these and the overhead) with what the tightest memory limit leaves of
 * this process's control group and those above it (v1 and v2: the limit less what is in use and
 * cannot be reclaimed), with MemAvailable, and with RLIMIT_AS and RLIMIT_DATA. `root` stands before
 * /proc and /sys: "" for the real ones. What is absent or unreadable sets no limit. 0, or FC_ENOMEM
 * with a text that has both numbers. */
int memory_check(const struct memory_need *need, const char *root, struct fault *fault);

#endif
