/* delete_log.h - remembers the keys that were deleted lately, to detect stale puts: a result must
 * not be stored if its key was deleted after its computation began.
 *
 * clear_log.h does the same for clears. Its few records would be used up by a burst of deletes, and
 * each one that is lost makes the puts of a whole namespace stale. This log has DELETE_LOG_KEYS
 * records in sets of a few. A set that is full forgets its oldest delete, and then counts as a
 * delete of every key that belongs to it. So the log may call a fresh put stale, but never the
 * reverse, and with fewer deletes than records during a computation it hardly ever does. An
 * addition and a check read one set.
 *
 * The sets are private memory. The latest DELETE_LOG_SAVED deletes are also in a ring that survives
 * the daemon, from which the next one fills its sets. One thread. */
#ifndef FC_DAEMON_DELETE_LOG_H
#define FC_DAEMON_DELETE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DELETE_LOG_SETS 2048u /* a power of two */
#define DELETE_LOG_WAYS 8u    /* records of a set */
#define DELETE_LOG_KEYS (DELETE_LOG_SETS * DELETE_LOG_WAYS)

struct delete_set {
  uint64_t floor; /* computations that began below it are stale, whatever their key */
  struct {
    uint64_t digest, generation; /* generation 0: unused */
  } keys[DELETE_LOG_WAYS];
};

/* In the catalog. Zero is an empty one. A kill at any instruction leaves a floor that is right: it
 * rises before a record is overwritten, and a record becomes valid by its generation, the last
 * store. */
#define DELETE_LOG_SAVED 3072u
struct saved_deletes {
  uint64_t floor;
  struct {
    uint64_t generation; /* 0: unused */
    uint64_t digest;
  } ring[DELETE_LOG_SAVED];
};

struct delete_log {
  uint64_t floor;              /* as that of a set, for all of them */
  uint64_t newest;             /* generation of the latest delete, or the floor; 0: none */
  struct delete_set *sets;     /* owned */
  struct saved_deletes *saved; /* borrowed */
  uint32_t next;               /* index in saved->ring */
};

#define DELETE_LOG_BYTES (DELETE_LOG_SETS * sizeof(struct delete_set))

/* Makes an empty log. `saved` outlives it. Returns 0 or FC_ENOMEM. */
int delete_log_init(struct delete_log *log, struct saved_deletes *saved);
void delete_log_deinit(struct delete_log *log); /* idempotent */

/* Takes over what an earlier daemon has saved. `generation` is that of the store: if a record is
 * newer, they are damaged, and all computations that began before `generation` are stale. */
void delete_log_adopt(struct delete_log *log, uint64_t generation);

/* Makes all computations that began before `generation` stale. */
void delete_log_raise(struct delete_log *log, uint64_t generation);

/* Adds a delete. `generation` is higher than those before. `digest` is of namespace and key, by a
 * seed that no client knows: otherwise clients could choose keys for one set. */
void delete_log_add(struct delete_log *log, uint64_t generation, uint64_t digest);

/* Returns true if the key was, or may have been, deleted after `generation`. */
bool delete_log_stale(const struct delete_log *log, uint64_t generation, uint64_t digest);

#endif
