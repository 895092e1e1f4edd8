/* connection.h - the connection to the daemon: connects, performs the handshake, reconnects after a
 * back-off. request.h sends requests over it.
 *
 * connection_open waits for the welcome, one deadline at most. So does the first use in a forked
 * child whose parent was connected, and the first use after the daemon has closed a connection that
 * was up (`lost`): a daemon that restarts is back within moments. Until that use has waited in
 * vain, nothing is logged and no back-off begins. All other attempts do not wait: after a back-off
 * (backoff.h) connection_ready connects and sends hello, and a later call finds the welcome. A
 * stopped daemon thus costs one deadline in all, and so does one that is gone.
 *
 * With the welcome may come a region and a ring (shm.h). A connection that missed its deadline then
 * lingers: it stays open, unused, until the daemon welcomes or rejects the next one, so that the
 * hits in the ring are not lost. Before that the client gives up all its leases and waits, if the
 * socket has room for the message: a lease that was granted too late is free for others. One
 * thread. */
#ifndef FC_CLIENT_CONNECTION_H
#define FC_CLIENT_CONNECTION_H

#include "client/lib/conn/backoff.h"
#include "client/lib/conn/daemon_user.h"
#include "client/lib/conn/socket_io.h"
#include "client/lib/shm/shm.h"
#include "client/lib/util/fork_check.h"
#include "client/lib/util/socket_paths.h"
#include "fcache.h"
#include "proto/limits.h"
#include "proto/wire/message.h"

enum connection_state {
  CONNECTION_OFF,       /* until the back-off is over */
  CONNECTION_HANDSHAKE, /* hello is sent */
  CONNECTION_UP,
};

/* The first protocol version with a feature. */
enum connection_feature {
  CONNECTION_LEASES = 3,    /* leases, waits, lists of leases and clients */
  CONNECTION_MANIFESTS = 4, /* manifests, list of namespaces */
  CONNECTION_RINGS = 5,     /* request for a ring, state of the ring, kill */
  CONNECTION_SNAPSHOTS = 6, /* snapshot, set, gets that do not promote, lists by place */
  CONNECTION_TOOLS = 7,     /* events, delete and figures for tools */
  CONNECTION_FLEET = 8, /* state of the tier; a clear and a delete of one daemon or of its fleet */
};

struct connection_options {
  const char *socket;     /* NULL: the default paths */
  const char *name_space; /* NULL: none (tools) */
  const char *client;     /* NULL: "PROGRAM-PID" */
  uint64_t deadline_ns;
  const int64_t *max_entries; /* NULL: none */
  uint64_t max_bytes;         /* 0: none */
  const char *manifest;       /* NULL: none */
  fcache_log_fn *log;         /* NULL: stderr */
  void *log_arg;
  bool disabled; /* never connects, never logs */
  bool quiet;    /* does not log that sharing is off */
  bool region;   /* requests the region; needs a namespace */
};

/* Returns room for the large value at the end of a reply, `size` bytes, or NULL to receive it with
 * the reply. *reply is complete except for the value. The value's address is then reply->get.value;
 * in a part of a get_many, reply->get_many.values has n = 1, at = NULL and its size. If the request
 * fails, the content of the room is undefined. */
typedef void *request_destination_fn(void *arg, const struct fc_reply *reply, uint32_t size);

struct connection {
  enum connection_state state;
  bool disabled;
  bool default_name; /* `client` is "PROGRAM-PID" */
  bool logged_off;   /* that sharing is off */
  bool logged_too_big;
  bool wants_region;
  bool child_opens; /* in a child whose parent was connected: its first use waits for the welcome */
  bool lost;        /* the daemon closed it, and no use has waited for the next daemon yet */
  bool forked;      /* in a child: connection_forked has not returned true yet */
  struct socket_paths socket_paths;
  struct daemon_user daemon_user; /* the users whose daemons are trusted */
  const char *path;               /* in `socket_paths`: the latest that was tried */
  struct socket_io io;
  struct shm shm;
  volatile struct fork_check *fork_check;
  struct backoff backoff;
  uint32_t last_id;      /* of a request */
  enum fc_type expected; /* type of the reply to the current request */
  uint64_t connections;  /* welcomes, ever */
  struct fc_buf unsent;  /* messages without a result, to be sent after the next welcome */
  bool has_handle;       /* `handle` is random: */
  struct fc_hash handle; /* proves to the next daemon which leases are this handle's */
  struct fc_buf request; /* of the current request; its memory is reused */
  struct fc_epoch epoch; /* the daemon's latest */
  uint32_t version;      /* of the protocol, negotiated */
  uint32_t max_value, max_frame;
  char server[64];
  char name_space[FC_NAME_MAX + 1], client[FC_NAME_MAX + 1];
  bool has_max_entries;
  int64_t max_entries;
  uint64_t max_bytes;
  char *manifest; /* owned; NULL: none */
  fcache_log_fn *log;
  void *log_arg;
  request_destination_fn *destination; /* of the current request; NULL: none */
  void *destination_arg;
  char error[FCACHE_ERROR_TEXT_SIZE]; /* the latest failure */
};

