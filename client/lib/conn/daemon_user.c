#include "client/lib/conn/daemon_user.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/lib/util/socket_paths.h"

#define VARIABLE "FCACHE_DAEMON_USER"
#define ENTRY_BYTES 16384u /* of getpwnam_r, more than any user needs */
/* The number that the kernel shows for every user that a user namespace does not map. */
#define OVERFLOW_UID 65534u

/* ---- the variable ---- */

static bool parse_number(const char *text, uid_t *uid) {
  char *end;
  errno = 0;
  unsigned long long number = strtoull(text, &end, 10);
  if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number >= UINT32_MAX)
    return false;
  *uid = (uid_t)number;
  return true;
}

static bool find_name(const char *name, uid_t *uid) {
  struct passwd entry, *found = NULL;
  char *buffer = malloc(ENTRY_BYTES);
  if (buffer != NULL && getpwnam_r(name, &entry, buffer, ENTRY_BYTES, &found) == 0 && found != NULL)
    *uid = found->pw_uid;
  free(buffer);
  return found != NULL;
}

void daemon_user_read(struct daemon_user *user) {
  const char *text = getenv(VARIABLE);
  *user = (struct daemon_user){0};
  if (text == NULL || text[0] == '\0')
    return;
  user->is_named = parse_number(text, &user->named) || find_name(text, &user->named);
  user->is_unknown = !user->is_named;
}

/* ---- the peer ---- */

/* Returns whether this user namespace maps every user, so that each number is one user. */
static bool maps_every_user(void) {
  static const char first[] = "         0          0 4294967295\n";
  char text[sizeof first + 1];
  int fd = open("/proc/self/uid_map", O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return false;
  ssize_t got = read(fd, text, sizeof text);
  (void)close(fd); /* opened for reading */
  return got == (ssize_t)sizeof first - 1 && memcmp(text, first, sizeof first - 1) == 0;
}

/* Returns false if the number stands for several users. */
static bool is_one_user(uid_t uid) {
  return uid != OVERFLOW_UID || maps_every_user();
}

/* Returns whether `path` is a directory of that user in which no other user may create or replace
 * files. */
static bool is_directory_of(const char *path, uid_t uid) {
  struct stat st;
  return lstat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == uid &&
         (st.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/* Returns whether `uid` is the user of the system's services, and `path` a file in their directory:
 * only root can give it that directory. */
static bool is_service(const char *path, uid_t uid) {
  static const char dir[] = SOCKET_PATHS_SYSTEM_DIR "/";
  return strncmp(path, dir, sizeof dir - 1) == 0 && strchr(path + sizeof dir - 1, '/') == NULL &&
         is_directory_of(SOCKET_PATHS_SYSTEM_PARENT, 0) &&
         is_directory_of(SOCKET_PATHS_SYSTEM_DIR, uid);
}

bool daemon_user_is_trusted(const struct daemon_user *user, int fd, const char *path, char *reason,
                            size_t size) {
  struct ucred creds;
  socklen_t got = sizeof creds;
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &creds, &got) < 0 || got != sizeof creds) {
    (void)snprintf(reason, size, "not trusted: the kernel does not report the user that runs it");
    return false;
  }
  if (creds.uid == 0 || (user->is_named && creds.uid == user->named))
    return true;
  bool known = is_one_user(creds.uid);
  if (known && (creds.uid == geteuid() || is_service(path, creds.uid)))
    return true;
  const char *unknown = user->is_unknown ? " (it names no user of this system now)" : "";
  (void)snprintf(
      reason, size,
      known ? "not trusted: user %lu runs it; to trust that one, set $" VARIABLE "=%lu%s"
            : "not trusted: its user is not mapped in this user namespace (%lu is used for many); "
              "to trust it anyway, set $" VARIABLE "=%lu%s",
      (unsigned long)creds.uid, (unsigned long)creds.uid, unknown);
  return false;
}
