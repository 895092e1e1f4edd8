#include "daemon/store/store_restore.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/check.h"
#include "proto/errors.h"

/* ---- inserting ---- */

/* Returns whether the limits leave room for an entry of `charge` in the place of `old` (or NULL).
 */
static bool fits(const struct store *store, const struct entry *old, uint64_t digest,
                 uint64_t charge) {
  uint64_t bytes = store->bytes - (old == NULL ? 0 : heap_charge_of(old));
  return charge <= store->max_bytes && bytes <= store->max_bytes - charge &&
         (old != NULL || store_chain_length(store, digest) < STORE_CHAIN_MAX);
}

/* Writes the value and adds it to index, lists and counts. A value in several pieces has a higher
 * charge than one in a single piece, so the limit is checked once more. */
static bool insert(struct store *store, struct namespace *ns, const struct heap_value *value,
                   const struct store_restore_info *info) {
  struct entry *entry = heap_entry_new(&store->heap);
  if (entry == NULL)
    return false;
  bool written = heap_write(&store->heap, entry, value, HEAP_COMPACT) &&
                 heap_charge_of(entry) <= store->max_bytes - store->bytes;
  if (written) {
    entry_set_stamp(entry, info->stamp);
    entry->last_use_ns = info->last_use_ns;
    entry->hits = info->hits < UINT32_MAX ? (uint32_t)info->hits : UINT32_MAX;
    bool opened = region_writer_open(store->region, value->digest);
    region_writer_link(store->region, value->digest, heap_placed(&store->heap, entry));
    if (opened)
      region_writer_close(store->region, value->digest);
    store_add(store, ns, entry);
  } else {
    heap_entry_release(&store->heap, entry); /* the store's reference */
  }
  entry_release(entry);
  return written;
}

int store_restore(struct store *store, struct namespace *ns, const struct fc_key *key,
                  const void *value, uint32_t size, const struct store_restore_info *info) {
  check_lt(0, info->stamp);
  check_eq(store->n_active_clears, 0);
  if (size > store->max_value || info->stamp >> ENTRY_STAMP_BITS != 0)
    return FC_ETOOBIG;
  if (ns->number == 0)
    ns->number = heap_add_namespace(&store->heap, ns);
  if (ns->number == 0)
    return FC_ENOMEM;
  struct entry *old = store_find(store, ns, info->digest, key);
  if (old != NULL && old->use_stamp >= info->stamp)
    return FC_KEPT;
  if (!fits(store, old, info->digest, heap_charge(key, size)))
    return FC_ENOMEM;
  if (old != NULL)
    store_remove(store, old);
  struct heap_value new_value = {.key = key,
                                 .name_space = ns->seed,
                                 .digest = info->digest,
                                 .data = value,
                                 .size = size,
                                 .compute_ns = info->compute_ns,
                                 .origin = info->origin};
  if (!insert(store, ns, &new_value, info))
    return FC_ENOMEM;
  if (store->saved->last_stamp < info->stamp)
    store->saved->last_stamp = info->stamp;
  return FC_STORED;
}

/* ---- sorting ----
 *
 * The entries are distributed to groups by their stamps, in two walks over the slots, and each
 * group is then sorted by itself. All but the walks touches the entries of one group at a time,
 * which the processor prefetches. Only the numbers of the entries are copied: 16 bytes an entry, as
 * for pairs of stamp and number, would exceed the memory that a start may take. */

#define GROUPS (1u << 16)
#define FEW_MAX 128u /* entries that are copied to be sorted */
#define HANDFUL 8u   /* entries for which insertion sort is the fastest */
#define PART_BITS 6u
#define PARTS (1u << PART_BITS)
#define PREFETCH 12u /* entries ahead */

struct order {
  struct store *store;
  uint64_t n;                /* entries */
  uint64_t duplicates;       /* stamps that are not unique */
  uint64_t first, last;      /* the lowest and the highest stamp */
  unsigned shift;            /* a group has the stamps that differ in so many low bits */
  uint32_t *numbers;         /* of the entries */
  uint64_t ends[GROUPS + 1]; /* index in `numbers` behind each group, while they are filled */
};

