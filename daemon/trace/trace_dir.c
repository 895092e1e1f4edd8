#include "daemon/trace/trace_dir.h"

#include "proto/errors.h"
#include "proto/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FOLDER_MODE 0755
#define FILE_MODE 0640

/* A folder may be searched, and need not be readable. */
#define FOLDER_FLAGS (O_PATH | O_DIRECTORY | O_CLOEXEC)

void trace_dir_init(struct trace_dir *dir) {
  *dir = (struct trace_dir){.fd = -1};
}

void trace_dir_deinit(struct trace_dir *dir) {
  if (dir->fd >= 0)
    (void)close(dir->fd); /* nothing was written through it */
  free(dir->path);
  trace_dir_init(dir);
}

int trace_dir_make_above(char *path) {
  for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    int r = mkdir(path, FOLDER_MODE);
    int error = errno;
    *slash = '/';
    if (r < 0 && error != EEXIST) {
      errno = error;
      return -1;
    }
  }
  return 0;
}

/* ---- the folder ---- */

/* "FOLDER/" of an absolute or relative path, with one slash at the end. NULL: out of memory, or no
 * current folder. */
static char *absolute_folder(const char *path) {
  char *current = path[0] == '/' ? strdup("") : getcwd(NULL, 0), *folder = NULL;
  size_t size = strlen(path);
  while (size > 0 && path[size - 1] == '/')
    size--;
  if (current != NULL &&
      asprintf(&folder, "%s%s%.*s/", current, path[0] == '/' ? "" : "/", (int)size, path) < 0)
    folder = NULL;
  free(current);
  return folder;
}

static int open_folder(struct trace_dir *dir, char *folder) {
  int fd = open(folder, FOLDER_FLAGS);
  if (fd < 0 && errno == ENOENT && trace_dir_make_above(folder) == 0)
    fd = open(folder, FOLDER_FLAGS);
  if (fd < 0)
    return -1;
  trace_dir_deinit(dir);
  folder[strlen(folder) - 1] = '\0'; /* the root's is "" */
  *dir = (struct trace_dir){fd, folder};
  return 0;
}

int trace_dir_open(struct trace_dir *dir, const char *path, struct error_text *fault) {
  char *folder = absolute_folder(path);
  if (folder == NULL)
    return error_text_set(fault, FC_ENOMEM, "the folder for traces %s was not opened: %s", path,
                          strerror(errno));
  if (open_folder(dir, folder) == 0)
    return 0;
  error_text_set(fault, FC_ETRACE, "the folder for traces %s cannot be opened: %s: give another",
                 path, strerror(errno));
  free(folder);
  return FC_ETRACE;
}

