/* admin.h - the requests of fcachectl. Internal to the library: not installed, not exported.
 *
 * Unlike a handle of <fcache.h> it does not fail open: without a daemon every call is an error.
 * Each call is one request (a list: one per page) and takes one deadline at most. Returns 0 or a
 * negative code of proto/errors.h, FC_EUNAVAILABLE if no daemon replied; admin_error() has the
 * text. One thread. */
#ifndef FC_CLIENT_ADMIN_H
#define FC_CLIENT_ADMIN_H

#include <stdbool.h>
#include <stdint.h>

#include "client/lib/conn/pages.h"
#include "fcache.h"

struct admin;

#define ADMIN_PATH_SIZE 4096

struct admin_trace {
  bool on;
  char path[ADMIN_PATH_SIZE]; /* "" without a file; NUL-terminated */
  uint64_t lines, lost;
};

/* Connects, and copies its arguments. `socket` NULL: the default paths; `name_space` NULL: none. On
 * success *out is the caller's. On failure *out is NULL and *error has the code and one line of
 * text, which for FC_EUNAVAILABLE names the sockets that were tried. */
int admin_open(const char *socket, const char *name_space, uint32_t deadline_ms, struct admin **out,
               struct fcache_error *error);

/* Connects again after FC_EUNAVAILABLE, at once: to another daemon, if the former one was replaced.
 * Returns 0 or a code, with the text in admin_error(). */
int admin_reconnect(struct admin *admin);

/* Closes and frees. NULL is allowed. */
void admin_close(struct admin *admin);

/* Returns the text of the latest failure, "" without one. Valid until the next call. */
const char *admin_error(const struct admin *admin);

/* Returns the daemon's name and version, "fcached 0.1.0". Valid until admin_close. */
const char *admin_server(const struct admin *admin);

/* Returns the path of the socket that was tried last. Valid until admin_close. */
const char *admin_socket(const struct admin *admin);

/* Measures the time of a request. */
int admin_ping(struct admin *admin, uint64_t *rtt_ns);

/* Calls `fn` for each value, as fcache_server_stats. `name_space` NULL: all. */
int admin_stats(struct admin *admin, const char *name_space, fcache_stat_fn *fn, void *arg);

/* Removes the selected entries. *removed is their number. */
int admin_clear(struct admin *admin, const struct fc_clear *clear, uint64_t *removed);

/* Removes the entry of one key. *existed: there was one. FC_EVERSION if the daemon is too old. */
int admin_delete(struct admin *admin, const struct fc_delete *request, bool *existed);

/* List at most `limit` items (0: all): entries, the most recently used first; leases, the oldest
 * first; clients, in the order in which they connected; namespaces, the oldest first. `name_space`
 * NULL: of all. What an item borrows is valid during the callback, which must not use `admin`.
 * FC_EVERSION, with the connection up, if the daemon is too old for the list. */
int admin_list(struct admin *admin, const struct fc_select *select, uint64_t limit,
               pages_entry_fn *fn, void *arg);
/* Lists all selected entries, but in an order that no use changes: one that exists throughout the
 * call is listed once. */
int admin_list_places(struct admin *admin, const struct fc_select *select, pages_entry_fn *fn,
                      void *arg);
int admin_leases(struct admin *admin, const char *name_space, uint64_t limit, pages_lease_fn *fn,
                 void *arg);
int admin_clients(struct admin *admin, const char *name_space, uint64_t limit, pages_client_fn *fn,
                  void *arg);
int admin_namespaces(struct admin *admin, const char *name_space, uint64_t limit,
                     pages_namespace_fn *fn, void *arg);

/* Lists the usage by the names of a kind since the daemon's start: see struct fc_usage_entry. All
 * rows are of the same moment only if they fit in one page. FC_EVERSION if the daemon is too old.
 */
int admin_usage(struct admin *admin, enum fc_usage_by by, pages_usage_fn *fn, void *arg);

/* Starts or stops the trace, or queries it. The daemon resolves `path`, which is NULL
 * unless the action is FC_TRACE_ON, and makes missing folders if `mkdir`. *out is the state after
 * the request. */
int admin_trace(struct admin *admin, enum fc_trace_action action, const char *path, bool mkdir,
                struct admin_trace *out);

struct admin_snapshot {
  bool started;     /* by this request; else `running` was begun before */
  uint64_t running; /* number of the snapshot that is being written; 0: none */
  uint64_t ended;   /* number of the latest that has ended; 0: none. The fields below are its: */
  uint64_t entries, bytes, duration_ns;
  char path[ADMIN_PATH_SIZE];         /* "": the daemon has no state folder */
  char error[FCACHE_ERROR_TEXT_SIZE]; /* why it failed; "": it has not */
};

/* Begins a snapshot, unless one is being written, or queries the state. Does not wait for its end.
 * FC_EVERSION if the daemon is too old. */
int admin_snapshot(struct admin *admin, enum fc_snapshot_action action, struct admin_snapshot *out);

/* Changes a setting of the daemon. The daemon knows the names, and parses the value. *out is the
 * setting before and after. FC_EVERSION if the daemon is too old. */
int admin_set(struct admin *admin, const char *name, const char *value, struct fc_set_reply *out);

/* Ends the daemon. */
int admin_shutdown(struct admin *admin);

/* Closes the connection of the client with that id. *killed: there was one. FC_EVERSION if the
 * daemon is too old. */
int admin_kill(struct admin *admin, uint64_t client_id, bool *killed);

#endif
