/* proc_stat.h - when a process was created, and by which: from /proc/PID/stat.
 *
 * /proc may be absent, or hide other users' processes (hidepid=, ProtectProc=). Then nothing is
 * known, which is no error. */
#ifndef FC_DAEMON_PROC_STAT_H
#define FC_DAEMON_PROC_STAT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_stat {
  pid_t parent;         /* now: another, when the creator has ended */
  uint64_t start_ticks; /* since boot, in units of sysconf(_SC_CLK_TCK), rounded down */
};

/* False: nothing is known of that process. */
bool proc_stat_read(pid_t pid, struct proc_stat *stat);

/* The same from the file's text, which is NUL-terminated. */
bool proc_stat_parse(const char *text, struct proc_stat *stat);

/* CLOCK_MONOTONIC at the end of that tick: the process was created by then. */
uint64_t proc_stat_created_ns(uint64_t start_ticks);

#endif