void trace_dir_open_beside(struct trace_dir *dir, const char *path, const struct stat *st) {
  struct trace_dir beside = {.fd = -1};
  struct stat here;
  const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
  char *above = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
  char *folder = above == NULL ? NULL : absolute_folder(above);
  free(above);
  if (folder == NULL || open_folder(&beside, folder) < 0) {
    free(folder);
    return;
  }
  if (fstatat(beside.fd, name, &here, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(here.st_mode) &&
      here.st_dev == st->st_dev && here.st_ino == st->st_ino) {
    trace_dir_deinit(dir);
    *dir = beside;
  } else {
    trace_dir_deinit(&beside);
  }
}

/* ---- files below it ---- */

/* The part of an absolute path that is below the folder, or NULL. */
static const char *below(const struct trace_dir *dir, const char *path) {
  size_t size = strlen(dir->path);
  return strncmp(path, dir->path, size) == 0 && path[size] == '/' ? path + size + 1 : NULL;
}

/* "" and "." lead nowhere else. */
static bool stays(const char *part) {
  return part[0] == '\0' || strcmp(part, ".") == 0;
}

/* Does it go down alone, to a name that a file can have? */
static bool goes_down(const char *rest) {
  const char *name = strrchr(rest, '/');
  for (const char *part = rest; part != NULL; part = strchr(part, '/')) {
    part += part[0] == '/';
    if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
      return false;
  }
  return !stays(name == NULL ? rest : name + 1);
}

char *trace_dir_path_of(const struct trace_dir *dir, struct fc_str name, int *code,
                        struct error_text *fault) {
  char *path = NULL;
  if (dir->fd < 0) {
    *code =
        error_text_set(fault, FC_ETRACE,
                       "this daemon has no folder for traces: start it with --trace-dir=DIR, or "
                       "with --trace=FILE, to name files there");
    return NULL;
  }
  bool relative = name.size > 0 && name.data[0] != '/';
  if (asprintf(&path, "%s%s%.*s", relative ? dir->path : "", relative ? "/" : "", (int)name.size,
               name.data) < 0) {
    *code = error_text_set(fault, FC_ENOMEM, "out of memory: the trace file was not opened");
    return NULL;
  }
  const char *rest = below(dir, path);
  if (rest != NULL && goes_down(rest) && strlen(path) <= FC_PATH_MAX)
    return path;
  *code = error_text_set(fault, FC_ETRACE,
                         "%.*s is no name of a file below the daemon's folder for traces: give one "
                         "that begins with %s/, or a relative one, without \"..\"",
                         (int)name.size, name.data, dir->path);
  free(path);
  return NULL;
}

static int failed(const char *path, int error, struct error_text *fault) {
  return error_text_set(fault, FC_ETRACE,
                        "the trace file %s cannot be opened: %s: give another path", path,
                        strerror(error));
}

/* The folder `name` in `at`, made where it is missing and `make` says so. -1 with errno. */
static int enter(int at, const char *name, bool make) {
  int fd = openat(at, name, FOLDER_FLAGS | O_NOFOLLOW);
  if (fd >= 0 || errno != ENOENT || !make)
    return fd;
  if (mkdirat(at, name, FOLDER_MODE) < 0 && errno != EEXIST)
    return -1;
  return openat(at, name, FOLDER_FLAGS | O_NOFOLLOW);
}

/* Goes down from the folder to that of the file, whose name *name is then. A descriptor, or -1 with
 * errno. `rest` is cut into its parts. */
static int descend(const struct trace_dir *dir, char *rest, bool make, const char **name) {
  int at = fcntl(dir->fd, F_DUPFD_CLOEXEC, 3);
  char *part = rest;
  for (char *slash; at >= 0 && (slash = strchr(part, '/')) != NULL; part = slash + 1) {
    *slash = '\0';
    if (stays(part))
      continue;
    int next = enter(at, part, make), error = errno;
    (void)close(at); /* nothing was written through it */
    errno = error;
    at = next;
  }
  *name = part;
  return at;
}

/* What else than a new file could be there: nothing that somebody else put there, and nothing that
 * has another name elsewhere. */
static const char *objection(int fd) {
  struct stat st;
  if (fstat(fd, &st) < 0)
    return "it cannot be examined";
  if (!S_ISREG(st.st_mode))
    return "it is no regular file";
  if (st.st_uid != geteuid())
    return "it belongs to another user than the daemon's";
  return st.st_nlink != 1 ? "it has other names (hard links)" : NULL;
}

int trace_dir_open_file(const struct trace_dir *dir, const char *path, int flags,
                        struct error_text *fault) {
  const char *rest = below(dir, path), *name = NULL, *wrong;
  char *parts = rest == NULL ? NULL : strdup(rest);
  if (parts == NULL)
    return failed(path, rest == NULL ? ENOENT : ENOMEM, fault);
  int at = descend(dir, parts, (flags & O_CREAT) != 0, &name);
  int fd =
      at < 0 ? -1
             : openat(at, name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, FILE_MODE);
  int error = errno;
  if (at >= 0)
    (void)close(at); /* nothing was written through it */
  free(parts);
  if (fd < 0 && (error == ELOOP || error == ENOTDIR))
    return error_text_set(
        fault, FC_ETRACE,
        "the trace file %s cannot be opened: a part of its path is a symbolic link or "
        "no folder: give another path",
        path);
  if (fd < 0)
    return failed(path, error, fault);
  wrong = objection(fd);
  if (wrong == NULL)
    return fd;
  (void)close(fd); /* nothing was written through it */
  return error_text_set(fault, FC_ETRACE,
                        "the trace file %s is not written to: %s: give another path", path, wrong);
}
