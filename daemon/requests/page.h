/* page.h - pages of a listing whose items have rising serials: leases, clients, namespaces. The
 * cursor of the next page is the last serial shown, so items that come or go between two pages do
 * no harm. */
#ifndef FC_DAEMON_PAGE_H
#define FC_DAEMON_PAGE_H

#include "daemon/requests/handlers.h"

#define PAGE_ITEMS_MAX 1000u
#define PAGE_CURSOR_BYTES 8u
#define PAGE_BYTES (256u << 10) /* an item that begins below it may exceed it */

struct page {
  struct fc_buf items; /* encoded */
  uint32_t n, limit;
  uint64_t last;                /* serial of the last item, of this page or of an earlier one */
  const struct namespace *only; /* NULL: all namespaces */
  bool none;                    /* the requested namespace does not exist */
};

/* Starts a page without items. Returns 0, or FC_EINVAL for a cursor that no reply gave: then call
 * page_bad_cursor. */
int page_open(const struct call *call, const struct fc_page *request, struct page *page);
enum dispatch_result page_bad_cursor(const struct call *call);

/* Returns true if the page has `limit` items or enough bytes. One item more stays far below
 * FC_FRAME_SLACK, the size that every frame may have. */
bool page_is_full(const struct page *page);

/* Returns true if the page includes items of `ns`. */
static inline bool page_includes(const struct page *page, const struct namespace *ns) {
  return page->only == NULL || ns == page->only;
}

/* Writes the cursor of the next page. */
void page_cursor(const struct page *page, uint8_t cursor[PAGE_CURSOR_BYTES]);

/* Sends the page and frees its items. `more`: another page follows, or may follow. */
enum dispatch_result page_send(const struct call *call, enum fc_type type, struct page *page,
                               bool more);

/* Returns the time from `then_ns` to `now_ns`, or 0 if that is negative. */
static inline uint64_t page_since(uint64_t now_ns, uint64_t then_ns) {
  return now_ns > then_ns ? now_ns - then_ns : 0;
}

#endif
