#include "daemon/store/store_clear.h"

#include <string.h>

/* Why in slices: to remove a million small entries took 0.4 s (nearly all of it cache misses), and
 * max_bytes may hold many millions. A slice of 1024 took 0.8 ms at worst; 2.5 ms beside other work,
 * where the entries were used in another order than they were put, and their books moved. To zero
 * 320 MB of large values took 25 ms: 0.3 ms for STORE_SLICE_BYTES, and 1.3 ms for one of 16 MB. */

static uint32_t newer(const struct store_clear *clear, const struct entry *entry) {
  return entry->lists[clear->ns == NULL ? LRU_OF_ALL : LRU_OF_NAMESPACE].newer;
}

static struct fc_str copy_name(struct fc_str name, char *data) {
  if (name.data == NULL)
    return name;
  memcpy(data, name.data, name.size);
  return (struct fc_str){data, name.size};
}

static void finish(struct store *store, struct store_clear *clear) {
  struct store_clear **link = &store->active_clears;
  while (*link != clear)
    link = &(*link)->next;
  *link = clear->next;
  store->n_active_clears--;
  clear->next = NULL;
  clear->at = 0;
  clear->finished = true;
}

static bool may_select(const struct store *store, const struct store_clear *clear) {
  if ((clear->ns == NULL ? store->entries : clear->ns->entries) == 0)
    return false;
  return store_counts_may_have(&store->counts, clear->ns == NULL ? 0 : clear->ns->seed, clear->view,
                               clear->op);
}

bool store_clear_start(struct store *store, struct store_clear *clear,
                       const struct store_select *select) {
  if (store->n_active_clears == STORE_CLEARS_MAX)
    return false;
  clear->removed = 0;
  clear->finished = false;
  clear->ns = select->ns;
  clear->view = copy_name(select->view, clear->view_data);
  clear->op = copy_name(select->op, clear->op_data);
  clear->last_stamp = store->last_stamp;
  clear->at = (select->ns == NULL ? &store->lru : &select->ns->lru)->oldest;
  clear->next = store->active_clears;
  store->active_clears = clear;
  store->n_active_clears++;
  store->generation++;
  clear_log_add(select->ns == NULL ? &store->clears : &select->ns->clears, store->generation,
                clear->view, clear->op);
  if (!may_select(store, clear))
    finish(store, clear);
  return true;
}

/* Is it this clear's to remove? Whatever it selects and was used since the
 * start was put since: the store removes a selected entry rather than use it. */
static bool selects(const struct store_clear *clear, const struct entry *entry) {
  const struct namespace *ns = entry_namespace(entry);
  return entry->use_stamp <= clear->last_stamp && (clear->ns == NULL || clear->ns == ns) &&
         !ns->condemned && entry_matches(entry, clear->view, clear->op);
}

bool store_clear_step(struct store *store, struct store_clear *clear, uint64_t max_entries) {
  if (clear->finished)
    return true;
  uint64_t erased_bytes = 0;
  for (; max_entries > 0 && erased_bytes < STORE_SLICE_BYTES && clear->at != 0; max_entries--) {
    struct entry *entry = heap_entry(&store->heap, clear->at);
    if (entry->use_stamp > clear->last_stamp) {
      clear->at = 0; /* the list is in the order of stamps: from here on all is new */
    } else if (selects(clear, entry)) {
      clear->removed++;
      erased_bytes += heap_charge_of(entry);
      store_erase(store, entry); /* moves `at` on */
    } else {
      clear->at = newer(clear, entry);
    }
  }
  if (clear->at == 0 || !may_select(store, clear))
    finish(store, clear);
  return clear->finished;
}

uint64_t store_clear_all(struct store *store, const struct store_select *select) {
  struct store_clear clear;
  if (!store_clear_start(store, &clear, select))
    return 0;
  while (!store_clear_step(store, &clear, UINT64_MAX))
    ;
  return clear.removed;
}

void store_clear_leave(struct store *store, const struct entry *entry) {
  for (struct store_clear *clear = store->active_clears; clear != NULL; clear = clear->next)
    if (clear->at == entry->number)
      clear->at = newer(clear, entry);
}

struct store_clear *store_clear_of(const struct store *store, const struct entry *entry) {
  struct store_clear *clear = store->active_clears;
  while (clear != NULL && !selects(clear, entry))
    clear = clear->next;
  return clear;
}

void store_clear_forget(struct store *store, const struct namespace *ns) {
  struct store_clear *clear = store->active_clears;
  while (clear != NULL) {
    struct store_clear *next = clear->next;
    if (clear->ns == ns)
      finish(store, clear);
    clear = next;
  }
}
