/* clear_log.h - remembers recent clears, to detect stale puts: a result must not be stored if its
 * key was cleared after its computation began.
 *
 * Generations come from one counter for the whole daemon (struct store), which rises with each
 * clear. The size is fixed. A clear that is no longer in the log counts as a clear of everything,
 * so the log may call a fresh put stale, but never the reverse. It keeps 128-bit hashes of the
 * names: a collision would also only reject a fresh put. It lies in the catalog, where a kill may
 * leave a change unfinished (clear_log_adopt). Owns no memory. One thread. */
#ifndef FC_DAEMON_CLEAR_LOG_H
#define FC_DAEMON_CLEAR_LOG_H

#include "proto/key.h"

#define CLEAR_LOG_SIZE 16u

struct clear_record {
  uint64_t generation;
  bool any_view, any_op;
  struct fc_hash view, op; /* of the names, if not any */
};

struct clear_log {
  uint64_t floor;  /* computations that began below it are stale, whatever their key */
  uint64_t newest; /* generation of the latest clear, or the floor */
  uint32_t n;
  uint32_t changing;                           /* 1 while clear_log_add changes the records */
  struct clear_record records[CLEAR_LOG_SIZE]; /* oldest first */
};

/* Starts a log at generation `floor`. Earlier computations are stale, because a new namespace does
 * not know the clears of a former one with its name. */
void clear_log_init(struct clear_log *log, uint64_t floor);

/* Adds a clear. `generation` is higher than those before. A name without data means any. */
void clear_log_add(struct clear_log *log, uint64_t generation, struct fc_str view,
                   struct fc_str op);

/* Takes over the log of an earlier daemon. If it is damaged or a change was unfinished, all
 * computations that began before `generation` are stale. */
void clear_log_adopt(struct clear_log *log, uint64_t generation);

/* Returns true if `key` was, or may have been, cleared after `generation`. */
bool clear_log_stale(const struct clear_log *log, uint64_t generation, const struct fc_key *key);

#endif
