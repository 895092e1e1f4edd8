/* restored_clears.h - the clears of a journal by their names, and the deletes by their keys, to
 * decide for each restored entry whether one of them removed it. It keeps hashes of 64 bits: a
 * collision would drop an entry too many. A journal full of deletes takes 32 MiB, while the daemon
 * has no clients yet. One thread. */
#ifndef FC_DAEMON_RESTORED_CLEARS_H
#define FC_DAEMON_RESTORED_CLEARS_H

#include "daemon/snapshot/clear_journal.h"

struct restored_clears {
  uint64_t seed;
  uint64_t last_stamp, last_generation; /* the highest; 0: none */
  bool has_deletes;
  bool failed; /* memory was out: a clear may be missing */
  /* private */
  struct restored_clear {
    uint64_t names; /* hash of names, or of a key; 0: unused */
    uint64_t stamp; /* the highest of the clears of these names, or deletes of that key */
  } * slots;        /* owned */
  uint32_t n, n_slots;
};

void restored_clears_init(struct restored_clears *clears, uint64_t seed);
void restored_clears_deinit(struct restored_clears *clears); /* idempotent */

/* Adds a clear or a delete. `arg` is the struct: a clear_journal_fn. */
void restored_clears_add(void *arg, const struct clear_journal_record *record);

/* Returns true if a clear or a delete removed the entry of these names and that stamp. */
bool restored_clears_select(const struct restored_clears *clears, struct fc_str name_space,
                            const struct fc_key *key, uint64_t stamp);

#endif
