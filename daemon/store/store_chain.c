#include "daemon/store/store_chain.h"

static_assert(STORE_CHAIN_MAX < FC_REGION_CHAIN_MAX, "readers see the whole chain");

bool store_chain_has_room(const struct store *store, uint64_t digest) {
  const struct fc_region_entry *placed = region_first(store->region, digest);
  uint32_t n = 0;
  while (placed != NULL && n < STORE_CHAIN_MAX) {
    n++;
    placed = region_next(store->region, placed);
  }
  return n < STORE_CHAIN_MAX;
}

static struct entry *older_of(struct entry *a, struct entry *b) {
  return a == NULL || b->use_stamp < a->use_stamp ? b : a;
}

struct entry *store_chain_victim(const struct store *store, const struct namespace *ns,
                                 uint64_t digest) {
  struct entry *oldest = NULL, *own = NULL;
  const struct fc_region_entry *placed = region_first(store->region, digest);
  for (; placed != NULL; placed = region_next(store->region, placed)) {
    struct entry *entry = heap_entry_at(&store->heap, placed);
    oldest = older_of(oldest, entry);
    if (entry->name_space == ns->number)
      own = older_of(own, entry);
  }
  return own != NULL ? own : oldest;
}
