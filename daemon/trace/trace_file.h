/* trace_file.h - a trace file in the file system: opens it to append, and writes whole lines. */
#ifndef FC_DAEMON_TRACE_FILE_H
#define FC_DAEMON_TRACE_FILE_H

#include "daemon/trace/trace_dir.h"
#include "proto/key.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct trace_file {
  int fd; /* non-blocking, so that a FIFO without a reader blocks no thread; -1: none */
  dev_t device;
  ino_t inode;
  bool regular;
  off_t torn_bytes; /* the size of a file that ends within a line, until that line is ended; 0: none
                     */
  char *path;       /* owned, NUL-terminated */
  const struct trace_dir *dir; /* that a client's file is below; NULL: any path; borrowed */
};

/* Opens `path` to append (0640), and makes its directory if it is missing. `dir` NULL: any path,
 * for the command line. Otherwise as trace_dir.h says, for a client. Returns 0, FC_ENOMEM, or
 * FC_ETRACE with a text. After an error nothing is held. */
int trace_file_open(struct trace_file *file, const struct trace_dir *dir, struct fc_str path,
                    struct error_text *reason);

/* Finds out whether the file ends within a line, after a crash or on a full disk. The next write
 * ends that line first. Only for a file that no stream is writing to: a write in progress looks the
 * same.
 */
void trace_file_find_torn_line(struct trace_file *file);

/* Closes the file. Returns 0, or the errno of close(2): the last writes may be lost. Idempotent. */
int trace_file_deinit(struct trace_file *file);

/* Writes data[0..size), which is whole lines, or begins with the rest of a line. Stores in *written
 * how many bytes are in the file. After a failure within a line, the beginning of that line is cut
 * off again if the file allows it and no other process has appended. Otherwise *written ends within
 * the line, and the next call begins with its rest. Returns 0 or an errno. Any thread, one at a
 * time. */
int trace_file_write(struct trace_file *file, const char *data, size_t size, size_t *written);

#endif
