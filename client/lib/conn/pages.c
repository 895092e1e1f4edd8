#include "client/lib/conn/pages.h"

#include <string.h>

#include "client/lib/conn/request.h"
#include "proto/errors.h"

#define PAGE_ITEMS 500u
#define CURSOR_MAX 64u /* bytes; the decoder rejects a longer one */

/* The position in the list. */
struct position {
  uint8_t cursor[CURSOR_MAX];
  uint32_t cursor_size; /* 0: at the begin, or at the end */
  uint64_t listed;
};

static void encode(struct fc_buf *buf, uint32_t id, const struct pages *pages,
                   const struct position *position) {
  uint32_t limit = PAGE_ITEMS;
  if (pages->limit > 0 && pages->limit - position->listed < PAGE_ITEMS)
    limit = (uint32_t)(pages->limit - position->listed);
  struct fc_list list = {.select = pages->select,
                         .limit = limit,
                         .cursor = position->cursor,
                         .cursor_size = position->cursor_size,
                         .order = pages->order,
                         .min_compute_ns =
                             pages->min_compute_ns == NULL ? 0 : *pages->min_compute_ns};
  struct fc_page page = {.name_space = pages->select.name_space,
                         .limit = limit,
                         .cursor = position->cursor,
                         .cursor_size = position->cursor_size};
  struct fc_usage usage = {.by = pages->by,
                           .limit = limit,
                           .cursor = position->cursor,
                           .cursor_size = position->cursor_size};
  /* request_call checks `failed`. */
  if (pages->type == FC_USAGE)
    (void)fc_encode_usage(buf, id, &usage);
  else if (pages->type == FC_LIST)
    (void)fc_encode_list(buf, id, &list);
  else
    (void)fc_encode_page(buf, pages->type, id, &page);
}

/* Decodes the next item of the page and calls the function with it. */
static void call_for_next(const struct pages *pages, struct fc_list_reply *page) {
  struct fc_list_entry entry;
  struct fc_lease_entry lease;
  struct fc_client_entry client;
  struct fc_namespace_entry name_space;
  struct fc_usage_entry usage;
  switch (pages->type) {
  case FC_LEASES:
    fc_leases_next(page, &lease);
    pages->fn.lease(pages->arg, &lease);
    break;
  case FC_CLIENTS:
    fc_clients_next(page, &client);
    pages->fn.client(pages->arg, &client);
    break;
  case FC_NAMESPACES:
    fc_namespaces_next(page, &name_space);
    pages->fn.name_space(pages->arg, &name_space);
    break;
  case FC_USAGE:
    fc_usage_next(page, &usage);
    pages->fn.usage(pages->arg, &usage);
    break;
  default:
    fc_list_next(page, &entry);
    pages->fn.entry(pages->arg, &entry);
    break;
  }
}

/* Requests one page, and moves the position behind it. */
static int list_one(struct connection *connection, const struct pages *pages,
                    struct position *position) {
  struct fc_reply reply;
  uint32_t id = request_begin(connection, pages->type);
  encode(&connection->request, id, pages, position);
  int rc = request_call(connection, id, NULL, 0, &reply);
  if (rc < 0)
    return rc;
  struct fc_list_reply *page = &reply.list;
  if (page->n == 0 && page->cursor_size > 0 && page->cursor_size == position->cursor_size &&
      memcmp(page->cursor, position->cursor, position->cursor_size) == 0)
    return connection_fail(connection,
                           FC_EPROTOCOL); /* an empty page with the same cursor: endless */
  position->listed += page->n;
  position->cursor_size = page->cursor_size;
  for (uint32_t i = 0; i < page->cursor_size && i < CURSOR_MAX; i++)
    position->cursor[i] = page->cursor[i];
  while (page->n > 0)
    call_for_next(pages, page);
  return 0;
}

int pages_list(struct connection *connection, const struct pages *pages) {
  struct position position = {.cursor_size = 0};
  int rc;
  do
    rc = list_one(connection, pages, &position);
  while (rc == 0 && position.cursor_size > 0 &&
         (pages->limit == 0 || position.listed < pages->limit));
  return rc;
}
