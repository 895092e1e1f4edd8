#include "daemon/store/store_list.h"

#include <string.h>

#include "proto/errors.h"

static void write_u64(uint8_t *to, uint64_t value) {
  for (int i = 0; i < 8; i++)
    to[i] = (uint8_t)(value >> (56 - 8 * i));
}

static uint64_t read_u64(const uint8_t *from) {
  uint64_t value = 0;
  for (int i = 0; i < 8; i++)
    value = value << 8 | from[i];
  return value;
}

void store_cursor_encode(const struct store_cursor *cursor, uint8_t bytes[STORE_CURSOR_SIZE]) {
  write_u64(bytes, cursor->stamp);
  write_u64(bytes + 8, cursor->digest);
  write_u64(bytes + 16, cursor->below);
}

int store_cursor_decode(struct store_cursor *cursor, const uint8_t *bytes, size_t size) {
  *cursor = (struct store_cursor){0};
  if (size == 0)
    return 0;
  if (size != STORE_CURSOR_SIZE)
    return FC_EINVAL;
  cursor->stamp = read_u64(bytes);
  cursor->digest = read_u64(bytes + 8);
  cursor->below = read_u64(bytes + 16);
  return 0;
}

/* Returns true if the entry is selected, whatever namespace it is in. */
static bool matches(const struct store *store, const struct store_select *select,
                    const struct entry *entry) {
  return (select->min_compute_ns == 0 || entry_compute_ns(entry) >= select->min_compute_ns) &&
         entry_matches(entry, select->view, select->op) && !store_is_pending_delete(store, entry);
}

/* Returns the first entry that the page examines. */
static const struct entry *resume(const struct store *store, const struct store_select *select,
                                  const struct store_cursor *cursor) {
  if (cursor->stamp != 0) {
    const struct entry *entry = store_find_stamp(store, cursor->digest, cursor->stamp);
    if (entry != NULL && (select->ns == NULL || entry_namespace(entry) == select->ns))
      return store_older(store, select->ns, entry);
  }
  return store_newest(store, select->ns);
}

bool store_list(const struct store *store, const struct store_select *select, uint32_t limit,
                uint64_t max_examined, struct store_cursor *cursor, store_list_fn *emit,
                void *arg) {
  const struct entry *entry = resume(store, select, cursor);
  for (; entry != NULL; entry = store_older(store, select->ns, entry)) {
    bool shown =
        (cursor->below == 0 || entry->use_stamp < cursor->below) && matches(store, select, entry);
    if (max_examined == 0 || (shown && (limit == 0 || !emit(arg, entry))))
      return true;
    max_examined--;
    limit -= shown ? 1 : 0;
    cursor->stamp = entry->use_stamp;
    cursor->digest = entry->digest;
    if (cursor->below == 0 || entry->use_stamp < cursor->below)
      cursor->below = entry->use_stamp;
  }
  *cursor = (struct store_cursor){0};
  return false;
}

static bool is_listed(const struct store *store, const struct store_select *select,
                      const struct entry *entry) {
  return entry != NULL && entry->name_space != 0 &&
         (select->ns == NULL || entry_namespace(entry) == select->ns) &&
         matches(store, select, entry);
}

bool store_list_slots(const struct store *store, const struct store_select *select, uint32_t limit,
                      uint64_t max_examined, uint32_t *slot, store_list_fn *emit, void *arg) {
  uint64_t end = (uint64_t)store->heap.entries.n_chunks << ENTRY_BITS;
  for (; *slot < end; (*slot)++) {
    const struct entry *entry = heap_find_entry(&store->heap, *slot);
    bool shown = is_listed(store, select, entry);
    if (max_examined == 0 || (shown && (limit == 0 || !emit(arg, entry))))
      return true;
    max_examined--;
    limit -= shown ? 1 : 0;
  }
  *slot = 0;
  return false;
}
