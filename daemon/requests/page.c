#include "daemon/requests/page.h"

#include <assert.h>

#include "proto/errors.h"

/* The largest items are namespaces with their manifests, and clients with nine names. */
static_assert(PAGE_BYTES + FC_MANIFEST_MAX + 16u * FC_NAME_MAX < FC_FRAME_SLACK,
              "a page fits in a frame, with its last item");

int page_open(const struct call *call, const struct fc_page *request, struct page *page) {
  *page = (struct page){.limit = request->limit < PAGE_ITEMS_MAX ? request->limit : PAGE_ITEMS_MAX};
  if (request->cursor_size != 0 && request->cursor_size != PAGE_CURSOR_BYTES)
    return FC_EINVAL;
  for (uint32_t i = 0; i < request->cursor_size; i++)
    page->last = page->last << 8 | request->cursor[i];
  if (request->name_space.data != NULL) {
    page->only = namespace_table_find(call->dispatch->namespaces, request->name_space);
    page->none = page->only == NULL;
  }
  return 0;
}

enum dispatch_result page_bad_cursor(const struct call *call) {
  return call_error(call, FC_EINVAL,
                    "invalid cursor: send the cursor of the previous reply, or an empty one");
}

bool page_is_full(const struct page *page) {
  return page->n == page->limit || page->items.size > PAGE_BYTES;
}

/* The serial of the last item shown, big-endian. */
void page_cursor(const struct page *page, uint8_t cursor[PAGE_CURSOR_BYTES]) {
  for (uint32_t i = 0; i < PAGE_CURSOR_BYTES; i++)
    cursor[i] = (uint8_t)(page->last >> (56u - 8u * i));
}

enum dispatch_result page_send(const struct call *call, enum fc_type type, struct page *page,
                               bool more) {
  uint8_t cursor[PAGE_CURSOR_BYTES];
  page_cursor(page, cursor);
  struct page_end end = {page->n, cursor, more ? PAGE_CURSOR_BYTES : 0};
  return call_reply_page(call, type, &page->items, &end);
}
