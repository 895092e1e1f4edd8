#include "client/lib/conn/connection.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/lib/util/fork_check.h"
#include "client/lib/util/log_stderr.h"
#include "proto/errors.h"
#include "proto/limits.h"
#include "proto/utf8.h"

#define MS_NS 1000000u
#define WHY_SIZE 192u /* why one socket has no daemon for us */

int link_fault(struct link *link, int code, const char *format, ...) {
  va_list args;
  va_start(args, format);
  (void)vsnprintf(link->error, sizeof link->error, format, args); /* cut where longer */
  va_end(args);
  size_t size = fc_utf8_clean(link->error, strlen(link->error)); /* for terminals and logs */
  link->error[size] = '\0';
  return code;
}

/* ---- requests ---- */

uint32_t link_next_id(struct link *link) {
  if (++link->next_id == 0) /* 0 is the id of errors that answer no request */
    link->next_id = 1;
  return link->next_id;
}

uint32_t link_begin(struct link *link, enum fc_type type) {
  link->place = NULL;
  fc_buf_reset(&link->request);
  link->expected = FC_REPLY | type;
  return link_next_id(link);
}

void link_place(struct link *link, link_place_fn *place, void *arg) {
  link->place = place;
  link->place_arg = arg;
}

/* ---- options ---- */

static int copy_name(struct link *link, char to[FC_NAME_MAX + 1], const char *what,
                     const char *name) {
  struct fc_str text = fc_str_of(name);
  if (!fc_name_valid(text))
    return link_fault(link, FC_ENAME, "%s \"%.64s\": %s", what, name, fc_error_text(FC_ENAME));
  memcpy(to, name, text.size + 1u);
  return 0;
}

/* "PROGRAM-PID"; a program's name that is no valid one gives "worker-PID". */
static void name_ourselves(struct link *link) {
  char name[FC_NAME_MAX + 1];
  (void)snprintf(name, sizeof name, "%.200s-%d", program_invocation_short_name, (int)getpid());
  if (!fc_name_valid(fc_str_of(name)))
    (void)snprintf(name, sizeof name, "worker-%d", (int)getpid());
  memcpy(link->client, name, sizeof name);
}

static int copy_manifest(struct link *link, const char *manifest) {
  struct fc_str text = fc_str_of(manifest);
  if (text.size < 1 || text.size > FC_MANIFEST_MAX)
    return link_fault(link, FC_EINVAL,
                      "a manifest has 1 to %u bytes, and this one %zu: shorten it, or give none",
                      FC_MANIFEST_MAX, strlen(manifest));
  if (!fc_manifest_valid(text))
    return link_fault(link, FC_EINVAL, "the manifest is not UTF-8: encode it so, or give none");
  link->manifest = strdup(manifest);
  return link->manifest != NULL ? 0 : link_fault(link, FC_ENOMEM, "no memory for the manifest");
}

static int take_options(struct link *link, const struct link_options *options) {
  int rc = 0;
  link->own_name = options->client == NULL;
  if (link->own_name)
    name_ourselves(link);
  else
    rc = copy_name(link, link->client, "client name", options->client);
  if (rc == 0 && options->name_space != NULL)
    rc = copy_name(link, link->name_space, "namespace", options->name_space);
  if (rc == 0 && options->manifest != NULL)
    rc = copy_manifest(link, options->manifest);
  if (rc < 0)
    return rc;
  if (options->max_entries != NULL) {
    link->has_max_entries = true;
    link->max_entries = *options->max_entries;
    if (link->max_entries <= 0)
      return link_fault(link, FC_EMAXENTRIES, "max_entries must be positive; got %lld",
                        (long long)link->max_entries);
  }
  link->max_bytes = options->max_bytes;
  if (sockets_find(&link->sockets, options->socket) < 0)
    return link_fault(link, FC_EINVAL, "%s", link->sockets.fault);
  daemon_user_read(&link->daemon_user);
  return 0;
}

int link_init(struct link *link, const struct link_options *options) {
  memset(link, 0, sizeof *link);
  channel_init(&link->channel, options->deadline_ns);
  plane_init(&link->plane);
  link->region = options->region && options->name_space != NULL;
  link->disabled = options->disabled;
  link->said = options->quiet;
  link->log = options->log;
  link->log_arg = options->log_arg;
  link->backoff_ns = (uint64_t)LINK_BACKOFF_MIN_MS * MS_NS;
  int rc = take_options(link, options);
  if (rc < 0)
    return rc;
  link->fork_mark = fork_mark_new();
  if (link->fork_mark == NULL)
    return link_fault(link, FC_ENOMEM, "no memory for a page that tells forks apart");
  return 0;
}

