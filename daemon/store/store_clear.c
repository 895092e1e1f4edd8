#include "daemon/store/store_clear.h"

#include <string.h>

#include "daemon/base/check.h"

/* To remove a million small entries took 0.4 s, nearly all of it cache misses, and max_bytes may
 * hold many millions. A slice of 1,024 took 0.8 ms at worst, and 2.5 ms beside other work, where
 * the entries were used in another order than they were put and their metadata moved. To zero 320
 * MB of large values took 25 ms: 0.3 ms for STORE_SLICE_BYTES, and 1.3 ms for one value of 16 MB.
 */

static struct fc_str copy_name(struct fc_str name, char *data) {
  if (name.data == NULL)
    return name;
  check_le(name.size, FC_NAME_MAX);
  memcpy(data, name.data, name.size);
  return (struct fc_str){data, name.size};
}

static void finish(struct store *store, struct store_clear *clear) {
  struct store_clear **link = &store->active_clears;
  check_lt(0, store->n_active_clears);
  assert(!clear->finished);
  while (*link != clear)
    link = &(*link)->next;
  *link = clear->next;
  store->n_active_clears--;
  catalog_commit_u32(&clear->saved->in_use, 0); /* its entries are dead */
  clear->next = NULL;
  clear->at = 0;
  clear->finished = true;
  check_eq(store->n_active_clears == 0, store->active_clears == NULL);
}

/* Saves the clear for the next daemon, which finishes it. It is saved before any client can know of
 * it, and before its generation is. */
static void save(struct store *store, struct store_clear *clear) {
  struct saved_clear *saved = store->saved->active_clears;
  while (saved->in_use != 0)
    saved++;
  check_lt(saved - store->saved->active_clears, (ptrdiff_t)STORE_CLEARS_MAX);
  *saved = (struct saved_clear){.name_space = clear->ns == NULL ? 0 : clear->ns->number,
                                .seed = clear->ns == NULL ? 0 : clear->ns->seed,
                                .last_stamp = clear->last_stamp,
                                .any_view = clear->view.data == NULL,
                                .any_op = clear->op.data == NULL,
                                .view_size = (uint16_t)clear->view.size,
                                .op_size = (uint16_t)clear->op.size};
  memcpy(saved->view, clear->view_data, clear->view.size);
  memcpy(saved->op, clear->op_data, clear->op.size);
  clear->saved = saved;
  if (FC_CATALOG_MUTANT != 11)
    catalog_commit_u32(&saved->in_use, 1);
}

static void begin(struct store *store, struct store_clear *clear) {
  clear->at = (clear->ns == NULL ? &store->lru : &clear->ns->lru)->oldest;
  clear->next = store->active_clears;
  store->active_clears = clear;
  store->n_active_clears++;
  store->saved->generation++;
  clear_log_add(clear->ns == NULL ? &store->saved->clears : &clear->ns->clears,
                store->saved->generation, clear->view, clear->op);
}

bool store_clear_start(struct store *store, struct store_clear *clear,
                       const struct store_select *select) {
  check_le(store->n_active_clears, STORE_CLEARS_MAX);
  if (store->n_active_clears == STORE_CLEARS_MAX)
    return false;
  clear->removed = 0;
  clear->finished = false;
  clear->ns = select->ns;
  clear->view = copy_name(select->view, clear->view_data);
  clear->op = copy_name(select->op, clear->op_data);
  clear->last_stamp = store->saved->last_stamp;
  save(store, clear);
  begin(store, clear);
  if (!store_may_select(store, clear))
    finish(store, clear);
  return true;
}

void store_clear_resume(struct store *store, struct store_clear *clear) {
  begin(store, clear);
}

bool store_clear_step(struct store *store, struct store_clear *clear, uint64_t max_entries) {
  if (clear->finished)
    return true;
  uint64_t erased_bytes = 0, last_stamp = 0;
  for (; max_entries > 0 && erased_bytes < STORE_SLICE_BYTES && clear->at != 0; max_entries--) {
    struct entry *entry = heap_entry(&store->heap, clear->at);
    check_lt(last_stamp, entry->use_stamp);
    last_stamp = entry->use_stamp;
    if (entry->use_stamp > clear->last_stamp) {
      clear->at = 0; /* the list is in the order of stamps, so all that follow are newer */
    } else if (store_is_selected(store, clear, entry)) {
      clear->removed++;
      erased_bytes += heap_charge_of(entry);
      store_erase(store, entry); /* advances `at` */
    } else {
      const struct entry *newer = store_newer(store, clear->ns, entry);
      clear->at = newer == NULL ? 0 : newer->number;
    }
  }
  if (clear->at == 0 || !store_may_select(store, clear))
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

void store_clear_forget(struct store *store, const struct namespace *ns) {
  struct store_clear *clear = store->active_clears;
  while (clear != NULL) {
    struct store_clear *next = clear->next;
    if (clear->ns == ns)
      finish(store, clear);
    clear = next;
  }
}