/* Checks and copies the options, without connecting. Returns 0, FC_EINVAL, FC_ENAME, FC_EMAXENTRIES
 * or FC_ENOMEM with connection->error. Call connection_deinit in any case. */
int connection_init(struct connection *connection, const struct connection_options *options);
void connection_deinit(struct connection *connection);

/* Connects regardless of the back-off, and waits for the welcome. Returns 0, also if the connection
 * is up already; FC_EUNAVAILABLE if no daemon answers; or the code with which it rejected hello. */
int connection_open(struct connection *connection);

/* Returns whether the connection is up. If it is off and the back-off is over, connects first.
 * Does not wait. Logs once why sharing is off. */
bool connection_ready(struct connection *connection);

/* The time in which a daemon that restarts is back. One that takes longer is found after a
 * back-off.
 */
#define CONNECTION_REOPEN_NS UINT64_C(1000000000)

/* Waits until a daemon that was lost is back: connects again and again. Returns 0; FC_ETIMEDOUT at
 * `until_ns`, or SOCKET_IO_INTERRUPTED after a signal, and the call may be repeated; or as
 * connection_open, with `lost` false. */
int connection_reopen(struct connection *connection, uint64_t until_ns);

/* Gives the lost daemon up: logs that sharing is off, and connection_ready does not wait any more.
 * Returns `rc`. */
int connection_reopen_end(struct connection *connection, int rc);

/* In a forked child: drops the parent's connection, which leaves the state CONNECTION_OFF, and
 * returns true, once. */
bool connection_leave_parent(struct connection *connection);

/* Calls connection_leave_parent. Returns true once in a forked child, also if another function
 * called it before. */
bool connection_forked(struct connection *connection);

/* Gives up all leases and waits of this connection. The daemon then replies to pending waits.
 * Returns false if the message cannot be sent without waiting. */
bool connection_give_up_all(struct connection *connection);

/* Keeps the messages in `messages`, whose replies do not matter, for the next daemon. Beyond
 * CONNECTION_UNSENT_MAX bytes, or without memory, they are dropped. */
#define CONNECTION_UNSENT_MAX 65536u
void connection_send_later(struct connection *connection, const struct fc_buf *messages);

/* Returns whether hits may be served from the region, when shm_connection_check_due asks for the
 * check. True while a socket shows that the daemon is alive. Closes a connection that the daemon
 * closed. Then only a daemon that accepts a hello at once, and answers it within the deadline,
 * keeps the region in use. With `local` no hello is sent. Does not wait. Three system calls if the
 * connection is up. */
bool connection_allows_hits(struct connection *connection, bool local);

static inline bool connection_has(const struct connection *connection,
                                  enum connection_feature feature) {
  return connection->version >= (uint32_t)feature;
}

/* Checks that the daemon has the feature: an older one would close the connection at a request that
 * it does not know. Returns 0, or FC_EVERSION with a text that names the daemon and `what`. */
int connection_check_supported(struct connection *connection, enum connection_feature feature,
                               const char *what);

/* Returns a new request id, never 0: that is the id of errors that belong to no request. */
uint32_t connection_next_request_id(struct connection *connection);

/* Closes a connection that failed with `rc`: an error of socket_io.h, or FC_EPROTOCOL for an
 * invalid message. Sets connection->error and returns FC_EUNAVAILABLE. A missed deadline makes it
 * linger. */
int connection_fail(struct connection *connection, int rc);

/* Closes the connection and starts the back-off. The caller has set connection->error, which is
 * logged the first time. Returns FC_EUNAVAILABLE. */
int connection_close(struct connection *connection);

/* Closes the connection if the program has closed or replaced its descriptor. One system call. */
void connection_check_fd(struct connection *connection);

/* Reports a value over a limit of the daemon; logs the first one. Returns FC_ETOOBIG. */
int connection_value_too_big(struct connection *connection, size_t size);

/* Sets connection->error, printf-like, and returns `code`. The text becomes one line of valid UTF-8
 * without control characters, whatever the arguments hold. */
int connection_set_error(struct connection *connection, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
