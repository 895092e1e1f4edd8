/* list: the entries of the cache, page by page. */
#include "daemon/region/entry.h"
#include "daemon/requests/page.h"
#include "daemon/store/store_list.h"

#define EXAMINED_MAX 2048u /* entries examined per request: a millisecond or two at worst */

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
  };
  if (page->items.size > PAGE_BYTES || fc_encode_list_entry(&page->items, &item) < 0)
    return false;
  page->n++;
  return true;
}

enum dispatch_result handle_list(const struct call *call, const struct fc_list *list) {
  struct dispatch *dispatch = call->dispatch;
  struct store_select select = {.view = list->select.view, .op = list->select.op};
  struct store_cursor cursor;
  if (store_cursor_decode(&cursor, list->cursor, list->cursor_size) < 0)
    return page_bad_cursor(call);
  struct entries_page page = {.now_ns = call->start_ns};
  uint32_t limit = list->limit < PAGE_ITEMS_MAX ? list->limit : PAGE_ITEMS_MAX;
  bool exists = true, more = false;
  if (list->select.name_space.data != NULL) {
    select.ns = namespace_table_find(dispatch->namespaces, list->select.name_space);
    exists = select.ns != NULL;
  }
  if (exists)
    more = store_list(dispatch->store, &select, limit, EXAMINED_MAX, &cursor, add_entry, &page);
  uint8_t bytes[STORE_CURSOR_SIZE];
  store_cursor_encode(&cursor, bytes);
  struct page_end end = {page.n, bytes, more ? sizeof bytes : 0};
  return call_reply_page(call, FC_LIST, &page.items, &end);
}
