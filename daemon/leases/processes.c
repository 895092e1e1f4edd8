#include "daemon/leases/processes.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

#include "daemon/base/check.h"
#include "daemon/os/peer.h"
#include "daemon/os/proc_stat.h"

#define ANCESTORS_MAX 8u /* shells and wrappers between a client and the client that created it */

static uint32_t index_of(const struct processes *processes, pid_t pid) {
  return (uint32_t)(XXH3_64bits_withSeed(&pid, sizeof pid, processes->secret) % PROCESSES_BUCKETS);
}

static struct process **bucket_of(struct processes *processes, pid_t pid) {
  return &processes->buckets[index_of(processes, pid)];
}

struct process *processes_find(const struct processes *processes, pid_t pid, uint64_t start_time) {
  struct process *process = processes->buckets[index_of(processes, pid)];
  while (process != NULL && !(process->pid == pid && process->start_time == start_time))
    process = process->next_in_bucket;
  return process;
}

static void forget(struct processes *processes, struct process *process) {
  struct process **at = bucket_of(processes, process->pid);
  while (*at != process)
    at = &(*at)->next_in_bucket;
  *at = process->next_in_bucket;
  leases_forget_process(&process->leases);
  free(process);
}

/* ---- processes without a connection ---- */

static void add_idle(struct processes *processes, struct process *process) {
  check_eq(process->connections, 0);
  process->next_idle = NULL;
  process->prev_idle = processes->idle_last;
  *(processes->idle_last == NULL ? &processes->idle_first : &processes->idle_last->next_idle) =
      process;
  processes->idle_last = process;
  processes->idle++;
}

static void remove_idle(struct processes *processes, struct process *process) {
  struct process *next = process->next_idle, *prev = process->prev_idle;
  check_lt(0, processes->idle);
  *(prev == NULL ? &processes->idle_first : &prev->next_idle) = next;
  *(next == NULL ? &processes->idle_last : &next->prev_idle) = prev;
  processes->idle--;
}

static void forget_idle(struct processes *processes, uint32_t most) {
  struct process *oldest;
  while (processes->idle > most && (oldest = processes->idle_first) != NULL) {
    assert(oldest->prev_idle == NULL);
    remove_idle(processes, oldest);
    forget(processes, oldest);
  }
}

void processes_deinit(struct processes *processes) {
  forget_idle(processes, 0);
  check_eq(processes->idle, 0);
  for (unsigned i = 0; i < PROCESSES_BUCKETS; i++)
    assert(processes->buckets[i] == NULL);
}

/* ---- helpers ---- */

/* Returns the nearest ancestor that is a client, or NULL: there is none, or /proc does not show it.
 */
static struct process *find_creator(const struct processes *processes, pid_t pid) {
  struct proc_stat stat;
  bool known = proc_stat_read(pid, &stat);
  for (unsigned i = 0; known && i < ANCESTORS_MAX; i++) {
    pid_t parent = stat.parent;
    known = proc_stat_read(parent, &stat);
    if (!known)
      break;
    struct process *found = processes_find(processes, parent, peer_start_time(stat.start_ticks));
    if (found != NULL)
      return found;
  }
  return NULL;
}

/* A process that was created while its creator computed, or by a helper, is a helper as long as it
 * lives, because its creator may give it work in later computations too. A process that was created
 * before is a worker like others. */
static void detect_helper(const struct processes *processes, struct process *process) {
  struct process *creator = process->start_time == 0 ? NULL : find_creator(processes, process->pid);
  if (creator == NULL || creator == process)
    return;
  uint64_t created_ns = proc_stat_created_ns(peer_start_ticks(process->start_time));
  bool was_computing = creator->leases.held > 0 && created_ns >= creator->leases.computing_since_ns;
  if (was_computing || creator->leases.helper_of != NULL)
    leases_set_helper(&process->leases, &creator->leases);
}

/* ---- connections ---- */

static struct process *make(struct processes *processes, pid_t pid, uint64_t start_time,
                            uint64_t number) {
  struct process *process = calloc(1, sizeof *process);
  if (process == NULL)
    return NULL;
  process->pid = pid;
  process->start_time = start_time;
  process->number = number;
  process->next_in_bucket = *bucket_of(processes, pid);
  *bucket_of(processes, pid) = process;
  detect_helper(processes, process);
  return process;
}

struct process *processes_join(struct processes *processes, pid_t pid, uint64_t start_time,
                               uint64_t number) {
  if (pid <= 0)
    return NULL;
  struct process *process = processes_find(processes, pid, start_time);
  if (process == NULL)
    process = make(processes, pid, start_time, number);
  else if (process->connections == 0)
    remove_idle(processes, process);
  if (process != NULL)
    process->connections++;
  return process;
}

void processes_leave(struct processes *processes, struct process *process) {
  check_lt(0, process->connections);
  assert(process->connections > 1 || process->leases.held == 0);
  if (--process->connections > 0)
    return;
  if (process->start_time == 0) { /* the next one with this pid may be another process */
    forget(processes, process);
    return;
  }
  add_idle(processes, process);
  forget_idle(processes, PROCESSES_IDLE_MAX);
}
