/* fd_store.h - the service manager's descriptor store: memory that outlives the daemon.
 *
 * A memory file that is pushed under a name comes back to the next daemon, also after a kill. The
 * names are "catalog", "starts" and "segment-BOOT-NUMBER", where BOOT is the boot id
 * of the daemon that made the region, in hexadecimal. One descriptor has one name, because the
 * service manager removes by name.
 *
 * A change (push or remove) is sent at once, unless the service manager has not read the ones
 * before. Then it is kept, in order, until fd_store_flush. Without a service manager nothing is
 * stored, and each function has no effect. One thread. */
#ifndef FC_DAEMON_FD_STORE_H
#define FC_DAEMON_FD_STORE_H

#include "daemon/os/passed_fds.h"
#include "daemon/os/sd_notify.h"

#include <stdbool.h>
#include <stdint.h>

#define FD_STORE_NAME_SIZE 64
#define FD_STORE_CATALOG "catalog"
#define FD_STORE_STARTS "starts" /* see crash_count.h */

/* A memory file that an earlier daemon stored. Its name, size and content are not trusted: another
 * program may have stored it. */
struct fd_store_memory {
  int fd; /* close-on-exec; -1: taken by a new owner */
  char name[FD_STORE_NAME_SIZE];
  uint64_t inode;
  uint64_t bytes;           /* its size, which may be sparse */
  uint64_t committed_bytes; /* memory that it holds */
};

struct fd_store_change {
  char name[FD_STORE_NAME_SIZE]; /* "": a barrier */
  int fd;                        /* a copy, closed once sent; -1: remove the name */
};

struct fd_store {
  struct sd_notify *notify; /* borrowed */
  struct fd_store_memory *received;
  unsigned n_received;
  struct fd_store_change *pending; /* in order */
  unsigned n_pending, capacity;
  unsigned wait_ms; /* longest wait of one change for the service manager. Set by the owner */
  uint64_t failed;  /* changes that were lost */
};

/* `notify` outlives the store. A change waits up to FD_STORE_WAIT_MS: set wait_ms to 0 once the
 * daemon serves. */
#define FD_STORE_WAIT_MS 100u
void fd_store_init(struct fd_store *store, struct sd_notify *notify);

/* Closes what was received and not taken, and drops the pending changes. The service manager keeps
 * what it has. Idempotent. */
void fd_store_deinit(struct fd_store *store);

/* Returns true if there is a service manager. Whether it keeps descriptors is not known. */
bool fd_store_is_available(const struct fd_store *store);

/* Takes the memory files with a name of this module from the passed descriptors. Removes other
 * descriptors from the service manager's store, unless their name is in use; the caller closes
 * them (passed_fds_deinit). Sockets are left. Call once. Returns 0 or FC_ENOMEM. */
int fd_store_receive(struct fd_store *store, struct passed_fds *passed);

/* Closes the received memory files that no owner took, and removes their names from the store,
 * unless an owner took another of the same name. */
void fd_store_drop_received(struct fd_store *store);

/* Does so for all received files but "starts", also those that an owner took: it has closed them.
 */
void fd_store_forget_received(struct fd_store *store);

/* Returns the memory that the received files hold. */
uint64_t fd_store_received_bytes(const struct fd_store *store);

/* Returns true if a received file was not taken. */
bool fd_store_has_received(const struct fd_store *store);

/* Store a descriptor, which stays the caller's, under a name, or remove the name. Do not push what
 * an earlier daemon stored: it still is. A lost change is counted in `failed`. */
void fd_store_push(struct fd_store *store, const char *name, int fd);
void fd_store_remove(struct fd_store *store, const char *name);

/* Returns a pipe that has reached its end once the service manager has made all changes before, and
 * with them has closed what was removed: its memory is not free earlier. The caller closes it.
 * Returns -1 if there is no service manager or no descriptor. */
int fd_store_barrier(struct fd_store *store);

/* Sends pending changes. Waits up to `timeout_ms` in all for a service manager that does not read.
 * Returns true if none is left. */
bool fd_store_flush(struct fd_store *store, unsigned timeout_ms);

/* Formats a name into `name` and returns it. */
const char *fd_store_segment_name(char name[FD_STORE_NAME_SIZE], uint64_t boot_id, unsigned number);

#endif
