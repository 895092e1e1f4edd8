/* processes.h - the processes of the clients: groups connections by process, and detects processes
 * that were created for a computation of another (helpers).
 *
 * A process is identified by its pid and, if /proc shows it, its start time. It is kept for a while
 * after its last connection has ended, so that its next connection is recognized. Owns the
 * processes. Their number is bounded by the connections and PROCESSES_IDLE_MAX. One thread. */
#ifndef FC_DAEMON_PROCESSES_H
#define FC_DAEMON_PROCESSES_H

#include <stdint.h>
#include <sys/types.h>

#include "daemon/leases/leases.h"

#define PROCESSES_BUCKETS 256u
#define PROCESSES_IDLE_MAX 1024u /* kept without a connection */

struct process {
  struct lease_process leases; /* first */
  uint64_t number;             /* the client id of its first connection: never used twice */
  pid_t pid;
  uint64_t start_time; /* its start time as peer.h has it; 0: not known */
  uint32_t connections;
  struct process *next_in_bucket;
  struct process *next_idle, *prev_idle; /* while it has no connection */
};

/* Zero to start, but for `secret`. */
struct processes {
  uint64_t secret; /* random, so that no user can create pids that share a bucket */
  struct process *buckets[PROCESSES_BUCKETS];
  struct process *idle_first, *idle_last; /* the longest without a connection first */
  uint32_t idle;
};

/* All processes have lost their connections. */
void processes_deinit(struct processes *processes);

/* Adds a connection of the process `pid`, which processes_leave removes. A new process gets
 * `number`, and is a helper if it was created while an ancestor computed. Returns NULL if memory is
 * out, or the pid is 0 (of another pid namespace). */
struct process *processes_join(struct processes *processes, pid_t pid, uint64_t start_time,
                               uint64_t number);

/* Removes a connection, which holds no lease and does not wait. */
void processes_leave(struct processes *processes, struct process *process);

/* Returns the process if it has a connection or is kept, or NULL. */
struct process *processes_find(const struct processes *processes, pid_t pid, uint64_t start_time);

#endif
