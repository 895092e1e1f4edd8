/* leases: the active leases, page by page. */
#include "daemon/requests/handlers.h"
#include "daemon/requests/page.h"

static void add_lease(struct page *page, const struct lease *lease, uint64_t now_ns) {
  struct session_owner owner = session_owner_of(lease->owner);
  struct fc_lease_entry item = {
      .name_space = lease->ns->name,
      .key = lease->key,
      .client_id = owner.client_id,
      .client = owner.name,
      .pid = owner.pid,
      .held_ns = page_since(now_ns, lease->granted_ns),
      .left_ns = page_since(lease->term.at_ns, now_ns),
      .waits = lease->waits,
  };
  (void)fc_encode_lease_entry(&page->items, &item); /* page_send checks `failed` */
  page->last = lease->serial;
  page->n++;
}

enum dispatch_result handle_leases(const struct call *call, const struct fc_page *request) {
  struct page page;
  if (page_open(call, request, &page) < 0)
    return page_bad_cursor(call);
  const struct lease *lease = page.none ? NULL : leases_after(&call->dispatch->leases, page.last);
  for (; lease != NULL && !page_is_full(&page); lease = lease->next)
    if (page_includes(&page, lease->ns))
      add_lease(&page, lease, call->start_ns);
  return page_send(call, FC_LEASES, &page, lease != NULL);
}
