/* store_entries.h - the entries of the store: finds them by key, keeps their LRU order, and counts
 * them and their charge. It knows no limits: store.h decides on puts and evictions, and
 * store_clear.h on clears. Other directories call the functions up to the line below, and the
 * files of the store call all of them.
 *
 * The index is the region's. Its number of buckets is fixed by max_bytes, and it is never rehashed.
 * One thread. */
#ifndef FC_DAEMON_STORE_ENTRIES_H
#define FC_DAEMON_STORE_ENTRIES_H

#include "daemon/region/entry.h"
#include "daemon/region/heap.h"
#include "daemon/store/clear_log.h"
#include "daemon/store/delete_log.h"
#include "daemon/store/namespace.h"
#include "daemon/store/store_saved.h"
#include "proto/wire/message.h"

/* Bounds a chain of the index. A client knows its namespace's seed and chooses its keys, so it can
 * make many that share a bucket, and each get, put and eviction there walks the chain. A put into a
 * full chain evicts an entry of it first. Honest keys hardly ever reach the bound: with 5 small
 * entries a bucket on average, a bucket has 32 with a probability of 7e-16. A walk over a full
 * chain takes 3 us at worst, and readers walk much longer chains (FC_REGION_CHAIN_MAX). */
#define STORE_CHAIN_MAX 32u
static_assert(STORE_CHAIN_MAX < FC_REGION_CHAIN_MAX, "readers see the whole chain");

/* Requests of the store to the holders of entries (entry_hold). */
enum store_reclaim {
  STORE_RECLAIM_UNLISTED, /* release entries that left the store until unlisted_max holds */
  STORE_RECLAIM_SLOW,     /* slow holders release all: their entries leave no hole for a new one */
  STORE_RECLAIM_ALL,      /* release all: the store has no other entry left */
};

/* Counts the entries by view and op, so that a clear that selects nothing is known at once. Its
 * size is fixed: names share counters by their hashes, so a counter may be too high, and 0 is
 * exact. The seed of the hashes is secret, so no client can choose names that share a counter. */
#define STORE_NAME_COUNTERS 16384u /* a power of two */
struct store_name_counts {
  uint64_t seed;
  uint32_t counts[STORE_NAME_COUNTERS];
};

/* Selects entries, to clear or to list them. */
struct store_select {
  struct namespace *ns;    /* NULL: all */
  struct fc_str view, op;  /* without data: any */
  uint64_t min_compute_ns; /* of listings: only entries that took as long. 0: all */
};

/* One clear. The caller owns the memory, and keeps it in place until the clear is finished. */
struct store_clear {
  uint64_t removed; /* entries, so far */
  bool finished;
  /* private to the store */
  struct store_clear *next;
  struct saved_clear *saved; /* in the catalog */
  struct namespace *ns;      /* NULL: all */
  uint64_t last_stamp;       /* entries with a later stamp were put after the start */
  uint32_t at;               /* number of the next entry to examine, from the oldest on */
  struct fc_str view, op;    /* point into the two below */
  char view_data[FC_NAME_MAX], op_data[FC_NAME_MAX];
};

/* Entries that were in the memory of an earlier daemon, and were not taken over, by cause. */
enum adopt_cause {
  ADOPT_DAMAGED, /* their bytes do not agree with their digest or checksum, or their metadata makes
                    no sense */
  ADOPT_DUPLICATE, /* their key has a newer entry, or they were in two slots */
  ADOPT_UNMAPPED,  /* their region was not among the descriptors */
  ADOPT_NO_ROOM,   /* of more than ADOPT_REGIONS_MAX regions, or no memory was left */
  ADOPT_CAUSES
};

