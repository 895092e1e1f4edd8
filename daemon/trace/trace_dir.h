/* trace_dir.h - the trace directory: the directory below which clients may have the trace written.
 * A client names a file there and reaches no file elsewhere: the path has no symbolic link and no
 * "..", and the file is a regular one of the daemon's user, with one name.
 *
 * Loop thread only. */
#ifndef FC_DAEMON_TRACE_DIR_H
#define FC_DAEMON_TRACE_DIR_H

#include "daemon/base/error_text.h"
#include "proto/key.h"

#include <stdbool.h>
#include <sys/stat.h>

struct trace_dir {
  int fd; /* of the directory as it was opened, even if its path leads elsewhere later; -1: none */
  char *path; /* absolute, as it was given, without a slash at its end; owned */
};

void trace_dir_init(struct trace_dir *dir); /* none */

/* Makes the directory and its parents if they are missing, and opens it instead of the former one.
 * Returns 0, FC_ENOMEM, or FC_ETRACE with a text. After an error nothing has changed. */
int trace_dir_open(struct trace_dir *dir, const char *path, struct error_text *reason);

/* Opens the directory of the file at `path`, if that is the regular file `st` under its own name.
 * Otherwise (a link, a device, a pipe, or an error) nothing changes. */
void trace_dir_open_beside(struct trace_dir *dir, const char *path, const struct stat *st);

void trace_dir_deinit(struct trace_dir *dir); /* idempotent */

/* Returns the absolute path of a file that a client names, allocated: `name` itself, or below the
 * directory if it is relative. Returns NULL if it is not a path below the directory, with *reason
 * set and FC_ETRACE or FC_ENOMEM in *code. */
char *trace_dir_resolve(const struct trace_dir *dir, struct fc_str name, int *code,
                        struct error_text *reason);

/* Opens the file at such a path, close-on-exec, with the flags of open(2). O_CREAT makes the file
 * and its missing parents below the directory. Returns the descriptor, or FC_ETRACE with a text. */
int trace_dir_open_file(const struct trace_dir *dir, const char *path, int flags,
                        struct error_text *reason);

/* Returns FC_ETRACE with a text if a directory of a file that a client names is missing, so that a
 * typo makes none. Returns 0 for a path that trace_dir_resolve or trace_dir_open_file refuses. */
int trace_dir_check_folders(const struct trace_dir *dir, struct fc_str name,
                            struct error_text *reason);

/* Makes the missing directories before the last slash of `path`, which is unchanged after the call.
 * Returns 0, or -1 with errno. */
int trace_dir_make_parents(char *path);

#endif