/* Calls `fn` for each entry of the store, in the order of slots. */
static void for_entries(struct order *order, void (*fn)(struct order *, const struct entry *)) {
  const struct slots *slots = &order->store->heap.entries;
  for (uint32_t chunk = 0; chunk < slots->n_chunks; chunk++) {
    if (slots->chunks[chunk] == NULL)
      continue;
    for (uint32_t i = 0; i < ENTRIES_PER_CHUNK; i++) {
      const struct entry *entry = slots_in(slots->chunks[chunk], ENTRY_BITS, i);
      if (entry->name_space != 0)
        fn(order, entry);
    }
  }
}

static void count_entry(struct order *order, const struct entry *entry) {
  order->n++;
  order->first = entry->use_stamp < order->first ? entry->use_stamp : order->first;
  order->last = entry->use_stamp > order->last ? entry->use_stamp : order->last;
}

static void choose_groups(struct order *order) {
  while (order->n > 0 && (order->last - order->first) >> order->shift >= GROUPS)
    order->shift++;
}

static uint64_t group_of(const struct order *order, uint64_t stamp) {
  return FC_CATALOG_MUTANT == 8 ? 0 : (stamp - order->first) >> order->shift;
}

static void count_in_group(struct order *order, const struct entry *entry) {
  order->ends[group_of(order, entry->use_stamp) + 1]++;
}

static void add_to_group(struct order *order, const struct entry *entry) {
  uint64_t at = order->ends[group_of(order, entry->use_stamp)]++;
  check_lt(at, order->n);
  order->numbers[at] = entry->number;
}

static uint64_t stamp_of(const struct order *order, uint32_t number) {
  return heap_entry(&order->store->heap, number)->use_stamp;
}

static void prefetch_entry(const struct order *order, uint64_t at) {
  if (at < order->n)
    __builtin_prefetch(heap_entry(&order->store->heap, order->numbers[at]), 1);
}

/* Sorts pairs of stamp and number, which may be nearly sorted. */
static void insertion_sort(uint64_t *stamps, uint32_t *numbers, uint64_t n) {
  for (uint64_t i = 1; i < n; i++) {
    uint64_t stamp = stamps[i], at = i;
    uint32_t number = numbers[i];
    for (; at > 0 && stamps[at - 1] > stamp; at--) {
      stamps[at] = stamps[at - 1];
      numbers[at] = numbers[at - 1];
    }
    stamps[at] = stamp;
    numbers[at] = number;
  }
}

/* Sorts few entries, whose stamps are at least `first` and differ in `shift` low bits. Distributes
 * more than a handful by the highest of these bits, after which the order is nearly right. */
static void sort_few(const struct order *order, uint32_t *numbers, uint64_t n, uint64_t first,
                     unsigned shift) {
  uint64_t stamps[FEW_MAX], parted[FEW_MAX];
  uint32_t from[FEW_MAX];
  uint8_t ends[PARTS + 1] = {0};
  unsigned low = shift > PART_BITS ? shift - PART_BITS : 0;
  check_le(n, FEW_MAX);
  for (uint64_t i = 0; i < n; i++)
    stamps[i] = stamp_of(order, numbers[i]);
  if (n <= HANDFUL) {
    insertion_sort(stamps, numbers, n);
    return;
  }
  for (uint64_t i = 0; i < n; i++)
    ends[((stamps[i] - first) >> low) + 1]++;
  for (unsigned part = 0; part < PARTS; part++)
    ends[part + 1] = (uint8_t)(ends[part + 1] + ends[part]);
  memcpy(from, numbers, n * sizeof from[0]);
  for (uint64_t i = 0; i < n; i++) {
    uint8_t at = ends[(stamps[i] - first) >> low]++;
    parted[at] = stamps[i];
    numbers[at] = from[i];
  }
  insertion_sort(parted, numbers, n);
}

