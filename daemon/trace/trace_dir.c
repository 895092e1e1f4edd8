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

#define DIR_MODE 0755
#define FILE_MODE 0640

/* A directory must be searchable. It need not be readable. */
#define DIR_FLAGS (O_PATH | O_DIRECTORY | O_CLOEXEC)

void trace_dir_init(struct trace_dir *dir) {
  *dir = (struct trace_dir){.fd = -1};
}

void trace_dir_deinit(struct trace_dir *dir) {
  if (dir->fd >= 0)
    (void)close(dir->fd); /* nothing was written through it */
  free(dir->path);
  trace_dir_init(dir);
}

int trace_dir_make_parents(char *path) {
  for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    *slash = '\0';
    int r = mkdir(path, DIR_MODE);
    int error = errno;
    *slash = '/';
    if (r < 0 && error != EEXIST) {
      errno = error;
      return -1;
    }
  }
  return 0;
}

/* ---- the directory ---- */

/* Returns the path made absolute, with one slash at its end. Returns NULL if memory is out, or the
 * working directory is unknown. */
static char *absolute_dir(const char *path) {
  char *current = path[0] == '/' ? strdup("") : getcwd(NULL, 0), *directory = NULL;
  size_t size = strlen(path);
  while (size > 0 && path[size - 1] == '/')
    size--;
  if (current != NULL &&
      asprintf(&directory, "%s%s%.*s/", current, path[0] == '/' ? "" : "/", (int)size, path) < 0)
    directory = NULL;
  free(current);
  return directory;
}

/* Opens an absolute path that absolute_dir made, and owns it if that succeeds. */
static int open_dir(struct trace_dir *dir, char *directory) {
  int fd = open(directory, DIR_FLAGS);
  if (fd < 0 && errno == ENOENT && trace_dir_make_parents(directory) == 0)
    fd = open(directory, DIR_FLAGS);
  if (fd < 0)
    return -1;
  trace_dir_deinit(dir);
  directory[strlen(directory) - 1] = '\0'; /* the root's is "" */
  *dir = (struct trace_dir){fd, directory};
  return 0;
}

int trace_dir_open(struct trace_dir *dir, const char *path, struct error_text *reason) {
  char *directory = absolute_dir(path);
  if (directory == NULL)
    return error_text_set(reason, FC_ENOMEM, "the trace directory %s was not opened: %s", path,
                          strerror(errno));
  if (open_dir(dir, directory) == 0)
    return 0;
  error_text_set(reason, FC_ETRACE, "the trace directory %s cannot be opened: %s: give another",
                 path, strerror(errno));
  free(directory);
  return FC_ETRACE;
}