void link_deinit(struct link *link) {
  if (link->fork_mark != NULL) /* else it never was connected */
    (void)link_leave_parent(link);
  channel_deinit(&link->channel); /* the daemon takes what is left in the ring */
  plane_drop(&link->plane);
  fork_mark_free(link->fork_mark);
  link->fork_mark = NULL;
  fc_buf_free(&link->request);
  free(link->manifest);
  link->manifest = NULL;
}

/* ---- coming and going ---- */

static void say_off(struct link *link) {
  if (link->said || link->disabled)
    return;
  link->said = true;
  char line[FCACHE_ERROR_TEXT_SIZE + 128];
  (void)snprintf(line, sizeof line,
                 "fcache: sharing is off: %s; results are computed here and not shared",
                 link->error);
  say(link->log, link->log_arg, line);
}

int link_too_big(struct link *link, size_t size) {
  if (size > link->max_value)
    (void)link_fault(
        link, FC_ETOOBIG,
        "a value of %zu bytes does not fit: fcached at %s takes %u: raise its --max-value", size,
        link->path, link->max_value);
  else
    (void)link_fault(link, FC_ETOOBIG,
                     "a value of %zu bytes does not fit: it alone is more than fcached at %s may "
                     "hold: raise its --max-bytes, or the namespace's max_bytes",
                     size, link->path);
  if (link->said_too_big)
    return FC_ETOOBIG;
  link->said_too_big = true;
  char line[FCACHE_ERROR_TEXT_SIZE + 128];
  (void)snprintf(line, sizeof line, "fcache: not shared: %s", link->error);
  say(link->log, link->log_arg, line);
  return FC_ETOOBIG;
}

int link_off(struct link *link) {
  if (link->state == LINK_UP && link->channel.socket.fd >= 0)
    plane_unattended(&link->plane);
  channel_close(&link->channel);
  link->state = LINK_OFF;
  link->retry_ns = channel_clock_ns() + link->backoff_ns;
  link->backoff_ns *= 2;
  if (link->backoff_ns > (uint64_t)LINK_BACKOFF_MAX_MS * MS_NS)
    link->backoff_ns = (uint64_t)LINK_BACKOFF_MAX_MS * MS_NS;
  say_off(link);
  return FC_EUNAVAILABLE;
}

/* What the daemon may have granted us by now, or may still, is given up. False where it cannot be
 * told at once: a connection that nobody reads must not keep others waiting. */
bool link_let_go(struct link *link) {
  static const struct fc_give_up all = {0};
  if (!link_has_leases(link))
    return true;
  fc_buf_reset(&link->request);
  return fc_encode_give_up(&link->request, link_next_id(link), &all) == 0 &&
         channel_send_now(&link->channel, link->request.data, link->request.size);
}

int link_lost(struct link *link, int rc) {
  unsigned long long ms = link->channel.deadline_ns / MS_NS;
  switch (rc) {
  case FC_ETIMEDOUT:
    (void)link_fault(link, rc, "fcached at %s did not answer within %llu ms", link->path, ms);
    if (link->state == LINK_UP && plane_can_linger(&link->plane) && link_let_go(link))
      plane_linger(&link->plane, channel_part(&link->channel));
    break;
  case FC_EUNAVAILABLE:
    (void)link_fault(link, rc, "fcached at %s closed the connection", link->path);
    break;
  case FC_ENOMEM:
    (void)link_fault(link, rc, "no memory for the messages of fcached at %s", link->path);
    break;
  default:
    (void)link_fault(link, rc, "what answers at %s is no fcached of this protocol", link->path);
    break;
  }
  return link_off(link);
}

bool link_leave_parent(struct link *link) {
  if (!fork_mark_is_child(link->fork_mark))
    return false;
  fork_mark_set(link->fork_mark);
  /* Our copy of the parent's socket; of its shared memory there is none (region_reader.h). */
  channel_close(&link->channel);
  plane_forget(&link->plane);
  link->opening = link->state == LINK_UP;
  link->state = LINK_OFF;
  link->retry_ns = 0;
  link->connections = 0;
  link->backoff_ns = (uint64_t)LINK_BACKOFF_MIN_MS * MS_NS;
  if (link->own_name)
    name_ourselves(link);
  link->forked = true;
  return true;
}

