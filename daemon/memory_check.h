/* memory_check.h - compares the memory that the options allow with the memory of this machine. The
 * check runs once at start, so that a daemon without enough memory does not start, rather than be
 * killed under load. */
#ifndef FC_DAEMON_MEMORY_CHECK_H
#define FC_DAEMON_MEMORY_CHECK_H

#include "daemon/base/error_text.h"
#include "daemon/memory_total.h"

/* `held_bytes` is the memory that an earlier daemon left to this one, which is part of the bounds
 * and in use already: it must not stop a restart with the same options. It counts as available, as
 * far as a limit counts it as used. Memory of a removed control group counts in its ancestors
 * alone.
 *
 * Compares the sum of the bounds with the tightest of MemAvailable, RLIMIT_AS, RLIMIT_DATA, and the
 * limits of this process's control group and its ancestors (v1 and v2), less the memory in use
 * there that the kernel cannot reclaim. Reads ROOT/proc and ROOT/sys; `root` is "" for the real
 * ones. A missing or unreadable file sets no limit. Returns 0, or FC_ENOMEM with a text that has
 * both numbers, and each part with the option that bounds it. */
int memory_check(const struct memory_amounts *bounds, uint64_t held_bytes, const char *root,
                 struct error_text *error);

#endif
