/* control.h - the functions that requests of administrators reach beyond the store: snapshots, and
 * settings of the running daemon. server.c provides them, so that requests/ does not include the
 * modules behind them. None of them blocks. */
#ifndef FC_DAEMON_CONTROL_H
#define FC_DAEMON_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/error_text.h"
#include "proto/wire/message.h"

/* Snapshots of this daemon are numbered from 1 on. */
struct control_snapshot {
  uint64_t running; /* the one that is being written; 0: none */
  uint64_t ended;   /* the latest that has ended; 0: none. The fields below are its result: */
  uint64_t entries; /* in the file */
  uint64_t bytes;   /* of the file */
  uint64_t duration_ns;
  const char *error; /* why it failed; "": it has not. Valid until the next call */
  const char *path;  /* of the file, static; NULL: there is no state folder */
};

/* An option. The texts are valid during the call of `option` alone. */
struct control_option {
  const char *name, *value, *source;
  const char *next; /* the value after a restart; "": the same */
  bool live;
};
typedef void control_option_fn(void *arg, const struct control_option *option);

/* A NULL function: the daemon cannot do that. */
struct control {
  /* Begins a snapshot, or does nothing while one is running. Returns 0, or a negative code and the
   * reason. */
  int (*snapshot_start)(void *arg, struct error_text *error);
  /* Fills in *out. */
  void (*snapshot_query)(void *arg, struct control_snapshot *out);
  /* Begins to change the limit on the memory of all entries. Returns 0, or a negative code and a
   * text with both numbers. Entries are evicted and moved in the background. */
  int (*resize)(void *arg, uint64_t max_bytes, struct error_text *error);
  /* Records on disk that a clear of `select` has just begun, so that no restore brings back the
   * entries that it removes. Returns a ticket, for clear_state. NULL: nothing is restored. */
  uint64_t (*clear_record)(void *arg, const struct fc_select *select);
  /* Does so for the delete of one key, which has a namespace, op, view, top_k and prompt. NULL
   * where clear_record is. */
  uint64_t (*delete_record)(void *arg, const struct fc_delete *delete);
  /* Returns 1 once the clear or delete may be acknowledged, 0 before, and a negative code if it
   * cannot be recorded. After 0, dispatch_clears_recorded is called when that may have changed. */
  int (*clear_state)(void *arg, uint64_t ticket);
  /* Reads the configuration again. Returns 0 with the numbers of options that changed and that wait
   * for a restart, or a negative code and the first mistake. Blocks while it reads files. */
  int (*reload)(void *arg, uint32_t *changed, uint32_t *waiting, struct error_text *error);
  /* Calls `option` for each option, in the order of the table, and returns their number. `option`
   * NULL: only counts. */
  uint32_t (*options)(void *arg, control_option_fn *option, void *option_arg);
  void *arg; /* of all */
};

#endif
