#include "daemon/config/config_file.h"

#include "daemon/base/parse.h"
#include "proto/errors.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- places ---- */

char *config_systemd_directory(const char *name) {
  const char *pid_text = getenv("SYSTEMD_EXEC_PID"), *list = getenv(name);
  uint64_t pid;
  /* A service that starts a private daemon passes its own directories on. */
  if (pid_text != NULL && (!parse_whole_number(pid_text, &pid) || pid != (uint64_t)getpid()))
    return NULL;
  if (list == NULL || list[0] != '/')
    return NULL;
  return strndup(list, strcspn(list, ":"));
}

/* Returns "DIR/MORE", allocated, or NULL if out of memory. */
static char *joined(const char *dir, const char *more) {
  char *path;
  return asprintf(&path, "%s/%s", dir, more) < 0 ? NULL : path;
}

char *config_systemd_file(const char *variable, const char *name) {
  char *dir = config_systemd_directory(variable);
  char *path = dir != NULL ? joined(dir, name) : NULL;
  free(dir);
  if (path != NULL && access(path, F_OK) == 0)
    return path;
  free(path);
  return NULL;
}

char *config_default_path(void) {
  const char *runtime = getenv("XDG_RUNTIME_DIR"), *config = getenv("XDG_CONFIG_HOME");
  const char *home = getenv("HOME");
  char *passed = config_systemd_directory("CONFIGURATION_DIRECTORY"), *path;
  if (passed != NULL) {
    path = joined(passed, "fcached.conf");
    free(passed);
    return path;
  }
  bool of_user = runtime != NULL && runtime[0] == '/'; /* as listener.h chooses the socket */
  if (of_user && config != NULL && config[0] == '/')
    return joined(config, "fcached/fcached.conf");
  if (of_user && home != NULL && home[0] == '/')
    return joined(home, ".config/fcached/fcached.conf");
  return strdup(CONFIG_SYSTEM_PATH);
}

/* ---- drop-ins ---- */

static bool is_dropin(const char *name) {
  size_t size = strlen(name), suffix = sizeof ".conf" - 1;
  return name[0] != '.' && size > suffix && strcmp(name + size - suffix, ".conf") == 0;
}

static int compare(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Appends the paths of the directory's files. Returns their number, or an error. */
static int list_dir(DIR *dir, const char *path, char **names, struct error_text *error) {
  const struct dirent *entry;
  int n = 0;
  while ((errno = 0, entry = readdir(dir)) != NULL) {
    if (!is_dropin(entry->d_name))
      continue;
    if (n == (int)CONFIG_DROPINS_MAX)
      return error_text_set(error, FC_EINVAL, "%s.d: more than %u files: remove some", path,
                            CONFIG_DROPINS_MAX);
    if (asprintf(&names[n], "%s.d/%s", path, entry->d_name) < 0) {
      names[n] = NULL;
      return error_text_set(error, FC_ENOMEM, "%s.d: out of memory", path);
    }
    n++;
  }
  if (errno != 0)
    return error_text_set(error, FC_EINVAL, "%s.d: cannot be listed: %s", path, strerror(errno));
  return n;
}

int config_dropins(const char *path, char *names[CONFIG_DROPINS_MAX], struct error_text *error) {
  char *dir_path;
  memset(names, 0, CONFIG_DROPINS_MAX * sizeof *names);
  if (asprintf(&dir_path, "%s.d", path) < 0)
    return error_text_set(error, FC_ENOMEM, "%s: out of memory", path);
  DIR *dir = opendir(dir_path);
  int failed = errno, n;
  free(dir_path);
  if (dir == NULL && failed == ENOENT)
    return 0;
  if (dir == NULL)
    return error_text_set(error, FC_EINVAL,
                          "%s.d: cannot be opened: %s: make it a directory that fcached's user may "
                          "read, or remove it",
                          path, strerror(failed));
  n = list_dir(dir, path, names, error);
  (void)closedir(dir); /* nothing was written */
  if (n >= 0) {
    qsort(names, (size_t)n, sizeof *names, compare); /* the directory is the same for all */
    return n;
  }
  for (size_t i = 0; i < CONFIG_DROPINS_MAX; i++)
    free(names[i]);
  memset(names, 0, CONFIG_DROPINS_MAX * sizeof *names);
  return n;
}

/* ---- one file ---- */

/* Reads up to the bound. Returns the number of bytes, or -1 with errno. */
static ssize_t read_all(int fd, char *bytes, size_t capacity) {
  size_t used = 0;
  while (used < capacity) {
    ssize_t got = read(fd, bytes + used, capacity - used);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return -1;
    if (got == 0)
      break;
    used += (size_t)got;
  }
  return (ssize_t)used;
}

static int read_regular(int fd, const char *path, char **bytes, size_t *size,
                        struct error_text *error) {
  struct stat st;
  if (fstat(fd, &st) < 0)
    return error_text_set(error, FC_EINVAL, "%s: cannot be read: %s", path, strerror(errno));
  if (!S_ISREG(st.st_mode))
    return error_text_set(error, FC_EINVAL,
                          "%s: not a regular file: give the path of a file with KEY = VALUE lines",
                          path);
  char *buffer = malloc(CONFIG_FILE_BYTES_MAX + 1);
  if (buffer == NULL)
    return error_text_set(error, FC_ENOMEM, "%s: out of memory", path);
  ssize_t got = read_all(fd, buffer, CONFIG_FILE_BYTES_MAX + 1);
  if (got < 0 || got > (ssize_t)CONFIG_FILE_BYTES_MAX) {
    int failed = errno;
    free(buffer);
    if (got < 0)
      return error_text_set(error, FC_EINVAL, "%s: cannot be read: %s", path, strerror(failed));
    return error_text_set(error, FC_EINVAL, "%s: more than %u bytes: this is no configuration file",
                          path, CONFIG_FILE_BYTES_MAX);
  }
  *bytes = buffer;
  *size = (size_t)got;
  return CONFIG_FILE_READ;
}

int config_file_read(const char *path, char **bytes, size_t *size, struct error_text *error) {
  /* O_NONBLOCK: a FIFO without a writer would block the daemon. */
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0 && errno == ENOENT)
    return CONFIG_FILE_MISSING;
  if (fd < 0)
    return error_text_set(error, FC_EINVAL,
                          "%s: cannot be opened: %s: let fcached's user read it, or remove it",
                          path, strerror(errno));
  int rc = read_regular(fd, path, bytes, size, error);
  (void)close(fd); /* nothing was written */
  return rc;
}
