/* Which namespaces there are, and what goes into each. */
#include "daemon/requests/handlers.h"
#include "daemon/requests/page.h"

static void add_namespace(struct page *page, const struct namespace *ns, uint64_t now_ns) {
  struct fc_namespace_entry item = {
      .name_space = ns->name,
      .manifest = ns->manifest,
      .entries = ns->entries,
      .bytes = ns->bytes,
      .hits = ns->counters.hits,
      .misses = ns->counters.misses,
      .clients = ns->clients,
      .max_bytes = ns->max_bytes,
      .idle_ns = page_since(now_ns, ns->last_use_ns),
  };
  (void)fc_encode_namespace_entry(&page->items, &item); /* `failed` is looked at in the end */
  page->last = ns->serial;
  page->n++;
}

enum dispatch_result handle_namespaces(const struct call *call, const struct fc_page *request) {
  struct page page;
  if (page_open(call, request, &page) < 0)
    return page_bad_cursor(call);
  const struct namespace *ns = page.none ? NULL : call->dispatch->namespaces->first;
  while (ns != NULL && ns->serial <= page.last)
    ns = ns->next;
  for (; ns != NULL && !page_is_full(&page); ns = ns->next)
    if (page.only == NULL || ns == page.only)
      add_namespace(&page, ns, call->start_ns);
  return page_send(call, FC_NAMESPACES, &page, ns != NULL);
}