bool link_forked(struct link *link) {
  bool forked = link_leave_parent(link) || link->forked;
  link->forked = false;
  return forked;
}

static int busy(struct link *link, uint64_t until_ns) {
  if (until_ns == 0)
    return link_fault(link, FC_EUNAVAILABLE,
                      "fcached at %s is busy: its queue of new connections is full", link->path);
  return link_fault(link, FC_EUNAVAILABLE,
                    "fcached at %s is busy: its queue of new connections was full for %llu ms",
                    link->path, (unsigned long long)(link->channel.deadline_ns / MS_NS));
}

/* Connects to the daemon at link->path, if it is one of a trusted user. 0, or -errno with `why`. */
static int connect_to(struct link *link, uint64_t until_ns, char *why, size_t size) {
  int rc = channel_connect(&link->channel, link->path, until_ns);
  if (rc < 0) {
    (void)snprintf(why, size, "%s%s", strerror(-rc),
                   rc == -EACCES ? ": join the socket's group" : "");
    return rc;
  }
  if (daemon_user_is_trusted(&link->daemon_user, link->channel.socket.fd, link->path, why, size))
    return 0;
  channel_close(&link->channel);
  return -EACCES;
}

/* Connects to the first socket that answers. Where none does and one has a full queue, waits for
 * that one until `until_ns` (0: does not wait). */
static int find_daemon(struct link *link, uint64_t until_ns) {
  char tried[FCACHE_ERROR_TEXT_SIZE - 48], why[WHY_SIZE];
  size_t used = 0;
  bool denied = false;
  const char *full = NULL;
  tried[0] = '\0';
  for (size_t i = 0; i < link->sockets.n; i++) {
    link->path = link->sockets.paths[i];
    int rc = connect_to(link, 0, why, sizeof why);
    if (rc == 0)
      return 0;
    if (rc == -EAGAIN && full == NULL)
      full = link->path;
    int n = snprintf(tried + used, sizeof tried - used, "%s%s (%s)", i > 0 ? ", " : "", link->path,
                     why);
    used += n > 0 && (size_t)n < sizeof tried - used ? (size_t)n : 0;
    denied = denied || rc == -EACCES;
  }
  if (full != NULL) {
    link->path = full;
    int rc = until_ns == 0 ? -EAGAIN : connect_to(link, until_ns, why, sizeof why);
    if (rc == -EACCES)
      return link_fault(link, FC_EUNAVAILABLE, "no daemon could be reached at %s (%s)", full, why);
    return rc == 0 ? 0 : busy(link, until_ns);
  }
  return link_fault(link, FC_EUNAVAILABLE, "%s %s",
                    denied ? "no daemon could be reached at" : "no daemon at", tried);
}

static int send_hello(struct link *link) {
  struct fc_hello hello = {
      .version_min = FC_PROTOCOL_VERSION_MIN,
      .version_max = FC_PROTOCOL_VERSION,
      .client = fc_str_of(link->client),
      .name_space = link->name_space[0] != '\0' ? fc_str_of(link->name_space) : (struct fc_str){0},
      .has_max_entries = link->has_max_entries,
      .max_entries = link->max_entries,
      .region_layout = link->region ? FC_REGION_LAYOUT : 0,
      .manifest = fc_str_of(link->manifest),
      .has_max_bytes = link->max_bytes > 0,
      .max_bytes = link->max_bytes,
  };
  uint32_t id = link_begin(link, FC_HELLO);
  int rc = fc_encode_hello(&link->request, id, &hello);
  if (rc < 0)
    return rc;
  struct iovec piece = {link->request.data, link->request.size};
  return channel_send(&link->channel, &piece, 1);
}

/* What we divide by and allocate later must be plausible. */
static bool is_plausible(const struct fc_welcome *welcome) {
  return welcome->version >= FC_PROTOCOL_VERSION_MIN && welcome->version <= FC_PROTOCOL_VERSION &&
         welcome->boot_id != 0 && welcome->max_frame >= FC_HELLO_FRAME_MAX &&
         welcome->max_value < welcome->max_frame;
}

static void welcome(struct link *link, const struct fc_welcome *welcome) {
  plane_welcome(&link->plane, welcome, &link->channel.passed);
  passed_close(&link->channel.passed); /* what is mapped needs no descriptor */
  link->channel.takes_descriptors = false;
  link->state = LINK_UP;
  link->backoff_ns = (uint64_t)LINK_BACKOFF_MIN_MS * MS_NS;
  link->connections++;
  link->epoch = (struct fc_epoch){welcome->boot_id, welcome->clear_generation};
  link->version = welcome->version;
  link->max_value = welcome->max_value;
  link->max_frame = welcome->max_frame;
  (void)snprintf(link->server, sizeof link->server, "%.*s", (int)welcome->server.size,
                 welcome->server.data); /* cut where longer */
}

