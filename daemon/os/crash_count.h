/* crash_count.h - counts starts that failed and crashes, over the lives of daemons, so that memory
 * that makes each daemon crash is given up at last.
 *
 * The counts are in a small memory file of the descriptor store, "starts". A kill does not count
 * once the daemon serves: it is no fault of the memory. The content is not trusted. One per
 * process, one thread. */
#ifndef FC_DAEMON_CRASH_COUNT_H
#define FC_DAEMON_CRASH_COUNT_H

#include "daemon/os/fd_store.h"

/* In a row, however they ended: an out-of-memory kill during the start repeats. */
#define CRASH_COUNT_STARTS_MAX 10u
/* In a row, each within CRASH_COUNT_SOON_S of its start. A daemon that runs for longer, and does
 * not crash, ends the row. */
#define CRASH_COUNT_CRASHES_MAX 5u
#define CRASH_COUNT_SOON_S 60u
/* The service manager restarts a daemon at once. From the second crash in a row on, a start waits
 * for this time first, then twice as long each time. */
#define CRASH_COUNT_PAUSE_MS 100u
#define CRASH_COUNT_PAUSE_MAX_MS 1000u

/* Counts this start, and from now on a crash of this process (SIGABRT, SIGBUS, SIGFPE, SIGILL,
 * SIGSEGV), unless a sanitizer has handlers of its own. Takes the file from what `store` received,
 * or makes and pushes one. Sleeps first if starts failed or daemons crashed in a row. Without a
 * service manager there is no effect.
 *
 * Returns true if the received memory must not be used again: more starts or crashes than the
 * limits followed each other. Then the counts begin anew. */
bool crash_count_begin(struct fd_store *store);

/* The daemon serves: no start has failed since. */
void crash_count_ready(void);

#endif
