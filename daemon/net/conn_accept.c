/* The beginning of a connection: identifies its peer, and finds a place for it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/net/conn.h"
#include "daemon/os/epoll_watch.h"
#include "proto/errors.h"

/* When the last descriptor is in use, libuv closes new connections without an error. So the daemon
 * warns before. */
static void check_descriptors(struct conns *conns) {
  int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
  if (fd >= 0) {
    (void)close(fd); /* a duplicate of stderr */
    conns->logged_no_descriptors = false;
  } else if (errno == EMFILE || errno == ENFILE) {
    log_once(conns->log, &conns->logged_no_descriptors, LOG_LEVEL_WARNING,
             "no descriptors are left at %u clients: others are turned away until some leave; "
             "raise LimitNOFILE, or lower --max-clients",
             conns->count);
  }
}

static void on_death(uv_poll_t *poll, int status, int events) {
  (void)status; /* any status means that the process can no longer be watched */
  (void)events;
  struct conn *conn = poll->data;
  (void)uv_poll_stop(poll); /* documented never to fail */
  conn->peer_died = true;
  conn_drain(conn, false);
}

static void watch_death(struct conn *conn) {
  const char *unwatched =
      "a client's process is not watched, its exit is seen by its socket closing";
  if (conn->peer.pidfd < 0)
    return; /* the end of the socket must do */
  if (uv_poll_init(conn->conns->loop, &conn->death, conn->peer.pidfd) < 0) { /* tries epoll_ctl */
    conns_warn_no_watches(conn->conns, unwatched);
    return;
  }
  conn->death.data = conn;
  conn->open_handles++;
  conn->watching_death = true;
  if (uv_poll_start(&conn->death, UV_READABLE, on_death) < 0) {
    log_line(conn->conns->log, LOG_LEVEL_WARNING,
             "cannot watch process %ld: its exit is seen by its socket closing",
             (long)conn->peer.pid);
  } else if (epoll_watch_add((uv_handle_t *)&conn->death) < 0) {
    (void)uv_poll_stop(&conn->death); /* documented never to fail */
    conns_warn_no_watches(conn->conns, unwatched);
  } else {
    conn->conns->logged_no_watches = false;
  }
}

static bool set_user(struct conn *conn) {
  const struct peer_admins *admins = &conn->conns->limits.admins;
  struct user *user =
      users_ref(conn->conns->users, conn->peer.uid, !peer_has_owner_uid(&conn->peer, admins));
  conn_set_user(conn, user);
  return user != NULL;
}

/* Counts the connection as one of max_clients and of its user's share, or as one that is reserved
 * for administrators. Returns false, with the reason in `text`, if there is no place. */
static bool find_place(struct conn *conn, char *text, size_t size) {
  struct conns *conns = conn->conns;
  struct user *user = conn->session.user;
  bool full = conns->count - conns->reserved > conns->limits.max_clients;
  bool has_share = user_can_charge(user, USER_CONNECTIONS, 1);
  char quota[USER_TEXT_SIZE];
  if ((full || !has_share) && conn->session.admin && conns->reserved < CONNS_RESERVED) {
    conn->session.reserved = true;
    conns->reserved++;
  } else if (full) {
    (void)snprintf(text, size, "%s", fc_error_text(FC_EBUSY));
    return false;
  } else if (!has_share) {
    user_count_refused(user, USER_CONNECTIONS);
    (void)snprintf(text, size, "%s: close some of them, or raise --max-clients",
                   user_quota_text(user, USER_CONNECTIONS, quota)); /* fits */
    return false;
  }
  user_charge(user, USER_CONNECTIONS, 1);
  conn->charged = true;
  return true;
}

static void refuse(struct conn *conn, const char *reason) {
  dispatch_count_refused(conn->conns->dispatch, &conn->session, reason);
  conn_refuse(conn, FC_EBUSY, reason);
}

/* Returns 0, or an error if the connection cannot even be refused with a text. */
static int start(struct conn *conn) {
  const struct conns_limits *limits = &conn->conns->limits;
  struct session *session = &conn->session;
  char text[USER_TEXT_SIZE + 64];
  uv_os_fd_t fd;
  int rc = uv_fileno((uv_handle_t *)&conn->pipe, &fd);
  if (rc < 0 || peer_init(&conn->peer, fd) < 0)
    return FC_EREFUSED;
  conn->input.fd = fd;
  sender_start(&conn->sender, fd);
  check_descriptors(conn->conns);
  session->pid = conn->peer.pid;
  session->start_time = conn->peer.start_time;
  session->uid = conn->peer.uid;
  session->uid_unknown = !id_map_knows_uid(&limits->admins.ids, conn->peer.uid);
  session->admin = peer_is_admin(&conn->peer, &limits->admins);
  peer_free_groups(&conn->peer); /* they may be 256 KiB */
  if (!set_user(conn))
    return FC_ENOMEM;
  if (!find_place(conn, text, sizeof text)) {
    refuse(conn, text);
    return 0;
  }
  if (epoll_watch_add((uv_handle_t *)&conn->pipe) < 0) {
    conns_warn_no_watches(conn->conns, "a client is refused");
    refuse(conn, EPOLL_WATCH_FULL);
    return 0;
  }
  watch_death(conn);
  conn_start(conn);
  return 0;
}

int conn_accept(struct conns *conns, uv_stream_t *listener) {
  if (conns->allocated >= conns->limits.max_clients + CONN_REFUSED_MAX)
    return FC_EBUSY;
  struct conn *conn = calloc(1, sizeof *conn);
  if (conn == NULL)
    return FC_ENOMEM;
  /* While a connection waited for memory, libuv did not watch the listener. */
  if (epoll_watch_add((uv_handle_t *)listener) < 0 ||
      uv_pipe_init(conns->loop, &conn->pipe, 0) < 0) { /* only initializes the struct */
    free(conn);
    return FC_ENOMEM;
  }
  conn_init(conn, conns);
  if (uv_accept(listener, (uv_stream_t *)&conn->pipe) < 0 || start(conn) < 0)
    conn_close(conn);
  return 0;
}