/* Sorts entries whose stamps are at least `first` and differ in `shift` low bits. Halves the span
 * of the stamps until few entries are left, so it is at most 64 deep. */
static void sort(const struct order *order, uint32_t *numbers, uint64_t n, uint64_t first,
                 unsigned shift) {
  if (n <= FEW_MAX) {
    sort_few(order, numbers, n, first, shift);
    return;
  }
  if (shift == 0)
    return;
  uint64_t middle = first + (UINT64_C(1) << (shift - 1)), low = 0, high = n;
  while (low < high) {
    if (stamp_of(order, numbers[low]) < middle) {
      low++;
    } else {
      uint32_t number = numbers[low];
      numbers[low] = numbers[--high];
      numbers[high] = number;
    }
  }
  sort(order, numbers, low, first, shift - 1);
  sort(order, numbers + low, n - low, middle, shift - 1);
}

/* Adds an entry as the newest of its two orders. Returns whether the one before has its stamp. */
static bool link_newest(struct store *store, struct entry *entry) {
  bool duplicate = store->lru.newest != 0 &&
                   heap_entry(&store->heap, store->lru.newest)->use_stamp == entry->use_stamp;
  struct namespace *ns = heap_namespace(&store->heap, entry->name_space);
  struct lru *orders[LRU_KINDS] = {[LRU_OF_ALL] = &store->lru, [LRU_OF_NAMESPACE] = &ns->lru};
  for (size_t kind = 0; kind < LRU_KINDS; kind++) {
    struct lru *lru = orders[kind];
    entry->lists[kind] = (struct lru_node){.older = lru->newest};
    if (lru->newest == 0)
      lru->oldest = entry->number;
    else
      heap_entry(&store->heap, lru->newest)->lists[kind].newer = entry->number;
    lru->newest = entry->number;
  }
  return duplicate;
}

/* Sorts each group and links its entries, while they are in the processor's cache. */
static void sort_groups(struct order *order) {
  struct store *store = order->store;
  store->lru = (struct lru){0};
  for (uint32_t number = 1; number < store->heap.n_namespaces; number++)
    if (heap_namespace(&store->heap, number) != NULL)
      heap_namespace(&store->heap, number)->lru = (struct lru){0};
  for (uint64_t i = 0; i < PREFETCH; i++)
    prefetch_entry(order, i);
  uint64_t at = 0;
  for (uint32_t group = 0; group < GROUPS; group++) {
    uint64_t end = order->ends[group]; /* add_to_group moved it behind the group */
    for (uint64_t i = at; i < end; i++)
      prefetch_entry(order, i + PREFETCH);
    uint64_t first = order->first + ((uint64_t)group << order->shift);
    if (FC_CATALOG_MUTANT != 8)
      sort(order, order->numbers + at, end - at, first, order->shift);
    for (; at < end; at++)
      order->duplicates += link_newest(store, heap_entry(&store->heap, order->numbers[at]));
  }
  check_eq(at, order->n);
}

int store_sort_lru(struct store *store, uint64_t *duplicates) {
  struct order *order = calloc(1, sizeof *order);
  if (order == NULL)
    return FC_ENOMEM;
  order->store = store;
  order->first = UINT64_MAX;
  for_entries(order, count_entry);
  choose_groups(order);
  order->numbers = calloc(order->n + 1, sizeof(uint32_t));
  int rc = order->numbers == NULL ? FC_ENOMEM : 0;
  if (rc == 0) {
    for_entries(order, count_in_group);
    for (uint32_t group = 0; group < GROUPS; group++)
      order->ends[group + 1] += order->ends[group];
    for_entries(order, add_to_group);
    sort_groups(order);
    if (duplicates != NULL)
      *duplicates = order->duplicates;
  }
  free(order->numbers);
  free(order);
  return rc;
}
