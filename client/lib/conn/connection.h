/* connection.h - the way to the daemon, as it comes and goes: finds it, greets it, and gets out of
 * the way when it is not there. Requests and replies are request.h's.
 *
 * Only link_open waits for a welcome, at most one deadline, and the first use in a
 * forked child, which is that child's opening. After a failure the next try comes
 * after a back-off that doubles from LINK_BACKOFF_MIN_MS to LINK_BACKOFF_MAX_MS; it
 * connects, sends hello and goes on: a later call finds the welcome. So a stopped
 * daemon costs one deadline in all.
 *
 * With the welcome may come a region and a ring (shm.h). A connection that missed its
 * deadline then stays open, unused, until a new one is welcomed or turned away, so that
 * what the ring holds is not lost. The daemon is told, if it can be at once, that nobody waits on
 * it for anything any more: a lease that was granted too late for us is free for others.
 * One thread. */
#ifndef FC_CLIENT_LINK_H
#define FC_CLIENT_LINK_H

#include "client/lib/conn/daemon_user.h"
#include "client/lib/conn/socket_io.h"
#include "client/lib/shm/shm.h"
#include "client/lib/util/socket_paths.h"
#include "fcache.h"
#include "proto/limits.h"
#include "proto/wire/message.h"

#define LINK_BACKOFF_MIN_MS 100u
#define LINK_BACKOFF_MAX_MS 2000u

enum link_state {
  LINK_OFF,      /* not before retry_ns */
  LINK_GREETING, /* hello is sent */
  LINK_UP,
};

struct link_options {
  const char *socket;     /* NULL: the default places */
  const char *name_space; /* NULL: none, for tools */
  const char *client;     /* NULL: "PROGRAM-PID" */
  uint64_t deadline_ns;
  const int64_t *max_entries; /* NULL: none */
  uint64_t max_bytes;         /* 0: none */
  const char *manifest;       /* NULL: none */
  fcache_log_fn *log;         /* NULL: stderr */
  void *log_arg;
  bool disabled; /* never connects, says nothing */
  bool quiet;    /* does not say that sharing is off */
  bool region;   /* asks for the region; only with a namespace */
};

/* Says where a large value that ends a reply belongs: *reply is set but for it. Returns room for
 * `size` bytes, or NULL, and the value comes with the reply. Room that was taken is
 * reply->get.value; in a part of a get_many, `values` then has n = 1, at = NULL and the value's
 * size. When the exchange fails, the room holds anything. */
typedef void *link_place_fn(void *arg, const struct fc_reply *reply, uint32_t size);

struct link {
  enum link_state state;
  bool disabled, own_name;
  bool said; /* that sharing is off */
  bool said_too_big;
  bool region;  /* is asked for */
  bool opening; /* in a child whose parent was connected: its first use waits for the welcome */
  bool forked;  /* and nobody has been told that it is a child */
  struct sockets sockets;
  struct daemon_user daemon_user; /* whose daemons are trusted */
  const char *path;               /* of `sockets`: the one connected to, or greeted last */
  struct channel channel;
  struct plane plane;
  volatile struct fork_mark *fork_mark;
  uint64_t retry_ns, backoff_ns;
  uint32_t next_id;
  enum fc_type expected; /* the type of reply to the request under way */
  uint64_t connections;  /* welcomes, ever */
  struct fc_buf request; /* made anew for each; kept for its memory */
  struct fc_epoch epoch; /* the latest that the daemon told */
  uint32_t version;      /* of the protocol, both sides' */
  uint32_t max_value, max_frame;
  char server[64];
  char name_space[FC_NAME_MAX + 1], client[FC_NAME_MAX + 1];
  bool has_max_entries;
  int64_t max_entries;
  uint64_t max_bytes;
  char *manifest; /* goes with every hello; NULL: none */
  fcache_log_fn *log;
  void *log_arg;
  link_place_fn *place; /* of the request under way; NULL: none */
  void *place_arg;
  char error[FCACHE_ERROR_TEXT_SIZE]; /* what went wrong last */
};

/* Checks and copies the options; connects to nothing. 0, FC_EINVAL, FC_ENAME,
 * FC_EMAXENTRIES or FC_ENOMEM, with link->error set; deinit in any case. */
int link_init(struct link *link, const struct link_options *options);
void link_deinit(struct link *link);

/* Connects now, whatever the back-off, and waits for the welcome. 0, also where it
 * is connected; FC_EUNAVAILABLE where no daemon answers; or the code with which it
 * refused hello. */
int link_open(struct link *link);

/* Is the daemon there now? Does not wait. False says why once (see fcache.h). */
bool link_ready(struct link *link);

/* In a forked child: lets go of the parent's connection, which leaves the link off. True then; so
 * far it is not told of by link_forked, which does the same. */
bool link_leave_parent(struct link *link);
/* True, once, in a forked child: the link has let go of the parent's connection. */
bool link_forked(struct link *link);

/* Tells the daemon, if that is to be had at once, that nobody here waits for anything or computes
 * anything any more: it answers what waits, and others are granted the leases. False: it cannot be
 * told. */
bool link_let_go(struct link *link);

/* The plane wants the connection looked at: may a hit be served from the region? True while a
 * connection shows that the daemon lives. One that has ended is closed here, and then only a daemon
 * that can be greeted at once, and welcomes us within the deadline, keeps the region in use. With
 * `silent` nobody is greeted. Waits for nothing; three system calls where all is well. */
bool link_serves_hits(struct link *link, bool silent);

/* The id for the next request, of this type, to be made in link->request (which is
 * empty). Its reply must be of that type: a peer is not trusted to match them. */
uint32_t link_begin(struct link *link, enum fc_type type);

/* Does the daemon that we are connected to know leases, and tells of them and of its clients? Does
 * it know manifests, and tells of its namespaces? Does it know limits of users, and `kill`? */
bool link_has_leases(const struct link *link);
bool link_has_manifests(const struct link *link);
/* Does it hand out another ring, and show the state of the one that there is? */
bool link_has_rings(const struct link *link);
bool link_has_users(const struct link *link);

/* The id of one more request of the same type, to be appended to link->request. */
uint32_t link_next_id(struct link *link);

/* For the request that was begun last, and those added to it. */
void link_place(struct link *link, link_place_fn *place, void *arg);

/* The connection is of no more use, for `rc` (an error of socket_io.h, or FC_EPROTOCOL where what
 * was said makes no sense): closes it, says so, and returns FC_EUNAVAILABLE. */
int link_lost(struct link *link, int rc);

/* The same where link->error says already how the daemon went. */
int link_off(struct link *link);

/* Nothing is read or sent on a number that the program has closed, and may use again: such a link
 * is off then. A system call. */
void link_check(struct link *link);

/* A value is over the daemon's limit: says so, the first time to the program's people too. Returns
 * FC_ETOOBIG. */
int link_too_big(struct link *link, size_t size);

/* Sets link->error, printf-like, and returns `code`. The text becomes one line without
 * control characters, whatever a name or a peer's text had. */
int link_fault(struct link *link, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
