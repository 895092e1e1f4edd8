/* usage: lookups by namespace, by op and view, by probe, or by client, page by page. The names that
 * have no row come last, as one. */
#include "daemon/requests/handlers.h"
#include "daemon/requests/page.h"

static void set_counts(struct fc_usage_entry *item, const struct usage_counts *counts) {
  item->hits = counts->hits;
  item->misses = counts->misses;
  item->saved_ns = counts->saved_ns;
  item->computed_ns = counts->computed_ns;
  item->put_bytes = counts->put_bytes;
}

static void add(struct page *page, const struct fc_usage_entry *item, uint64_t serial) {
  (void)fc_encode_usage_entry(&page->items, item); /* page_send checks `failed` */
  page->last = serial;
  page->n++;
}

/* Each of these adds rows until the page is full. Returns true if more follow. */

/* All namespaces that exist, with their entries. */
static bool add_namespaces(const struct call *call, struct page *page) {
  const struct namespace *ns = call->dispatch->namespaces->first;
  while (ns != NULL && ns->serial <= page->last)
    ns = ns->next;
  for (; ns != NULL && !page_is_full(page); ns = ns->next) {
    const struct usage_counts *counts = usage_of_namespace(&call->dispatch->usage, ns->name);
    struct fc_usage_entry item = {.name_space = ns->name, .stored_bytes = ns->bytes};
    if (counts != NULL)
      set_counts(&item, counts);
    add(page, &item, ns->serial);
  }
  return ns != NULL;
}

static bool add_names(const struct call *call, enum usage_kind kind, struct page *page) {
  const struct usage_row *place = NULL;
  struct usage_item row;
  while (usage_next(&call->dispatch->usage, kind, page->last, &place, &row)) {
    struct fc_usage_entry item = {
        .name_space = row.name_space, .op = row.op, .view = row.view, .probe = row.probe};
    if (page_is_full(page))
      return true;
    set_counts(&item, row.counts);
    add(page, &item, row.serial);
  }
  return false;
}

/* The connected workers. Tools have no namespace. */
static bool add_clients(const struct call *call, struct page *page) {
  const struct session *session = call->dispatch->first_session;
  for (; session != NULL; session = session->next) {
    if (session->serial <= page->last || session->ns == NULL)
      continue;
    if (page_is_full(page))
      return true;
    struct fc_usage_entry item = {.name_space = session->ns->name,
                                  .client = session->name,
                                  .client_id = session->client_id,
                                  .pid = session->pid};
    set_counts(&item, &session->usage);
    add(page, &item, session->serial);
  }
  return false;
}

static void add_others(const struct call *call, uint32_t by, struct page *page) {
  const struct dispatch *dispatch = call->dispatch;
  struct fc_usage_entry item = {.others = by == FC_USAGE_CLIENT
                                              ? dispatch->clients_left
                                              : usage_n_others(&dispatch->usage, by)};
  if (item.others == 0)
    return;
  set_counts(&item,
             by == FC_USAGE_CLIENT ? &dispatch->usage_left : &dispatch->usage.others[by].counts);
  add(page, &item, page->last);
}

static_assert((int)FC_USAGE_NAMESPACE == (int)USAGE_NAMESPACE &&
                  (int)FC_USAGE_KEY == (int)USAGE_KEY && (int)FC_USAGE_PROBE == (int)USAGE_PROBE &&
                  (int)FC_USAGE_CLIENT >= USAGE_KINDS,
              "a request's kind is that of usage.h");

enum dispatch_result handle_usage(const struct call *call, const struct fc_usage *request) {
  const struct fc_page open = {
      .limit = request->limit, .cursor = request->cursor, .cursor_size = request->cursor_size};
  struct page page;
  if (page_open(call, &open, &page) < 0)
    return page_bad_cursor(call);
  rings_flush_usage(&call->dispatch->rings);
  bool more = request->by == FC_USAGE_NAMESPACE ? add_namespaces(call, &page)
              : request->by == FC_USAGE_CLIENT
                  ? add_clients(call, &page)
                  : add_names(call, (enum usage_kind)request->by, &page);
  if (!more && page_is_full(&page))
    more = true; /* the next page has the others alone */
  else if (!more)
    add_others(call, request->by, &page);
  return page_send(call, FC_USAGE, &page, more);
}
