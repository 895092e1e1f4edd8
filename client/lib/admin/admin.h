/* admin.h - the library's internal module for tools: what fcachectl asks of a
 * daemon. Not installed, not exported.
 *
 * Unlike a handle of <fcache.h> it does not fail open: what cannot be done is an
 * error. Every call is one exchange (listings: one per page), bounded by the deadline.
 * 0 is success; errors are the negative codes of proto/errors.h, FC_EUNAVAILABLE
 * where no daemon answered, and admin_error() has their text. One thread. */
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
  char path[ADMIN_PATH_SIZE]; /* "" where there is none; NUL-terminated */
  uint64_t lines, lost;
};

/* Connects and says hello. `socket` NULL: the default places; `name_space` NULL:
 * none; both are copied. On success *out is the caller's. On failure *out is NULL
 * and *error says why; for FC_EUNAVAILABLE its text is one line that names the
 * sockets that were tried. */
int admin_open(const char *socket, const char *name_space, uint32_t deadline_ms, struct admin **out,
               struct fcache_error *error);

/* NULL is allowed. */
void admin_close(struct admin *admin);

/* The text of the last failure, "" if there was none; valid until the next call. */
const char *admin_error(const struct admin *admin);

/* What the daemon calls itself: "fcached 0.1.0". Valid until admin_close. */
const char *admin_server(const struct admin *admin);

int admin_ping(struct admin *admin, uint64_t *rtt_ns);

/* Calls `fn` as fcache_server_stats does; `name_space` NULL: all. */
int admin_stats(struct admin *admin, const char *name_space, fcache_stat_fn *fn, void *arg);

int admin_clear(struct admin *admin, const struct fc_select *select, uint64_t *removed);

/* At most `limit` (0: all) entries, the most recently used first; leases, the oldest first;
 * clients, in the order in which they connected; namespaces, the one made first first; `name_space`
 * NULL: of all. What an item borrows is valid during the callback, which leaves `admin` alone. A
 * daemon that is too old for leases and clients, or for namespaces, is FC_EVERSION, and stays
 * connected. */
int admin_list(struct admin *admin, const struct fc_select *select, uint64_t limit,
               pages_entry_fn *fn, void *arg);
int admin_leases(struct admin *admin, const char *name_space, uint64_t limit, pages_lease_fn *fn,
                 void *arg);
int admin_clients(struct admin *admin, const char *name_space, uint64_t limit, pages_client_fn *fn,
                  void *arg);
int admin_namespaces(struct admin *admin, const char *name_space, uint64_t limit,
                     pages_namespace_fn *fn, void *arg);

/* `path` (as the daemon understands it) with FC_TRACE_ON alone, else NULL. *out is the state after
 * it. */
int admin_trace(struct admin *admin, enum fc_trace_action action, const char *path,
                struct admin_trace *out);

int admin_shutdown(struct admin *admin);

/* Closes the connection of the client with that id. *killed: there was one. A daemon that is too
 * old is FC_EVERSION. */
int admin_kill(struct admin *admin, uint64_t client_id, bool *killed);

#endif
