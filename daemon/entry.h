/* entry.h - one stored result: the daemon's private books about it, and the bytes
 * that readers see, in the region. Owned by the store; valid until the next call that
 * changes the store (a get changes the order, not the entries), or as long as held. */
#ifndef FC_DAEMON_ENTRY_H
#define FC_DAEMON_ENTRY_H

#include <sys/uio.h>

#include "daemon/arena.h"
#include "daemon/lru.h"
#include "proto/key.h"
#include "proto/region.h"

struct heap;
struct namespace;

struct entry {
  struct lru_node in_all, in_namespace;
  struct fc_region_entry *placed; /* NULL: not yet */
  struct namespace *ns;           /* NULL: not in the store */
  uint64_t digest;                /* of the key in that namespace */
  uint64_t use_stamp;   /* rises with each use of any entry: unique, and the LRU order in numbers */
  uint64_t last_use_ns; /* the time of the call that put or last got it */
  uint64_t hits;        /* gets since it was put */
  arena_block block;    /* the first; those of pieces stand with them */
  uint32_t holders : 31; /* see entry_hold */
  uint32_t wipe : 1;     /* see entry_wipe */
  uint32_t number;       /* in the heap: the region leads back to the entry by it */
};

/* The store's own reference is the first; whoever sends a value from where it lies takes another,
 * so that it stays there through an eviction or a clear. With the last one go entry and bytes. */
void entry_hold(struct entry *entry);
void entry_release(struct entry *entry);

/* The store lets go. While others hold the entry its charge counts in the heap's unlisted_bytes. */
void entry_unlist(struct entry *entry);
/* Its bytes in the region are zeroed before they are free for others: when the last holder lets go.
 * For an entry that has left its chain, as clients may still map it. */
void entry_wipe(struct entry *entry);

/* The following read what is placed; names and values are borrowed. */
struct fc_key entry_key(const struct entry *entry);
uint32_t entry_value_size(const struct entry *entry);
uint64_t entry_compute_ns(const struct entry *entry);
uint32_t entry_origin(const struct entry *entry); /* low half of the number of the process that put
                                                     it, see processes.h */

/* The value's bytes in order. Returns how many pieces: 1 where it lies in one or is empty. */
size_t entry_value(const struct entry *entry, struct iovec pieces[FC_REGION_PIECES_MAX]);

/* The namespace's id and the key of what is placed: is it this one? */
bool entry_is(const struct fc_region_entry *placed, uint64_t name_space, const struct fc_key *key);

/* Has it that view and that op? A name that is none matches any. */
bool entry_matches(const struct entry *entry, struct fc_str view, struct fc_str op);

/* The entry of a list's node; NULL for NULL. */
struct entry *entry_of_all(struct lru_node *node);
struct entry *entry_of_namespace(struct lru_node *node);

#endif
