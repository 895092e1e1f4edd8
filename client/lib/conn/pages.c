#include "client/lib/conn/pages.h"

#include <string.h>

#include "client/lib/conn/request.h"
#include "proto/errors.h"

#define PAGE_ITEMS 500u
#define CURSOR_MAX 64u /* the decoder takes no longer one */

/* How far the listing is. */
struct place {
  uint8_t cursor[CURSOR_MAX];
  uint32_t cursor_size; /* 0: at the start, or at the end */
  uint64_t listed;
};

static void encode(struct fc_buf *buf, uint32_t id, const struct pages *pages,
                   const struct place *place) {
  uint32_t limit = PAGE_ITEMS;
  if (pages->limit > 0 && pages->limit - place->listed < PAGE_ITEMS)
    limit = (uint32_t)(pages->limit - place->listed);
  struct fc_list list = {.select = pages->select,
                         .limit = limit,
                         .cursor = place->cursor,
                         .cursor_size = place->cursor_size};
  struct fc_page page = {.name_space = pages->select.name_space,
                         .limit = limit,
                         .cursor = place->cursor,
                         .cursor_size = place->cursor_size};
  /* The exchange looks at `failed`. */
  if (pages->type == FC_LIST)
    (void)fc_encode_list(buf, id, &list);
  else
    (void)fc_encode_page(buf, pages->type, id, &page);
}

/* Hands the page's next item over. */
static void hand_over(const struct pages *pages, struct fc_list_reply *page) {
  struct fc_list_entry entry;
  struct fc_lease_entry lease;
  struct fc_client_entry client;
  struct fc_namespace_entry name_space;
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
  default:
    fc_list_next(page, &entry);
    pages->fn.entry(pages->arg, &entry);
    break;
  }
}

/* One page; moves the place on. */
static int ask_one(struct link *link, const struct pages *pages, struct place *place) {
  struct fc_reply reply;
  uint32_t id = link_begin(link, pages->type);
  encode(&link->request, id, pages, place);
  int rc = link_exchange(link, id, NULL, 0, &reply);
  if (rc < 0)
    return rc;
  struct fc_list_reply *page = &reply.list;
  if (page->n == 0 && page->cursor_size > 0 && page->cursor_size == place->cursor_size &&
      memcmp(page->cursor, place->cursor, place->cursor_size) == 0)
    return link_lost(link, FC_EPROTOCOL); /* pages that go nowhere would never end */
  place->listed += page->n;
  place->cursor_size = page->cursor_size;
  for (uint32_t i = 0; i < page->cursor_size && i < CURSOR_MAX; i++)
    place->cursor[i] = page->cursor[i];
  while (page->n > 0)
    hand_over(pages, page);
  return 0;
}

int pages_ask(struct link *link, const struct pages *pages) {
  struct place place = {.cursor_size = 0};
  int rc;
  do
    rc = ask_one(link, pages, &place);
  while (rc == 0 && place.cursor_size > 0 && (pages->limit == 0 || place.listed < pages->limit));
  return rc;
}
