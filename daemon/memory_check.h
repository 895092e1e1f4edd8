/* memory_check.h - is there the memory that the options promise? Asked once at start,
 * so that a daemon that cannot keep its promise says so then, and is not killed
 * under load. */
#ifndef FC_DAEMON_MEMORY_H
#define FC_DAEMON_MEMORY_H

#include "daemon/base/error_text.h"
#include "daemon/memory_total.h"

/* Compares the sum of the bounds with what the tightest memory limit leaves of
 * this process's control group and those above it (v1 and v2: the limit less what is in use and
 * cannot be reclaimed), with MemAvailable, and with RLIMIT_AS and RLIMIT_DATA. `root` stands before
 * /proc and /sys: "" for the real ones. What is absent or unreadable sets no limit. 0, or FC_ENOMEM
 * with a text that has both numbers, and each part with the option that bounds it. */
int memory_check(const struct memory_amounts *bounds, const char *root, struct fault *fault);

#endif
