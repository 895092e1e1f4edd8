/* list: the entries of the cache, page by page. */
#include "daemon/region/entry.h"
#include "daemon/requests/page.h"
#include "daemon/store/store_list.h"

#define EXAMINED_MAX 2048u    /* entries examined per request: a millisecond or two at worst */
#define PLACE_CURSOR_BYTES 4u /* the number of the next slot, big-endian */

struct entries_page {
  struct fc_buf items; /* encoded */
  uint32_t n;
  uint64_t now_ns;
};

/* Returns false if the page is full. */
static bool add_entry(void *arg, const struct entry *entry) {
  struct entries_page *page = arg;
  struct fc_list_entry item = {
      .name_space = entry_namespace(entry)->name,
      .key = entry_key(entry),
      .value_size = entry_value_size(entry),
      .charge = heap_charge_of(entry),
      .compute_ns = entry_compute_ns(entry),
      .idle_ns = page->now_ns - entry->last_use_ns,
      .hits = entry->hits,
      .stamp = entry->use_stamp,
  };
  if (page->items.size > PAGE_BYTES || fc_encode_list_entry(&page->items, &item) < 0)
    return false;
  page->n++;
  return true;
}

/* Lists from the cursor on, the most recently used first. */
static enum dispatch_result list_by_use(const struct call *call, const struct fc_list *list,
                                        const struct store_select *select, uint32_t limit,
                                        struct entries_page *page) {
  struct store_cursor cursor;
  bool more = false;
  if (store_cursor_decode(&cursor, list->cursor, list->cursor_size) < 0)
    return page_bad_cursor(call);
  if (limit > 0)
    more = store_list(call->dispatch->store, select, limit, EXAMINED_MAX, &cursor, add_entry, page);
  uint8_t bytes[STORE_CURSOR_SIZE];
  store_cursor_encode(&cursor, bytes);
  struct page_end end = {page->n, bytes, more ? sizeof bytes : 0};
  return call_reply_page(call, FC_LIST, &page->items, &end);
}

/* Lists from the cursor, the number of a slot, on. */
static enum dispatch_result list_by_place(const struct call *call, const struct fc_list *list,
                                          const struct store_select *select, uint32_t limit,
                                          struct entries_page *page) {
  uint8_t bytes[PLACE_CURSOR_BYTES];
  uint32_t slot = 0;
  bool more = false;
  if (list->cursor_size != 0 && list->cursor_size != sizeof bytes)
    return page_bad_cursor(call);
  for (uint32_t i = 0; i < list->cursor_size; i++)
    slot = slot << 8 | list->cursor[i];
  if (limit > 0)
    more = store_list_slots(call->dispatch->store, select, limit, EXAMINED_MAX, &slot, add_entry,
                            page);
  for (uint32_t i = 0; i < sizeof bytes; i++)
    bytes[i] = (uint8_t)(slot >> (24u - 8u * i));
  struct page_end end = {page->n, bytes, more ? sizeof bytes : 0};
  return call_reply_page(call, FC_LIST, &page->items, &end);
}

enum dispatch_result handle_list(const struct call *call, const struct fc_list *list) {
  struct store_select select = {
      .view = list->select.view, .op = list->select.op, .min_compute_ns = list->min_compute_ns};
  struct entries_page page = {.now_ns = call->start_ns};
  uint32_t limit = list->limit < PAGE_ITEMS_MAX ? list->limit : PAGE_ITEMS_MAX;
  if (list->select.name_space.data != NULL) {
    select.ns = namespace_table_find(call->dispatch->namespaces, list->select.name_space);
    if (select.ns == NULL)
      limit = 0; /* no such namespace, so no entry */
  }
  return list->order == FC_ORDER_PLACE ? list_by_place(call, list, &select, limit, &page)
                                       : list_by_use(call, list, &select, limit, &page);
}
