/* store.h - the cache: entries by key, in exact LRU order, within three limits:
 * each namespace's max_entries and max_bytes, and max_bytes over all of them.
 *
 * Values are copied in; an entry that is handed out is borrowed until the next
 * call that may change the store (put, clear, drop, trim). The time is an
 * argument, from a clock that does not go back. One thread.
 *
 * An entry's bytes lie in the region, where clients read them; the store decides
 * which are there, and its index is the region's. The number of buckets is fixed, by
 * max_bytes, and never rehashed: rehashing would stall every client at the worst
 * moment. */
#ifndef FC_DAEMON_STORE_H
#define FC_DAEMON_STORE_H

#include "daemon/region/entry.h"
#include "daemon/region/heap.h"
#include "daemon/region/lru.h"
#include "daemon/store/clear_log.h"
#include "daemon/store/namespace.h"
#include "daemon/store/store_counts.h"
#include "proto/wire/message.h"

struct store_clear;

/* Entries that are put, removed or evicted in one go: more take too long for one turn of a loop
 * that serves others (store_clear.c has the figures). */
#define STORE_SLICE 1024u
/* Bytes (of their charge) of entries that are zeroed in one go, but for the last entry, which takes
 * less time than it took to put it: less than a millisecond. */
#define STORE_SLICE_BYTES (4u << 20)

/* Clears that may run at once: each get, put and eviction looks at all of them. */
#define STORE_CLEARS_MAX 16u

/* What the store wants back of the entries that are held (entry_hold). */
enum store_reclaim {
  STORE_RECLAIM_UNLISTED, /* of those that left the store, what is over unlisted_max */
  STORE_RECLAIM_SLOW,     /* all, of holders that are slow: they leave no place for a new entry */
  STORE_RECLAIM_ALL,      /* all, as nothing else is left */
};

struct store {
  /* read by all, written by the store alone */
  uint64_t max_bytes;
  uint32_t max_value; /* largest value, bytes */
  uint64_t entries;
  uint64_t bytes;                   /* charge of all entries; at most max_bytes between calls */
  uint64_t evictions[EVICT_CAUSES]; /* entries, by cause */
  uint64_t generation;              /* of clears; never 0; what replies carry as clear_generation */
  /* Called before victims are chosen, wherever some are needed: hits that the order does not know
   * yet are to be told now (store_use). It may change nothing else. NULL: none. */
  void (*before_evict)(void *arg);
  void *before_evict_arg;
  /* Called from within calls that remove or place entries: holders are to release some. It may
   * change nothing else. NULL: none. */
  void (*reclaim)(void *arg, enum store_reclaim what);
  void *reclaim_arg;
  uint64_t unlisted_max;

  /* the store's own */
  uint64_t seed;         /* of the namespaces' seeds: clients know those, and so this one */
  struct region *region; /* borrowed */
  struct heap heap;
  uint64_t last_stamp;
  struct lru lru;
  struct clear_log clears;           /* those of all namespaces */
  struct store_clear *active_clears; /* started and not finished: at most STORE_CLEARS_MAX */
  unsigned n_active_clears;
  struct store_counts counts; /* of the entries that are there, doomed or not */
};

struct store_put_info {
  uint32_t origin; /* of whose process it is, for shared_hits: see entry_origin */
  uint64_t compute_ns;
  uint64_t now_ns;
  bool keep_first;     /* an entry that is there stays, and is promoted */
  bool has_generation; /* the state of the clears when the computation began is known: */
  uint64_t generation;
};

/* The region is one for `max_bytes`, and outlives the store. Two random numbers: `seed` keys the
 * digests, and each client can work it out from its namespace's id; `secret` keys what no client
 * may predict. The struct must not be moved after. 0 or FC_ENOMEM. */
int store_init(struct store *store, struct region *region, uint64_t max_bytes, uint32_t max_value,
               uint64_t seed, uint64_t secret);

/* Frees the entries; after the namespaces were (namespace_table_deinit). */
void store_deinit(struct store *store);

/* Finds, and changes neither order nor figures, so that a get that has to wait can be made again;
 * NULL for a miss. */
struct entry *store_peek(const struct store *store, const struct namespace *ns,
                         const struct fc_key *key);