/* Takes the answer to hello. FC_ETIMEDOUT where it is not there yet and `wait` is false. */
static int take_welcome(struct link *link, bool wait) {
  const uint8_t *body;
  uint32_t size;
  struct fc_reply reply = {0};
  int rc = channel_receive(&link->channel, FC_HELLO_FRAME_MAX, wait, &body, &size);
  if (rc == FC_ETIMEDOUT && !wait)
    return rc;
  if (rc == 0)
    rc = fc_decode_reply(body, size, &reply);
  if (rc == 0 && reply.type == (FC_REPLY | FC_HELLO) && is_plausible(&reply.welcome)) {
    welcome(link, &reply.welcome);
    return 0;
  }
  if (rc != FC_ETIMEDOUT && rc != FC_ENOMEM)
    plane_turned_away(&link->plane);
  if (rc < 0)
    return link_lost(link, rc);
  if (reply.type != FC_ERROR)
    return link_lost(link, FC_EPROTOCOL);
  (void)link_fault(link, reply.error.code, "fcached at %s refused: %.*s", link->path,
                   (int)reply.error.text.size, reply.error.text.data);
  (void)link_off(link);
  return reply.error.code;
}

/* Connects and sends hello; waits for a full queue until `until_ns`, if need be. */
static int greet(struct link *link, uint64_t until_ns) {
  int rc = find_daemon(link, until_ns);
  if (rc < 0)
    return link_off(link);
  link->channel.takes_descriptors = link->region;
  rc = send_hello(link);
  if (rc < 0 && rc != FC_EUNAVAILABLE) /* one that hung up may have said why */
    return link_lost(link, rc);
  link->state = LINK_GREETING;
  return 0;
}

void link_check(struct link *link) {
  if (link->state == LINK_OFF || channel_is_ours(&link->channel))
    return;
  (void)link_fault(link, FC_EUNAVAILABLE, "the program closed the connection to fcached at %s",
                   link->path);
  (void)link_off(link);
}

int link_open(struct link *link) {
  if (link->disabled)
    return link_fault(link, FC_EUNAVAILABLE, "sharing is off: FCACHE_DISABLE is set");
  link->opening = false;
  link_check(link);
  if (link->state == LINK_UP)
    return 0;
  uint64_t end_ns = channel_clock_ns() + link->channel.deadline_ns;
  int rc = link->state == LINK_OFF ? greet(link, end_ns) : 0;
  if (rc < 0)
    return rc;
  channel_renew(&link->channel);
  channel_limit(&link->channel, end_ns); /* one deadline in all */
  return take_welcome(link, true);
}

bool link_ready(struct link *link) {
  if (link->disabled)
    return false;
  link_check(link);
  if (link->state == LINK_UP)
    return true;
  if (link->opening)
    return link_open(link) == 0;
  if (link->state == LINK_OFF && (channel_clock_ns() < link->retry_ns || greet(link, 0) < 0))
    return false;
  return take_welcome(link, false) == 0;
}

bool link_serves_hits(struct link *link, bool silent) {
  struct plane *plane = &link->plane;
  plane->unchecked = 0;
  if (plane_lingers(plane))
    return true;
  link_check(link);
  if (link->state == LINK_UP) {
    if (own_fd_is_connected(&link->channel.socket))
      return true;
    (void)link_lost(link, FC_EUNAVAILABLE);
  }
  if (plane->attended)
    plane_turned_away(plane); /* what lingered has ended too */
  /* A daemon that lives may have ended the connection for its own reasons: then it greets us. */
  if (link->state == LINK_OFF && !silent && greet(link, 0) == 0)
    return true;
  if (link->state == LINK_GREETING && channel_clock_ns() < link->channel.end_ns)
    return !silent;
  if (!silent)
    plane_let_go(plane);
  return false;
}

bool link_has_leases(const struct link *link) {
  return link->version >= 3;
}

bool link_has_manifests(const struct link *link) {
  return link->version >= 4;
}

bool link_has_rings(const struct link *link) {
  return link->version >= 5;
}

bool link_has_users(const struct link *link) {
  return link->version >= 5;
}
