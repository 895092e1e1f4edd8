/* namespaces: the namespaces with their use and manifest, page by page. */
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
      .clients = namespace_clients(ns),
      .max_bytes = ns->max_bytes,
      .idle_ns = page_since(now_ns, ns->last_use_ns),
  };
  (void)fc_encode_namespace_entry(&page->items, &item); /* page_send checks `failed` */
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
    if (page_includes(&page, ns))
      add_namespace(&page, ns, call->start_ns);
  return page_send(call, FC_NAMESPACES, &page, ns != NULL);
}
