/* page.h - the pages of a listing whose items have serials that rise: leases, clients, namespaces.
 * The next page begins behind the last serial that was shown, whatever came and went meanwhile. */
#ifndef FC_DAEMON_PAGE_H
#define FC_DAEMON_PAGE_H

#include "daemon/requests/handlers.h"

struct page {
  struct fc_buf items; /* encoded, behind one another */
  uint32_t n, limit;
  uint64_t last;                /* serial of the last item, of this page or of those before */
  const struct namespace *only; /* NULL: all */
  bool none;                    /* the namespace that was asked for is not there */
};

/* A page without items. 0, or FC_EINVAL: the request's cursor is none, see page_bad_cursor. */
int page_open(const struct call *call, const struct fc_page *request, struct page *page);
enum dispatch_result page_bad_cursor(const struct call *call);

/* Are there as many items, or bytes, as a reply is to have? One item more than the bytes keeps far
 * below FC_FRAME_SLACK, which every frame may have. */
bool page_is_full(const struct page *page);

/* Answers, and frees the items. `more`: there is, or may be, a next page. */
enum dispatch_result page_send(const struct call *call, enum fc_type type, struct page *page,
                               bool more);

/* The time from `then_ns` to `now_ns`; 0 where that is later. */
static inline uint64_t page_since(uint64_t now_ns, uint64_t then_ns) {
  return now_ns > then_ns ? now_ns - then_ns : 0;
}

#endif
