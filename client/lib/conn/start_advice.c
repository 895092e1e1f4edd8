#include "client/lib/conn/start_advice.h"

#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define STEM "fcached"
#define SUFFIX ".sock"
#define COMMAND_SIZE (SOCKET_PATH_MAX + 64u)
#define ENTRY_BYTES 65536u /* of getgrgid_r: a group with many members */

/* Returns whether a service manager can start a unit here. */
static bool has_systemd(void) {
  return access("/run/systemd/system", F_OK) == 0;
}

/* Formats the command that starts the unit of the socket `path`: fcached.sock in `dir` belongs to
 * fcached.socket, and fcached-NAME.sock to the instance fcached@NAME.socket. Returns false if the
 * path is another one. */
static bool unit_command(const char *path, const char *dir, const char *manager,
                         char command[COMMAND_SIZE]) {
  size_t size = strlen(dir), length = strlen(path), after = size + 1 + strlen(STEM);
  if (size == 0 || length < after + strlen(SUFFIX) || strncmp(path, dir, size) != 0 ||
      strncmp(path + size, "/" STEM, 1 + strlen(STEM)) != 0 ||
      strcmp(path + length - strlen(SUFFIX), SUFFIX) != 0)
    return false;
  int name_size = (int)(length - strlen(SUFFIX) - after);
  if (name_size > 0 && (name_size == 1 || path[after] != '-' || strchr(path + after, '/') != NULL))
    return false;
  (void)snprintf(command, COMMAND_SIZE, "%s start fcached%s%.*s.socket", manager,
                 name_size > 0 ? "@" : "", name_size > 0 ? name_size - 1 : 0, path + after + 1);
  return true;
}

/* Formats the command for a socket of the system or of the user. */
static bool service_command(const char *path, char command[COMMAND_SIZE]) {
  const char *runtime = getenv("XDG_RUNTIME_DIR");
  if (!has_systemd())
    return false;
  return unit_command(path, SOCKET_PATHS_SYSTEM_DIR,
                      geteuid() == 0 ? "systemctl" : "sudo systemctl", command) ||
         (runtime != NULL && unit_command(path, runtime, "systemctl --user", command));
}

/* Returns the default path at which there is a socket, or NULL. */
static const char *other_socket(const struct socket_paths *paths, struct socket_paths *defaults) {
  struct stat st;
  socket_paths_default(defaults);
  for (size_t i = 0; i < defaults->n; i++)
    if (stat(defaults->paths[i], &st) == 0 && S_ISSOCK(st.st_mode) &&
        strcmp(defaults->paths[i], paths->paths[0]) != 0)
      return defaults->paths[i];
  return NULL;
}

static void advise_explicit(const struct socket_paths *paths, char text[START_ADVICE_SIZE]) {
  const char *path = paths->paths[0], *other;
  char command[COMMAND_SIZE];
  struct socket_paths defaults;
  if (!service_command(path, command))
    (void)snprintf(command, sizeof command, "fcached --socket %s &", path);
  int used = snprintf(text, START_ADVICE_SIZE, "start one there with \"%s\"", command);
  if (!paths->from_environment || used < 0 || (size_t)used >= START_ADVICE_SIZE)
    return;
  other = other_socket(paths, &defaults);
  if (other != NULL)
    (void)snprintf(text + used, START_ADVICE_SIZE - (size_t)used,
                   ", or unset FCACHE_SOCKET to use the one at %s", other);
  else
    (void)snprintf(text + used, START_ADVICE_SIZE - (size_t)used, ", or correct $FCACHE_SOCKET");
}

const char *start_advice(const struct socket_paths *paths, char text[START_ADVICE_SIZE]) {
  char command[COMMAND_SIZE];
  size_t used = 0;
  if (paths->is_explicit) {
    advise_explicit(paths, text);
    return text;
  }
  text[0] = '\0';
  for (size_t i = paths->n; i > 0; i--) /* the system's first */
    if (service_command(paths->paths[i - 1], command)) {
      int size = snprintf(text + used, START_ADVICE_SIZE - used, "%s\"%s\"",
                          used > 0 ? ", " : "start one with ", command);
      used += size > 0 && (size_t)size < START_ADVICE_SIZE - used ? (size_t)size : 0;
    }
  (void)snprintf(text + used, START_ADVICE_SIZE - used, "%s\"fcached &\"",
                 used > 0 ? " or " : "start one with ");
  return text;
}

const char *start_advice_denied(const char *path, char text[START_ADVICE_SIZE]) {
  struct group entry, *found = NULL;
  struct stat st;
  char *buffer;
  (void)snprintf(text, START_ADVICE_SIZE, "join the socket's group");
  if (stat(path, &st) < 0) /* its directory is closed */
    return text;
  if ((st.st_mode & S_IWGRP) == 0) {
    (void)snprintf(text, START_ADVICE_SIZE, "only its owner may connect: see --socket-group");
    return text;
  }
  buffer = malloc(ENTRY_BYTES);
  if (buffer != NULL && getgrgid_r(st.st_gid, &entry, buffer, ENTRY_BYTES, &found) == 0 &&
      found != NULL)
    (void)snprintf(text, START_ADVICE_SIZE, "join the socket's group %.32s", found->gr_name);
  free(buffer);
  return text;
}
