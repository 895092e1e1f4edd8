/* service_manager.h - a service manager for tests: starts a daemon as systemd 252 does, with a
 * listening socket, $NOTIFY_SOCKET and a descriptor store that outlives the daemon.
 *
 * As in systemd:
 * - The socket stays open while no daemon runs, so clients that connect wait for the next one.
 * - FDSTORE=1 stores each descriptor of the message under the FDNAME= of the message, or "stored".
 *   A descriptor of an open file that is stored already is dropped, whatever its name. Beyond
 *   `store_max` descriptors are dropped and counted.
 * - BARRIER=1 closes the descriptor of the message, after the messages before.
 * - FDSTOREREMOVE=1 with FDNAME= drops all descriptors of that name.
 * - The next daemon gets the socket as descriptor 3 and the stored ones behind it, newest first,
 *   with LISTEN_FDS, LISTEN_FDNAMES and LISTEN_PID. The store keeps them all the same.
 * - Messages that a daemon sent before it died are read, also after its death.
 * - The store is dropped when the service stops, and kept when it restarts or dies.
 *
 * A thread reads the messages, so a daemon never waits for the test. Works in any process, also
 * outside Check's runner; a function that cannot do its work calls ck_abort_msg. The process that
 * called service_manager_init calls the others too, from one thread: a daemon dies with the thread
 * that started it. The functions of harness.h take `&manager.daemon`, but for harness_start. Start
 * a daemon that died or was killed again with service_manager_start. */
#ifndef FC_TESTS_SERVICE_MANAGER_H
#define FC_TESTS_SERVICE_MANAGER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/support/harness.h"

#define SERVICE_MANAGER_NAME_SIZE 256 /* of a descriptor, with the NUL */
#define SERVICE_MANAGER_STORE_MAX 1024u

struct stored_fd {
  char name[SERVICE_MANAGER_NAME_SIZE];
  int fd;
};

struct service_manager {
  struct daemon daemon; /* its `socket` is the path of the listening socket */
  unsigned store_max;   /* FileDescriptorStoreMax=: set after the init; at most, and by default,
                           SERVICE_MANAGER_STORE_MAX */
  int listen_fd, notify_fd;
  int stop_fd; /* an eventfd that ends the thread */
  char notify_path[HARNESS_PATH_SIZE];
  pthread_t thread;
  pthread_mutex_t lock; /* of the fields below */
  struct stored_fd *stored;
  unsigned n_stored;
  unsigned n_dropped;   /* descriptors that were not stored because the store was full */
  unsigned n_messages;  /* since the start of the daemon */
  unsigned n_extended;  /* EXTEND_TIMEOUT_USEC= since the start */
  bool ready, stopping; /* READY=1 and STOPPING=1 since the start */
  uint64_t ready_ns;    /* the monotonic time at which READY=1 was read */
};

/* Makes a private directory with the two sockets below the program's (harness_main). The store is
 * empty and no daemon runs. */
void service_manager_init(struct service_manager *manager);

/* Kills the daemon, if one runs, and drops everything. The directory stays until the program ends.
 * Idempotent. */
void service_manager_deinit(struct service_manager *manager);

/* Starts `fcached ARGS...` and waits for its READY=1. The arguments end with NULL. Fails the test
 * if the daemon dies or needs more than 20 s. */
void service_manager_start(struct service_manager *manager, ... /* const char *, NULL */)
    __attribute__((sentinel));

/* The same in two steps, with an array of arguments that ends with NULL. wait_ready returns false
 * if the daemon ended first; it is reaped then, and *status (unless NULL) is its exit status or 128
 * + signal. A test may kill the daemon between the two. */
void service_manager_launch(struct service_manager *manager, const char *const args[]);
bool service_manager_wait_ready(struct service_manager *manager, int *status);

/* Sends SIGKILL, waits, and reads the messages that are still in the queue. */
void service_manager_kill9(struct service_manager *manager);

/* Sends SIGTERM and waits. Returns the exit status, or 128 + signal, or 0 if no daemon runs.
 * `end` is the first half of `systemctl restart` and keeps the store. `stop` is `systemctl stop`
 * and drops it. */
int service_manager_end(struct service_manager *manager);
int service_manager_stop(struct service_manager *manager);

/* The number of stored descriptors, of all names or of those that begin with `prefix`. */
unsigned service_manager_count(struct service_manager *manager, const char *prefix);

/* The number of regions of which segments are stored ("segment-BOOT-NUMBER"). */
unsigned service_manager_regions(struct service_manager *manager);

/* Waits until the entries of earlier regions are in the current one, the only one that is stored.
 * Fails the test after 60 s. */
void service_manager_wait_migrated(struct service_manager *manager);

/* The memory of all stored files in bytes: catalog, indexes, segments. Any thread may call it. */
uint64_t service_manager_bytes(struct service_manager *manager);

/* Returns the newest stored descriptor of that name, or -1. The manager's: valid until the daemon
 * or the test removes it. */
int service_manager_fd(struct service_manager *manager, const char *name);

/* Stores a descriptor, as the daemon's FDSTORE=1 does. The caller keeps its own. For foreign and
 * broken descriptors. */
void service_manager_store(struct service_manager *manager, const char *name, int fd);

/* Drops the descriptors of that name, or all if it is NULL. */
void service_manager_remove(struct service_manager *manager, const char *name);

#endif
