/* entry.h - one stored result: a single allocation with bookkeeping, names and
 * value. Owned by the store; valid until the next call that changes the store
 * (a get changes the order, not the entries). */
#ifndef FC_DAEMON_ENTRY_H
#define FC_DAEMON_ENTRY_H

#include "daemon/lru.h"
#include "proto/key.h"

struct namespace;

struct entry {
  struct entry *chain; /* next in its bucket */
  struct lru_node in_all, in_namespace;
  struct namespace *ns;
  uint64_t digest;      /* of the key, by the namespace's seed */
  uint64_t use_stamp;   /* rises with each use of any entry: unique, and the LRU order in numbers */
  uint64_t client_id;   /* who put it */
  uint64_t compute_ns;  /* what it cost to compute */
  uint64_t last_use_ns; /* the time of the call that put or last got it */
  uint64_t hits;        /* gets since it was put */
  struct fc_hash prompt;
  uint32_t top_k;
  uint32_t value_size;
  uint32_t holders; /* see entry_hold */
  uint8_t op_size, view_size;
  uint8_t data[]; /* op, view, value */
};

/* Copies all; names are valid, their sizes at most FC_NAME_MAX. NULL where out of memory.
 * What is not an argument is zero. */
struct entry *entry_new(const struct fc_key *key, const void *value, uint32_t size);

/* The store's own reference is the first; whoever sends a value from where it stands takes another,
 * so that an eviction or a clear in between leaves the bytes in place. The last one frees. */
void entry_hold(struct entry *entry);
void entry_release(struct entry *entry);

/* The key and the value, borrowed from the entry. */
struct fc_key entry_key(const struct entry *entry);
const uint8_t *entry_value(const struct entry *entry);

bool entry_has_key(const struct entry *entry, const struct fc_key *key);

/* Has it that view and that op? A name that is none matches any. */
bool entry_matches(const struct entry *entry, struct fc_str view, struct fc_str op);

/* What an entry counts against max_bytes: the struct, the names and the value,
 * rounded up to 16, and 16 for the allocator. A rule, not a measurement, so
 * that the same calls always evict the same entries; it is at least what glibc
 * spends on all but the blocks that it maps one by one (over 128 KiB, where it
 * may spend up to a page more). */
uint64_t entry_charge(const struct fc_key *key, uint64_t value_size);
uint64_t entry_charge_of(const struct entry *entry);

/* Overwrites the value with another of the same size. */
void entry_set_value(struct entry *entry, const void *value);

struct entry *entry_of_all(struct lru_node *node);       /* node: &entry->in_all, or NULL */
struct entry *entry_of_namespace(struct lru_node *node); /* node: &entry->in_namespace, or NULL */

#endif
