/* trace_dir.h - the folder below which clients may have the trace written. A client names a file
 * there, and never reaches one elsewhere: no symbolic link is followed on the way, no `..` leads
 * out, and the file is a regular one of this process's user, with one name.
 *
 * Loop thread only. */
#ifndef FC_DAEMON_TRACE_DIR_H
#define FC_DAEMON_TRACE_DIR_H

#include "daemon/base/error_text.h"
#include "proto/key.h"

#include <stdbool.h>
#include <sys/stat.h>

struct trace_dir {
  int fd;     /* of the folder as it was when it was opened, whatever its name leads to since; -1:
                 there is none */
  char *path; /* absolute, as it was given, without a slash at its end; owned */
};

void trace_dir_init(struct trace_dir *dir); /* none */

/* Makes the folder and those above it where they are missing, and opens it, instead of the former
 * one. 0, FC_ENOMEM, or FC_ETRACE with a text; with an error nothing has changed. */
int trace_dir_open(struct trace_dir *dir, const char *path, struct error_text *fault);

/* The folder of the file at `path`, where that is a regular file, `st`, under its own name. A link,
 * a device or a pipe makes no folder one for traces, nor does what cannot be opened: then there is
 * still none. */
void trace_dir_open_beside(struct trace_dir *dir, const char *path, const struct stat *st);

void trace_dir_deinit(struct trace_dir *dir); /* idempotent */

/* The absolute path of what a client names, allocated: `name` itself, or below the folder where it
 * is relative. NULL with *fault set, FC_ETRACE or FC_ENOMEM in *code: it is none in the folder. */
char *trace_dir_path_of(const struct trace_dir *dir, struct fc_str name, int *code,
                        struct error_text *fault);

/* Opens the file at such a path, close-on-exec, with the flags of open(2). With O_CREAT it and the
 * folders below ours are made where they are missing. The descriptor, or FC_ETRACE with a text. */
int trace_dir_open_file(const struct trace_dir *dir, const char *path, int flags,
                        struct error_text *fault);

/* mkdir -p of what comes before the last slash of `path`, which is as it was at the end. 0, or -1
 * with errno. */
int trace_dir_make_above(char *path);

#endif