void trace_dir_open_beside(struct trace_dir *dir, const char *path, const struct stat *st) {
  struct trace_dir beside = {.fd = -1};
  struct stat here;
  const char *slash = strrchr(path, '/'), *name = slash == NULL ? path : slash + 1;
  char *above = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
  char *directory = above == NULL ? NULL : absolute_dir(above);
  free(above);
  if (directory == NULL || open_dir(&beside, directory) < 0) {
    free(directory);
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

/* Returns the part of an absolute path that is below the directory, or NULL. */
static const char *below(const struct trace_dir *dir, const char *path) {
  size_t size = strlen(dir->path);
  return strncmp(path, dir->path, size) == 0 && path[size] == '/' ? path + size + 1 : NULL;
}

/* Returns whether this part of a path leads to the same directory. */
static bool is_same_dir(const char *part) {
  return part[0] == '\0' || strcmp(part, ".") == 0;
}

/* Returns whether the relative path has no ".." and ends with a name that a file can have. */
static bool goes_down(const char *rest) {
  const char *name = strrchr(rest, '/');
  for (const char *part = rest; part != NULL; part = strchr(part, '/')) {
    part += part[0] == '/';
    if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
      return false;
  }
  return !is_same_dir(name == NULL ? rest : name + 1);
}

static bool is_temporary(struct fc_str name) {
  return (name.size > 5 && memcmp(name.data, "/tmp/", 5) == 0) ||
         (name.size > 9 && memcmp(name.data, "/var/tmp/", 9) == 0);
}

char *trace_dir_resolve(const struct trace_dir *dir, struct fc_str name, int *code,
                        struct error_text *reason) {
  char *path = NULL;
  if (dir->fd < 0) {
    *code =
        error_text_set(reason, FC_ETRACE,
                       "this daemon has no trace directory: start it with --trace-dir=DIR, or with "
                       "--trace=FILE, to name files there");
    return NULL;
  }
  bool relative = name.size > 0 && name.data[0] != '/';
  if (asprintf(&path, "%s%s%.*s", relative ? dir->path : "", relative ? "/" : "", (int)name.size,
               name.data) < 0) {
    *code = error_text_set(reason, FC_ENOMEM, "out of memory: the trace file was not opened");
    return NULL;
  }
  const char *rest = below(dir, path);
  if (rest != NULL && goes_down(rest) && strlen(path) <= FC_PATH_MAX)
    return path;
  *code = error_text_set(
      reason, FC_ETRACE,
      "%.*s is not a file below the daemon's trace directory: give a path that begins "
      "with %s/, or one relative to that directory (not to yours), without \"..\"%s",
      (int)name.size, name.data, dir->path,
      is_temporary(name) ? "; a service with PrivateTmp=yes has a /tmp of its own" : "");
  free(path);
  return NULL;
}

static int failed(const char *path, int error, struct error_text *reason) {
  return error_text_set(reason, FC_ETRACE,
                        "the trace file %s cannot be opened: %s: give another path", path,
                        strerror(error));
}

/* Opens the directory `name` in `at`. `make`: makes it if it is missing. Returns -1 with errno. */
static int enter(int at, const char *name, bool make) {
  int fd = openat(at, name, DIR_FLAGS | O_NOFOLLOW);
  if (fd >= 0 || errno != ENOENT || !make)
    return fd;
  if (mkdirat(at, name, DIR_MODE) < 0 && errno != EEXIST)
    return -1;
  return openat(at, name, DIR_FLAGS | O_NOFOLLOW);
}

/* Opens the directory of the file, and points *name to the file's name. Returns a descriptor, or -1
 * with errno. Cuts `rest` into its parts. */
static int descend(const struct trace_dir *dir, char *rest, bool make, const char **name) {
  int at = fcntl(dir->fd, F_DUPFD_CLOEXEC, 3);
  char *part = rest;
  for (char *slash; at >= 0 && (slash = strchr(part, '/')) != NULL; part = slash + 1) {
    *slash = '\0';
    if (is_same_dir(part))
      continue;
    int next = enter(at, part, make), error = errno;
    (void)close(at); /* nothing was written through it */
    errno = error;
    at = next;
  }
  *name = part;
  return at;
}

/* Returns why an existing file must not be written to, or NULL: another user may have put it there,
 * or it may have a name elsewhere. */
static const char *objection(int fd) {
  struct stat st;
  if (fstat(fd, &st) < 0)
    return "it cannot be examined";
  if (!S_ISREG(st.st_mode))
    return "it is not a regular file";
  if (st.st_uid != geteuid())
    return "it belongs to another user than the daemon's";
  return st.st_nlink != 1 ? "it has other names (hard links)" : NULL;
}

int trace_dir_open_file(const struct trace_dir *dir, const char *path, int flags,
                        struct error_text *reason) {
  const char *rest = below(dir, path), *name = NULL, *wrong;
  char *parts = rest == NULL ? NULL : strdup(rest);
  if (parts == NULL)
    return failed(path, rest == NULL ? ENOENT : ENOMEM, reason);
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
        reason, FC_ETRACE,
        "the trace file %s cannot be opened: a part of its path is a symbolic link or "
        "not a directory: give another path",
        path);
  if (fd < 0)
    return failed(path, error, reason);
  wrong = objection(fd);
  if (wrong == NULL)
    return fd;
  (void)close(fd); /* nothing was written through it */
  return error_text_set(reason, FC_ETRACE,
                        "the trace file %s is not written to: %s: give another path", path, wrong);
}

int trace_dir_check_folders(const struct trace_dir *dir, struct fc_str name,
                            struct error_text *reason) {
  struct error_text ignored; /* the caller gets the same text when it opens the file */
  const char *file;
  int rc = 0;
  char *path = trace_dir_resolve(dir, name, &rc, &ignored);
  char *parts = path == NULL ? NULL : strdup(below(dir, path));
  int at = parts == NULL ? -1 : descend(dir, parts, false, &file);
  rc = 0;
  if (at < 0 && parts != NULL && errno == ENOENT)
    rc = error_text_set(reason, FC_ETRACE,
                        "the trace file %s cannot be opened: its folder is missing: make it, or "
                        "let the daemon make it with fcachectl trace on --mkdir",
                        path);
  if (at >= 0)
    (void)close(at); /* nothing was written through it */
  free(parts);
  free(path);
  return rc;
}
