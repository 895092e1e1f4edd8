/* clear_log.h - remembers recent clears, to tell whether a result whose
 * computation began at some generation was cleared since: such a result must
 * not be stored.
 *
 * Generations come from one counter for the whole daemon (struct store), which
 * rises at each clear. The log has a fixed size; what it no longer remembers
 * counts as a clear of everything, so it may call a put stale that was not, but
 * never the reverse. Names are remembered as their 128-bit hashes, for the same
 * reason: should two ever collide, a put is lost, and nothing wrong is kept.
 *
 * No memory is owned; one thread. */
#ifndef FC_DAEMON_CLEAR_LOG_H
#define FC_DAEMON_CLEAR_LOG_H

#include "proto/key.h"

#define CLEAR_LOG_SIZE 16u

struct clear_record {
  uint64_t generation;
  bool any_view, any_op;
  struct fc_hash view, op; /* of the names, where not any */
};

struct clear_log {
  uint64_t floor;  /* a computation that began below this is stale, whatever its key */
  uint64_t newest; /* generation of the latest clear (or the floor): the quick test */
  uint32_t n;
  struct clear_record records[CLEAR_LOG_SIZE]; /* oldest first */
};

/* `floor`: the generation when the log began. Computations that began before it
 * are stale: a namespace that is made anew knows nothing of its predecessor's
 * clears. */
void clear_log_init(struct clear_log *log, uint64_t floor);

/* Remembers a clear; `generation` is above all that came before. A name that is
 * none ({NULL, 0}) means any. */
void clear_log_add(struct clear_log *log, uint64_t generation, struct fc_str view,
                   struct fc_str op);

/* Was `key` cleared after `generation`? */
bool clear_log_stale(const struct clear_log *log, uint64_t generation, const struct fc_key *key);

#endif
