/* Checks of the versions of program, daemon and protocol, and of the libraries that are installed.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/admin/admin_internal.h"
#include "client/lib/doctor/doctor_internal.h"

#define LIBRARY "libfcache.so.0"
#define FOUND_MAX 4u

struct found {
  char paths[FOUND_MAX][PATH_MAX]; /* resolved, each once */
  size_t n;
};

static void look_in(struct found *found, const char *directory, size_t size) {
  char path[PATH_MAX], *resolved = NULL;
  if (size > 0 &&
      (size_t)snprintf(path, sizeof path, "%.*s/" LIBRARY, (int)size, directory) < sizeof path)
    resolved = realpath(path, NULL);
  bool known = resolved == NULL || found->n == FOUND_MAX;
  for (size_t i = 0; i < found->n && !known; i++)
    known = strcmp(found->paths[i], resolved) == 0;
  if (!known)
    (void)snprintf(found->paths[found->n++], PATH_MAX, "%s", resolved); /* it fits */
  free(resolved);
}

/* LD_LIBRARY_PATH first, as the loader does. */
void doctor_check_libraries(struct doctor *doctor) {
  static const char *const usual[] = {"/usr/local/lib",
                                      "/usr/local/lib64",
                                      "/lib",
                                      "/usr/lib",
                                      "/usr/lib64",
                                      "/usr/lib/x86_64-linux-gnu",
                                      "/usr/lib/aarch64-linux-gnu"};
  static struct found found;
  const char *path = getenv("LD_LIBRARY_PATH");
  found.n = 0;
  while (path != NULL && *path != '\0') {
    size_t size = strcspn(path, ":");
    look_in(&found, path, size);
    path += size + (path[size] == ':');
  }
  for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
    look_in(&found, usual[i], strlen(usual[i]));
  if (found.n > 1)
    doctor_report(doctor, DOCTOR_WARNING,
                  "remove the one that is too old: its programs speak an older protocol",
                  "there are %zu libraries " LIBRARY ": programs load %.150s, and %.150s is hidden",
                  found.n, found.paths[0], found.paths[1]);
}

void doctor_check_versions(struct doctor *doctor) {
  const char *server = admin_server(doctor->admin), *space = strchr(server, ' ');
  const struct doctor_options *options = doctor->options;
  uint32_t protocol = doctor->admin->connection.version;
  if (space == NULL || strcmp(space + 1, options->version) != 0)
    doctor_report(doctor, DOCTOR_WARNING,
                  "install one version, and restart the daemon (systemctl restart fcached)",
                  "the daemon is %s, and %s is %s", server, options->program, options->version);
  else if (protocol < FC_PROTOCOL_VERSION)
    doctor_report(doctor, DOCTOR_WARNING, "restart the daemon with the new version",
                  "the daemon speaks protocol %u, and this library %u", protocol,
                  FC_PROTOCOL_VERSION);
  else
    doctor_ok(doctor, "the daemon and %s are %s, protocol %u", options->program, options->version,
              protocol);
}

/* Without statistics the other checks would take all for 0. */
void doctor_check_statistics(struct doctor *doctor) {
  if (!doctor->has_stats)
    doctor_report(doctor, DOCTOR_PROBLEM,
                  "look at the daemon's log, and restart it if its version is another one",
                  "the daemon gives no statistics, so that nothing else can be checked: %s",
                  admin_error(doctor->admin));
}