/* The same for a digest that is known, fc_key_digest(ns->seed, key); a wrong one finds
 * nothing, or still that key. */
struct entry *store_peek_digest(const struct store *store, const struct namespace *ns,
                                uint64_t digest, const struct fc_key *key);

/* For who looks up many by hints, which may be anything (the upper half of an entry's `origin`):
 * the first asks the memory for the entry's books, and waits for nothing; the second gives the
 * entry, where the hint still leads to that digest in the namespace, and asks for what store_use
 * writes beside it. NULL: look it up. */
void store_prefetch(const struct store *store, uint32_t hint);
struct entry *store_peek_hint(const struct store *store, const struct namespace *ns, uint32_t hint,
                              uint64_t digest);

/* Makes an entry that store_peek has found the most recently used, and counts the hit: together
 * they are a get. */
void store_use(struct store *store, struct entry *entry, uint64_t now_ns);

/* An enum fc_put_outcome:
 *   FC_STORED  stored or replaced (a replaced entry's hits start at 0 again), now the most
 *              recently used; for it entries went from the least recently used end, first the
 *              namespace's until its max_entries and its max_bytes held, then all until max_bytes
 *              held; and one of its bucket, where that is full (store_chain.h);
 *   FC_KEPT    keep_first, and the key was there: it was promoted, its value stays;
 *   FC_STALE   the key was cleared after info->generation: nothing changed;
 *   FC_ETOOBIG the value is over max_value, or its charge alone over a max_bytes: nothing changed,
 *              an entry of that key included;
 *   FC_ENOMEM  nothing is stored; others, and an entry of that key, may be gone. */
int store_put(struct store *store, struct namespace *ns, const struct fc_key *key,
              const void *value, uint32_t size, const struct store_put_info *info);

/* Before a put, in a turn that others share: true, or false where STORE_SLICE entries have gone for
 * the put and more have to. A large value may need the room of 100,000 small ones. */
bool store_put_has_room(struct store *store, struct namespace *ns, const struct fc_key *key,
                        uint32_t size, const struct store_put_info *info);

/* Limits a namespace to `max_entries` (positive), evicting from its least recently used end, up to
 * STORE_SLICE entries a call. True: that is the limit now. Else it is lower than it was, and holds,
 * and the call is to be made again. */
bool store_limit(struct store *store, struct namespace *ns, uint64_t max_entries);
/* The same for the charge of its entries: `max_bytes` (positive). */
bool store_limit_bytes(struct store *store, struct namespace *ns, uint64_t max_bytes);

/* Takes every entry of a namespace out of sight at once, and ends the clears of it. They go,
 * uncounted, by calls of store_drop_step; until it returns true they still count in `entries`
 * and `bytes`, and the namespace must stand. */
void store_drop_start(struct store *store, struct namespace *ns);

/* Removes up to `max_entries` of them, and zeroes their bytes in the region where `wipe`: then up
 * to STORE_SLICE_BYTES. True: none is left. */
bool store_drop_step(struct store *store, struct namespace *ns, uint64_t max_entries, bool wipe);

/* The least and the most recently used of a namespace, or of all (NULL), and the neighbours of an
 * entry in that order. NULL: there is none. */
struct entry *store_oldest(const struct store *store, const struct namespace *ns);
struct entry *store_newest(const struct store *store, const struct namespace *ns);
struct entry *store_newer(const struct store *store, const struct namespace *ns,
                          const struct entry *entry);
struct entry *store_older(const struct store *store, const struct namespace *ns,
                          const struct entry *entry);

/* For the store's own files: takes the entry out of everything, and frees it. Others may get
 * another number and place. The second zeroes its bytes in the region too, at once or when the last
 * sender lets go (entry_wipe): every entry that a clear or a drop has taken out of sight goes so.
 */
void store_remove(struct store *store, struct entry *entry);
void store_erase(struct store *store, struct entry *entry);

/* What entries take that left the store while they were held. */
static inline uint64_t store_unlisted_bytes(const struct store *store) {
  return store->heap.unlisted_bytes;
}

/* Is the entry out of sight: in a dropped namespace, or selected by a clear that has not come
 * to it yet? It is found by no get, put or list. */
bool store_is_doomed(const struct store *store, const struct entry *entry);

#endif
