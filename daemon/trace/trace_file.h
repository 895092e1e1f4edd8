/* trace_file.h - the trace's file as the file system sees it: opened to append, and
 * written in whole lines. No loop, no memory of its own but the path. */
#ifndef FC_DAEMON_TRACE_FILE_H
#define FC_DAEMON_TRACE_FILE_H

#include "daemon/trace/trace_dir.h"
#include "proto/key.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct trace_file {
  int fd; /* non-blocking: a FIFO that nobody reads holds up no thread; -1: none */
  dev_t device;
  ino_t inode;
  bool regular;
  off_t torn_bytes; /* the size of a file that ends within a line, until that line is ended */
  char *path;       /* owned, NUL-terminated */
  const struct trace_dir
      *dir; /* it was opened below, by a client's wish; NULL: anywhere; borrowed */
};

/* Opens `path` to append (0640), and makes its directory where missing. `dir` NULL: whatever it
 * names, for a path of the command line. Else as trace_dir.h says, for a client's. 0, FC_ENOMEM,
 * or FC_ETRACE with a text; with an error nothing is held. */
int trace_file_open(struct trace_file *file, const struct trace_dir *dir, struct fc_str path,
                    struct error_text *fault);

/* Where the file ends within a line (a crash, a full disk), the next write ends that line first. It
 * is not written at once: the disk may still be full. Only for a file that no stream is writing to:
 * a line that is under way looks the same. */
void trace_file_look_at_end(struct trace_file *file);

/* 0 or the errno of close(2), which says that the last writes may be lost. Idempotent. */
int trace_file_deinit(struct trace_file *file);

/* Writes data[0..size), which is whole lines, or begins with the rest of one that went
 * before. *written says how many of the bytes are in the file at the end. On a failure
 * within a line its beginning is cut off again, where the file allows that and nobody
 * else has appended since; where not, *written ends within the line, and the next call
 * begins with its rest. 0 or an errno. Any thread, one at a time. */
int trace_file_write(struct trace_file *file, const char *data, size_t size, size_t *written);

#endif
