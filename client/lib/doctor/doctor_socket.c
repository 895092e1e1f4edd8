/* Checks of the environment, the socket, and the caller's permission to use it. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/lib/conn/start_advice.h"
#include "client/lib/doctor/doctor_internal.h"

static const char *variable(const char *name) {
  const char *value = getenv(name);
  return value == NULL ? "" : value;
}

static bool is_set(const char *name) {
  const char *value = variable(name);
  return value[0] != '\0' && strcmp(value, "0") != 0;
}

void doctor_check_environment(struct doctor *doctor) {
  const char *region = variable("FCACHE_REGION"), *runtime = variable("XDG_RUNTIME_DIR");
  if (is_set("FCACHE_DISABLE"))
    doctor_report(doctor, DOCTOR_PROBLEM, "unset FCACHE_DISABLE where the workers start",
                  "FCACHE_DISABLE=%s: workers with this environment share nothing",
                  variable("FCACHE_DISABLE"));
  if (strcmp(region, "0") == 0)
    doctor_report(doctor, DOCTOR_WARNING, "unset FCACHE_REGION, unless you measure the socket",
                  "FCACHE_REGION=0: hits go over the socket and not through shared memory");
  if (variable("FCACHE_SOCKET")[0] != '\0' && variable("FCACHE_SOCKET")[0] != '/')
    doctor_report(doctor, DOCTOR_WARNING, "give an absolute path",
                  "FCACHE_SOCKET=%s is relative: it means another socket in another directory",
                  variable("FCACHE_SOCKET"));
  if (runtime[0] != '\0' && (runtime[0] != '/' || access(runtime, X_OK) != 0))
    doctor_report(doctor, DOCTOR_WARNING,
                  "log in with a session (loginctl enable-linger USER for services), or set "
                  "FCACHE_SOCKET",
                  "XDG_RUNTIME_DIR=%s is no directory that this user can enter: a user's daemon is "
                  "not found there",
                  runtime);
  if (doctor->worst == DOCTOR_OK)
    doctor_ok(doctor, "FCACHE_SOCKET %s, FCACHE_NAMESPACE %s, sharing is not disabled",
              variable("FCACHE_SOCKET")[0] != '\0' ? variable("FCACHE_SOCKET") : "not set",
              variable("FCACHE_NAMESPACE")[0] != '\0' ? variable("FCACHE_NAMESPACE") : "not set");
}

/* ---- the socket ---- */

static bool is_system(const char *path) {
  return strncmp(path, SOCKET_PATHS_SYSTEM_DIR "/", sizeof SOCKET_PATHS_SYSTEM_DIR) == 0;
}

/* The advice is that of all programs that find no daemon, for this place alone. */
static void explain_missing(struct doctor *doctor, const char *path) {
  struct socket_paths place = {.n = 1,
                               .is_explicit = doctor->paths.is_explicit,
                               .from_environment = doctor->paths.from_environment};
  char advice[START_ADVICE_SIZE];
  (void)snprintf(place.paths[0], sizeof place.paths[0], "%s", path); /* it fits */
  doctor_report(doctor, DOCTOR_PROBLEM, start_advice(&place, advice), "there is no socket %s",
                path);
}

static void explain_place(struct doctor *doctor, size_t i) {
  const struct doctor_socket *place = &doctor->sockets[i];
  const char *path = doctor->paths.paths[i];
  if (place->missing)
    explain_missing(doctor, path);
  else if (place->error == EACCES || place->error == EPERM)
    doctor_report(doctor, DOCTOR_PROBLEM, "see the finding about the group",
                  "this user may not connect to %s", path);
  else if (!place->is_socket)
    doctor_report(doctor, DOCTOR_PROBLEM, "give the path of the daemon's socket",
                  "%s is not a socket", path);
  else if (place->error == ECONNREFUSED)
    doctor_report(doctor, DOCTOR_PROBLEM,
                  is_system(path) ? "restart the service: systemctl restart fcached.socket fcached"
                                  : "start the daemon again: it replaces the socket",
                  "no process listens at %s: its daemon has ended", path);
  else if (place->error != 0)
    doctor_report(doctor, DOCTOR_PROBLEM, "see the reason", "%s: %s", path, strerror(place->error));
  else
    doctor_report(doctor, DOCTOR_PROBLEM,
                  "look at the daemon's log (journalctl -u fcached): it is stopped, overloaded, or "
                  "refuses this client",
                  "%s", doctor->error.text);
}

