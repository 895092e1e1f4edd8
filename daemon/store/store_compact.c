#include "daemon/store/store_compact.h"

#include "daemon/store/store_clear.h"

/* For each entry that goes: one would do to keep up, on average, as at most seven eighths of a
 * chunk's entries have to move before it is free. */
enum { STEPS = 2 };

static bool move_entry(struct store *store) {
  struct heap *heap = &store->heap;
  uint32_t from, to;
  if (!slots_next_move(&heap->entries, &from, &to))
    return false;
  struct entry *entry = heap_entry(heap, to);
  *entry = *heap_entry(heap, from);
  entry->number = to;
  struct namespace *ns = heap_namespace(heap, entry->name_space);
  lru_renumber(&store->lru, LRU_OF_ALL, &heap->entries, from, to);
  lru_renumber(&ns->lru, LRU_OF_NAMESPACE, &heap->entries, from, to);
  for (struct store_clear *clear = store->active_clears; clear != NULL; clear = clear->next)
    if (clear->at == from)
      clear->at = to;
  heap_renumber(heap, from, to);
  return true;
}

void store_tidy(struct store *store) {
  for (int i = 0; i < STEPS && move_entry(store); i++)
    ;
  heap_tidy(&store->heap);
}
