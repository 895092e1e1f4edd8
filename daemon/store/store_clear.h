/* store_clear.h - clears, in slices.
 *
 * A clear holds from store_clear_start on: nothing that was stored before is
 * found by a get, kept by a put or listed after, and puts that were computed
 * before are stale. The memory goes by calls of store_clear_step, because
 * freeing a million entries takes too long for one turn of a loop that serves
 * others (the .c has the figures). Until then the entries count in the figures
 * and limits. Their bytes in the region, which clients map, are zeroed as they go. A clear is
 * acknowledged when it is finished, with its number: then nothing of them is left, but for a value
 * that is being sent at that moment, which is zeroed when its sender lets go.
 *
 * One that selects nothing is finished when it starts. Up to STORE_CLEARS_MAX run at once. One
 * thread. */
#ifndef FC_DAEMON_STORE_CLEAR_H
#define FC_DAEMON_STORE_CLEAR_H

#include "daemon/store/store.h"

/* What to clear or to list. */
struct store_select {
  struct namespace *ns;   /* NULL: all */
  struct fc_str view, op; /* none: any */
};

/* One clear that runs. The caller owns the memory, and keeps it where it is
 * until the clear is finished. */
struct store_clear {
  uint64_t removed; /* entries, so far */
  bool finished;

  /* the store's own */
  struct store_clear *next;
  struct namespace *ns;   /* NULL: all */
  uint64_t last_stamp;    /* what was last used up to here goes; anything later was put since */
  uint32_t at;            /* number of the next to look at, from the least recently used up */
  struct fc_str view, op; /* point into the two below */
  char view_data[FC_NAME_MAX], op_data[FC_NAME_MAX];
};

/* Raises the store's generation. `select` is copied. False, with nothing changed: too many run. */
bool store_clear_start(struct store *store, struct store_clear *clear,
                       const struct store_select *select);

/* Looks at up to `max_entries`, and zeroes up to STORE_SLICE_BYTES. True: finished, `removed` is
 * final, and the memory is the caller's again. */
bool store_clear_step(struct store *store, struct store_clear *clear, uint64_t max_entries);

/* All steps at once; returns the number removed. For tests and small caches, while there is room
 * for another clear. */
uint64_t store_clear_all(struct store *store, const struct store_select *select);

/* For the store alone: the entry leaves its place in the lists (by promotion or
 * for good), so clears that stand at it step on. */
void store_clear_leave(struct store *store, const struct entry *entry);

/* For the store alone: the clear that selects the entry and has not come to it
 * yet, or NULL. */
struct store_clear *store_clear_of(const struct store *store, const struct entry *entry);

/* For the store alone: the namespace is dropped; clears of it are finished. */
void store_clear_forget(struct store *store, const struct namespace *ns);

#endif