/* The migration of entries from sources to the region, in slices. */
struct store_migration {
  uint64_t adopted, dropped[ADOPT_CAUSES]; /* entries, by this daemon */
  bool paused; /* set by the server: the memory of a released file is not free yet */
  /* private to store_migrate.c */
  uint32_t source, segment, slot; /* the position */
  uint64_t unmapped;              /* bytes of the segment, after the walk */
  bool begun;                     /* the segment is being walked: */
  bool blocked;                   /* one of its entries is held, or found no room */
  bool waiting;          /* all segments are blocked; a removed or released entry ends it */
  uint64_t releases;     /* of held entries in sources, when the wait began */
  bool active, must_end; /* not to be called again; entries without room are dropped */
  uint64_t blocked_segments[CATALOG_REGIONS_MAX]; /* bits: left for later */
  struct store_clear *clears;                     /* of the earlier daemon, allocated; NULL: none */
  unsigned n_clears;
};

struct store {
  /* read by all, written by the store */
  uint64_t max_bytes;
  uint32_t max_value; /* of one value, bytes */
  uint64_t entries;
  uint64_t bytes;            /* charge of all entries; at most max_bytes between calls */
  struct store_saved *saved; /* generation, evictions and more; in the catalog */
  /* Called before victims are selected, to report recorded hits by store_use. It must change
   * nothing else. NULL: none. */
  void (*before_evict)(void *arg);
  void *before_evict_arg;
  /* Called for each entry that is evicted, before it is removed. It must change nothing. NULL:
   * none.
   */
  void (*on_evict)(void *arg, const struct namespace *ns, const struct entry *entry,
                   enum evict_cause cause);
  void *on_evict_arg;
  /* Called while entries are removed or written, to release held entries. It must change nothing
   * else. NULL: none. */
  void (*reclaim)(void *arg, enum store_reclaim what);
  void *reclaim_arg;
  uint64_t unlisted_max;
  bool keep_slots; /* entries keep their numbers, because a snapshot walks over them */
  /* Called when a segment of an earlier region is given up: it is of no use to a next daemon. The
   * descriptor is closed already. NULL: none. */
  void (*segment_released)(void *arg, uint64_t boot_id, uint32_t segment);
  void *segment_released_arg;
  /* Called when a resize has replaced the region, or has failed with that error. NULL: none. */
  void (*region_replaced)(void *arg, int rc, const struct error_text *error);
  void *region_replaced_arg;

  /* private to the store */
  struct region *region; /* borrowed, as is the catalog */
  struct catalog *catalog;
  struct heap heap;
  struct lru lru;
  struct store_clear *active_clears; /* started and not finished */
  unsigned n_active_clears;
  struct delete_log deletes;            /* of single keys, of all namespaces */
  struct store_name_counts name_counts; /* of all entries, also those that are pending delete */
  struct {
    uint64_t max_bytes, region_id; /* 0: no resize is in progress */
    bool waiting;                  /* for entries of a chunk that are held: */
    uint32_t chunk;
  } resize;
  struct store_migration migration; /* of entries in sources (adopt.h) */
};

/* Returns the entry of a key, or NULL for a miss. Changes neither order nor counters, so that a get
 * that waits can be repeated. The entry is borrowed until the next call that may change the store
 * (put, clear, drop, limit). */
struct entry *store_peek(const struct store *store, const struct namespace *ns,
                         const struct fc_key *key);

/* Does the same for a known digest, fc_key_digest(ns->seed, key). A wrong one finds nothing, or
 * still that key. */
struct entry *store_peek_digest(const struct store *store, const struct namespace *ns,
                                uint64_t digest, const struct fc_key *key);

/* Loads the chains of up to STORE_PREFETCH_MAX digests into the processor's cache, all at the same
 * time. Lookups and puts of these keys that follow soon do not wait for one line after the other.
 */
#define STORE_PREFETCH_MAX 32u
void store_prefetch_chains(const struct store *store, const uint64_t *digests, size_t n);

/* Look up many entries by hints, which may be any number: the upper half of an entry's `origin`.
 * The first call prefetches the entry's metadata. The second returns the entry if the hint leads to
 * that digest in the namespace, and prefetches what store_use writes; else it returns NULL, and the
 * caller looks up the key. */
void store_prefetch(const struct store *store, uint32_t hint);
struct entry *store_peek_hint(const struct store *store, const struct namespace *ns, uint32_t hint,
                              uint64_t digest);

