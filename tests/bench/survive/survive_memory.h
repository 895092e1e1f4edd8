/* survive_memory.h - the most memory that a daemon, its service manager and its clients hold at a
 * time: shared memory of each memory file once, and the daemon's private memory.
 *
 * A thread samples every millisecond. It opens no file that it does not close, and belongs to the
 * bench's process, which is also the service manager and the client. */
#ifndef BENCH_SURVIVE_MEMORY_H
#define BENCH_SURVIVE_MEMORY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

struct survive_memory {
  pthread_t thread;
  _Atomic pid_t pid; /* of the daemon; 0: none now */
  atomic_bool over;
  _Atomic uint64_t most_bytes;
};

/* Returns the bytes now. */
uint64_t survive_memory_bytes(pid_t pid);

/* Samples until survive_memory_end, which returns the most. The caller sets `pid` when the daemon
 * is another one. */
void survive_memory_begin(struct survive_memory *memory, pid_t pid);
uint64_t survive_memory_end(struct survive_memory *memory);

#endif
