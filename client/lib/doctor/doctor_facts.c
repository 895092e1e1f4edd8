/* The facts: the files and listeners at the sockets' paths, and the daemon's replies. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/lib/doctor/doctor_internal.h"

#define DEADLINE_DEFAULT_MS 1000u

/* Returns 0, or the errno of a connection that is closed at once. */
static int knock(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path); /* it fits */
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return errno;
  int error = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
  (void)close(fd);                    /* nothing was sent */
  return error == EAGAIN ? 0 : error; /* a full queue has a listener */
}

void doctor_look_at_sockets(struct doctor *doctor) {
  struct stat status;
  (void)socket_paths_find(&doctor->paths, doctor->options->socket); /* paths.error has a failure */
  for (size_t i = 0; i < doctor->paths.n; i++) {
    struct doctor_socket *place = &doctor->sockets[i];
    int rc = stat(doctor->paths.paths[i], &status);
    place->missing = rc < 0 && (errno == ENOENT || errno == ENOTDIR);
    place->error = rc < 0 ? errno : knock(doctor->paths.paths[i]);
    place->is_socket = rc == 0 && S_ISSOCK(status.st_mode);
    if (rc == 0) {
      place->uid = status.st_uid;
      place->gid = status.st_gid;
      place->mode = status.st_mode & 07777;
    }
  }
}

/* ---- the daemon ---- */

static void add_stat(void *arg, const struct fcache_stat *stat) {
  struct doctor *doctor = arg;
  if (stat->name_space != NULL)
    return;
  struct doctor_stat *more = realloc(doctor->stats, (doctor->n_stats + 1) * sizeof *doctor->stats);
  if (more == NULL)
    return; /* a check then finds 0 */
  doctor->stats = more;
  struct doctor_stat *one = &doctor->stats[doctor->n_stats++];
  bool is_real = stat->kind == FCACHE_STAT_SECONDS || stat->kind == FCACHE_STAT_RATIO;
  *one = (struct doctor_stat){.number = is_real ? stat->real : (double)stat->integer};
  (void)snprintf(one->name, sizeof one->name, "%s", stat->name);
  if (stat->kind == FCACHE_STAT_TEXT)
    (void)snprintf(one->text, sizeof one->text, "%s", stat->text);
}

static void add_namespace(void *arg, const struct fc_namespace_entry *entry) {
  struct doctor *doctor = arg;
  struct doctor_namespace *more =
      realloc(doctor->namespaces, (doctor->n_namespaces + 1) * sizeof *doctor->namespaces);
  if (more == NULL)
    return; /* the checks compare fewer */
  doctor->namespaces = more;
  struct doctor_namespace *one = &doctor->namespaces[doctor->n_namespaces++];
  *one = (struct doctor_namespace){.entries = entry->entries,
                                   .bytes = entry->bytes,
                                   .max_bytes = entry->max_bytes,
                                   .clients = entry->clients,
                                   .idle_ns = entry->idle_ns};
  (void)snprintf(one->name, sizeof one->name, "%.*s", (int)entry->name_space.size,
                 entry->name_space.data);
  if (entry->manifest.data != NULL)
    one->manifest = strndup(entry->manifest.data, entry->manifest.size);
}

static void count_client(void *arg, const struct fc_client_entry *client) {
  struct doctor *doctor = arg;
  if (client->name_space.data == NULL)
    return;
  doctor->workers++;
  doctor->workers_without_region += !client->region;
}

void doctor_ask_daemon(struct doctor *doctor) {
  uint32_t deadline_ms = doctor->options->deadline_ms;
  if (admin_open(doctor->options->socket, NULL,
                 deadline_ms == 0 ? DEADLINE_DEFAULT_MS : deadline_ms, &doctor->admin,
                 &doctor->error) < 0)
    return;
  doctor->has_stats = admin_stats(doctor->admin, NULL, add_stat, doctor) == 0;
  if (!doctor->has_stats)
    return; /* doctor_check_statistics reports the error of the connection */
  /* An older daemon lacks a list, and a check finds none then. */
  (void)admin_namespaces(doctor->admin, NULL, DOCTOR_NAMESPACES_MAX, add_namespace, doctor);
  (void)admin_clients(doctor->admin, NULL, 0, count_client, doctor);
}

void doctor_forget(struct doctor *doctor) {
  for (size_t i = 0; i < doctor->n_namespaces; i++)
    free(doctor->namespaces[i].manifest);
  free(doctor->namespaces);
  free(doctor->stats);
  admin_close(doctor->admin);
}

static const struct doctor_stat *find(const struct doctor *doctor, const char *name) {
  for (size_t i = 0; i < doctor->n_stats; i++)
    if (strcmp(doctor->stats[i].name, name) == 0)
      return &doctor->stats[i];
  return NULL;
}

double doctor_number(const struct doctor *doctor, const char *name) {
  const struct doctor_stat *stat = find(doctor, name);
  return stat == NULL ? 0 : stat->number;
}

const char *doctor_text(const struct doctor *doctor, const char *name) {
  const struct doctor_stat *stat = find(doctor, name);
  return stat == NULL ? "" : stat->text;
}