void doctor_check_socket(struct doctor *doctor) {
  size_t listening = 0;
  if (doctor->paths.error[0] != '\0') {
    doctor_report(doctor, DOCTOR_PROBLEM, "give the path of the daemon's socket", "%s",
                  doctor->paths.error);
    return;
  }
  for (size_t i = 0; i < doctor->paths.n; i++)
    listening += doctor->sockets[i].error == 0;
  if (doctor->admin == NULL) {
    for (size_t i = 0; i < doctor->paths.n; i++)
      explain_place(doctor, i);
  } else if (listening > 1) {
    doctor_report(doctor, DOCTOR_WARNING,
                  "set FCACHE_SOCKET for all workers that should share, or stop one daemon",
                  "two daemons listen: workers use %s, and others that lack XDG_RUNTIME_DIR use %s",
                  doctor->paths.paths[0], doctor->paths.paths[1]);
  } else {
    for (size_t i = 0; i < doctor->paths.n; i++)
      if (doctor->sockets[i].error == 0)
        doctor_ok(doctor, "%s, pid %.0f, listens at %s", admin_server(doctor->admin),
                  doctor_number(doctor, "pid"), doctor->paths.paths[i]);
  }
}

/* ---- the group ---- */

static bool in_session(gid_t gid) {
  gid_t groups[1024];
  int n = getgroups(1024, groups);
  for (int i = 0; i < n; i++)
    if (groups[i] == gid)
      return true;
  return getegid() == gid;
}

static bool in_database(const struct group *group) {
  const struct passwd *user = getpwuid(geteuid());
  if (user == NULL)
    return false;
  for (char **member = group->gr_mem; *member != NULL; member++)
    if (strcmp(*member, user->pw_name) == 0)
      return true;
  return user->pw_gid == group->gr_gid;
}

static void check_group_of(struct doctor *doctor, const struct doctor_socket *place,
                           const char *path) {
  const struct group *group = getgrgid(place->gid);
  const char *name = group == NULL ? "" : group->gr_name;
  char advice[200];
  if (place->uid == 0 && place->mode == 0 && !place->is_socket) {
    doctor_report(doctor, DOCTOR_PROBLEM,
                  "let this user enter the directories of the socket, or join the group that may",
                  "a directory of %s is closed to this user", path);
  } else if ((place->mode & 020) == 0) {
    doctor_report(doctor, DOCTOR_PROBLEM,
                  "start fcached with --socket-group and a group of this user",
                  "only uid %u may connect to %s (mode %04o)", place->uid, path, place->mode);
  } else if (group != NULL && !in_session(place->gid) && in_database(group)) {
    (void)snprintf(advice, sizeof advice,
                   "log out and in again, or start the worker with sg %.64s -c COMMAND", name);
    doctor_report(doctor, DOCTOR_PROBLEM, advice,
                  "this user is in group %s of %s by now, but this session is not", name, path);
  } else if (!in_session(place->gid)) {
    (void)snprintf(advice, sizeof advice,
                   "join the group (usermod -aG %.64s USER as root, then log in again), or start "
                   "fcached with --socket-group and a group of this user",
                   group == NULL ? "GROUP" : name);
    doctor_report(doctor, DOCTOR_PROBLEM, advice,
                  "%s is for uid %u and group %s (gid %u, mode %04o), and this user is neither",
                  path, place->uid, name, place->gid, place->mode);
  } else {
    doctor_report(doctor, DOCTOR_PROBLEM, "look at the security modules of the machine",
                  "%s is closed to this user, though it is in its group", path);
  }
}

void doctor_check_group(struct doctor *doctor) {
  bool denied = false;
  for (size_t i = 0; i < doctor->paths.n; i++) {
    const struct doctor_socket *place = &doctor->sockets[i];
    if (place->error != EACCES && place->error != EPERM)
      continue;
    denied = true;
    check_group_of(doctor, place, doctor->paths.paths[i]);
  }
  if (!denied && doctor->admin != NULL)
    doctor_ok(doctor, "this user (uid %u) may connect", (unsigned)geteuid());
}
