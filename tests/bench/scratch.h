/* scratch.h - makes and removes a private temporary directory. */
#ifndef BENCH_SCRATCH_H
#define BENCH_SCRATCH_H

enum { SCRATCH_PATH_BYTES = 64 }; /* short, because socket paths in it must fit 108 bytes */

/* Makes it in memory, under /dev/shm, if there is room for LMDB's files and traces. Otherwise under
 * $TMPDIR if that is short enough, else under /tmp, with a message on stderr. Returns 0, or -1 with
 * the reason on stderr. */
int scratch_make(char path[SCRATCH_PATH_BYTES]);

/* Removes the directory and the files in it. It has no subdirectories. */
void scratch_remove(const char *path);

#endif
