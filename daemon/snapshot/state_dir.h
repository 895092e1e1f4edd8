/* state_dir.h - the state folder (--state DIR): the snapshot and the clear journal of one daemon.
 *
 *   snapshot      the last complete image
 *   snapshot.tmp  the one that is being written
 *   snapshot.old  an image that was put aside, because this daemon cannot use it
 *   clears        the clear journal; clears.tmp: its replacement
 *   lock          locked by the daemon that uses the folder
 *
 * The folder belongs to the daemon's user, and no other user can write to it. Its files are opened
 * below the folder as it was opened, and are regular files of that user with one name. Any thread,
 * one at a time. */
#ifndef FC_DAEMON_STATE_DIR_H
#define FC_DAEMON_STATE_DIR_H

#include <stdbool.h>

#include "daemon/base/error_text.h"

#define STATE_SNAPSHOT "snapshot"
#define STATE_SNAPSHOT_NEW "snapshot.tmp"
#define STATE_SNAPSHOT_ASIDE "snapshot.old"
#define STATE_CLEARS "clears"
#define STATE_CLEARS_NEW "clears.tmp"
#define STATE_LOCK "lock"

struct state_dir {
  int fd;         /* of the folder; -1: none */
  int lock_fd;    /* -1: not locked */
  char *path;     /* as it was given; owned */
  bool read_only; /* files can be read, and none can be written */
};

void state_dir_init(struct state_dir *dir); /* none */

/* Makes the folder (mode 0700) if it is missing, opens it, and locks it. A folder that cannot be
 * written to is opened with read_only set, without a lock. Returns 0, FC_EBUSY if another daemon
 * uses the folder, or FC_EREFUSED or FC_ENOMEM. */
int state_dir_open(struct state_dir *dir, const char *path, struct error_text *error);
void state_dir_close(struct state_dir *dir); /* idempotent */

/* Opens an existing file with the flags of open(2). Returns a descriptor, or -1 with errno, which
 * is EPERM for a file that is not as described above. */
int state_dir_open_file(const struct state_dir *dir, const char *name, int flags);

/* Makes an empty file for writing, instead of an old one. Returns a descriptor, or -1 with errno.
 */
int state_dir_create(const struct state_dir *dir, const char *name);

/* Return 0 or an errno. A rename or a removal is durable after the sync. A missing file counts as
 * removed. */
int state_dir_rename(const struct state_dir *dir, const char *from, const char *to);
int state_dir_remove(const struct state_dir *dir, const char *name);
int state_dir_sync(const struct state_dir *dir);

#endif
