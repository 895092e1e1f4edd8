/* scratch.h - a private temporary folder, and its end. */
#ifndef BENCH_SCRATCH_H
#define BENCH_SCRATCH_H

enum { SCRATCH_PATH_BYTES = 64 }; /* short: socket paths in it must fit 108 bytes */

/* Makes it in memory, under /dev/shm, where there is room for what the bench keeps
 * in it: LMDB's files and traces. Elsewhere under $TMPDIR where that is short enough,
 * else under /tmp, and says so on stderr. 0, or -1 after saying why on stderr. */
int scratch_make(char path[SCRATCH_PATH_BYTES]);

/* Removes the folder and the files in it (it has no folders in it). */
void scratch_remove(const char *path);

#endif