/* Promotes an entry that was found, and counts the hit. */
void store_use(struct store *store, struct entry *entry, uint64_t now_ns);

/* Return the ends of an LRU order, of a namespace or of all (NULL), and the neighbours of an entry
 * in it; NULL if there is none. */
struct entry *store_oldest(const struct store *store, const struct namespace *ns);
struct entry *store_newest(const struct store *store, const struct namespace *ns);
struct entry *store_newer(const struct store *store, const struct namespace *ns,
                          const struct entry *entry);
struct entry *store_older(const struct store *store, const struct namespace *ns,
                          const struct entry *entry);

/* Returns true if no get, put or list finds the entry any more: its namespace is dropped, or an
 * active clear selects it. */
bool store_is_pending_delete(const struct store *store, const struct entry *entry);

/* Returns the charge of entries that left the store while they were held. */
static inline uint64_t store_unlisted_bytes(const struct store *store) {
  return store->heap.unlisted_bytes;
}

/* Aborts unless lists, index, counts, charges and metadata agree. For tests: it walks all entries.
 */
void store_check(const struct store *store);

/* ---- for the files of the store ---- */

/* Sets up everything but the limits. Returns 0 or FC_ENOMEM. */
int store_entries_init(struct store *store, struct region *region, struct catalog *catalog,
                       uint64_t seed, uint64_t secret);
void store_entries_deinit(struct store *store);

/* Finds an entry for a put. If a clear selects it, removes it for the clear and returns NULL: what
 * is stored afterwards is newer than the clear. */
struct entry *store_find(struct store *store, const struct namespace *ns, uint64_t digest,
                         const struct fc_key *key);

/* Makes an entry the most recently used. */
void store_promote(struct store *store, struct entry *entry, uint64_t now_ns);

/* Adds a written entry to the lists and counts, as the most recently used. The caller links it. */
void store_add(struct store *store, struct namespace *ns, struct entry *entry);

/* Removes an entry that the caller took out of its chain from the lists and counts, and releases
 * it. Then compacts the metadata a little, so entries that are not held may move. */
void store_unlist(struct store *store, struct entry *entry);

/* Removes an entry from its chain and everything else, as store_unlist does. */
void store_remove(struct store *store, struct entry *entry);
/* Does the same, and zeroes the entry's bytes (entry_wipe), as every clear and drop must. */
void store_erase(struct store *store, struct entry *entry);

/* Returns how many entries the bucket of a digest has. Stops at STORE_CHAIN_MAX. */
uint32_t store_chain_length(const struct store *store, uint64_t digest);
/* Returns the least recently used entry of a full chain, of namespace `ns` if there is one, so that
 * clients that fill a bucket harm their own namespace. */
struct entry *store_chain_victim(const struct store *store, const struct namespace *ns,
                                 uint64_t digest);

/* Returns true if an active clear must remove the entry. */
bool store_is_selected(const struct store *store, const struct store_clear *clear,
                       const struct entry *entry);
/* Returns an active clear that selects the entry, or NULL. */
struct store_clear *store_clear_of(const struct store *store, const struct entry *entry);

/* Finds the entry of a key that lies in the region, or NULL. */
struct entry *store_find_in_region(const struct store *store, const struct namespace *ns,
                                   uint64_t digest, const struct fc_key *key);

/* Finds the entry of a digest with that stamp, which is unique. Returns NULL if there is none. */
struct entry *store_find_stamp(const struct store *store, uint64_t digest, uint64_t stamp);

/* Adds the entry to the counts by view and op. */
void store_count_names(struct store *store, const struct namespace *ns, const struct entry *entry);

/* Returns false if no entry has the clear's names in its namespace. */
bool store_may_select(const struct store *store, const struct store_clear *clear);

static inline void store_reclaim(const struct store *store, enum store_reclaim what) {
  if (store->reclaim != NULL)
    store->reclaim(store->reclaim_arg, what);
}

#endif
