/* crash_kinds.h - the kinds of lives of the crash storm: the options of the daemons, and the events
 * that may happen to them. */
#ifndef FC_TESTS_CRASH_KINDS_H
#define FC_TESTS_CRASH_KINDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRASH_ARGS_MAX 8u

struct crash_kind {
  const char *name;
  uint32_t rounds;
  bool evicts;  /* max_bytes has no room for all keys */
  bool files;   /* has a state folder. Sometimes the memory is lost, and the cache starts from it */
  bool forgets; /* no memory outlives a daemon: each one starts from the file */
  bool resizes; /* max_bytes changes while the daemon serves */
  bool clears;  /* an administrator clears most of the time, and daemons die soon after a clear
                   begins */
  bool dies_early;                  /* several daemons in a row die while they adopt */
  const char *args[CRASH_ARGS_MAX]; /* of fcached; NULL at the end */
};

extern const struct crash_kind crash_kinds[];
extern const size_t crash_kinds_n;

/* Returns the kind of that name, or NULL. */
const struct crash_kind *crash_kind_find(const char *name);

#endif
