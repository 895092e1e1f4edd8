/* processes.h - the processes of the clients: which connections are of one, and which process was
 * created for a computation of which.
 *
 * A process is known by its pid and, where /proc shows it, by when it was created. It is remembered
 * for a while after its last connection has ended, so that its next one is known to be of the same
 * process. Owns the processes; a bound on the connections bounds their number. One thread. */
#ifndef FC_DAEMON_PROCESSES_H
#define FC_DAEMON_PROCESSES_H

#include <stdint.h>
#include <sys/types.h>

#include "daemon/leases/leases.h"

#define PROCESSES_BUCKETS 256u
#define PROCESSES_IDLE_MAX 1024u /* that are remembered without a connection */

struct process {
  struct lease_process leases; /* first */
  uint64_t number;             /* client id of its first connection: never used twice */
  pid_t pid;
  uint64_t start_time; /* see peer.h; 0: not known */
  uint32_t connections;
  struct process *next_in_bucket;
  struct process *next_idle, *prev_idle; /* where it has no connection */
};

/* Zero to start, but for `secret`. */
struct processes {
  uint64_t secret; /* random: so no user can choose pids that share a bucket */
  struct process *buckets[PROCESSES_BUCKETS];
  struct process *idle_first, *idle_last; /* the one longest without a connection first */
  uint32_t idle;
};

/* No process has a connection any more. */
void processes_deinit(struct processes *processes);

/* A connection of the process `pid` begins; it is left by processes_leave. `number` is that of a
 * new one, which is a helper if it was created while a process above it computed. NULL: the pid is
 * 0 (of another pid namespace), or out of memory. */
struct process *processes_join(struct processes *processes, pid_t pid, uint64_t start_time,
                               uint64_t number);

/* A connection ends. It holds no lease, and does not wait. */
void processes_leave(struct processes *processes, struct process *process);

/* That has a connection, or is remembered; or NULL. */
struct process *processes_find(const struct processes *processes, pid_t pid, uint64_t start_time);

#endif
