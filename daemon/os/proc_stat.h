/* proc_stat.h - a process's parent and start time, from /proc/PID/stat.
 *
 * /proc may be absent, or hide other users' processes (hidepid=, ProtectProc=). */
#ifndef FC_DAEMON_PROC_STAT_H
#define FC_DAEMON_PROC_STAT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct proc_stat {
  pid_t parent; /* at the time of the read: init or a subreaper once the creator has exited */
  uint64_t start_ticks; /* since boot, in units of sysconf(_SC_CLK_TCK), rounded down */
};

/* Reads the file of `pid`. Returns false if it cannot be read. */
bool proc_stat_read(pid_t pid, struct proc_stat *stat);

/* Parses the file's NUL-terminated text. Returns false if it is malformed. */
bool proc_stat_parse(const char *text, struct proc_stat *stat);

/* Converts to CLOCK_MONOTONIC, at the end of the tick: the process existed by then. */
uint64_t proc_stat_created_ns(uint64_t start_ticks);

#endif
