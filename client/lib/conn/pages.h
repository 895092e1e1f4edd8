/* pages.h - the daemon's listings, page by page: entries, leases, clients, namespaces. */
#ifndef FC_CLIENT_PAGES_H
#define FC_CLIENT_PAGES_H

#include "proto/wire/message.h"

struct link;

/* Each takes one item; what that borrows is valid during the callback, which leaves the link
 * alone. */
typedef void pages_entry_fn(void *arg, const struct fc_list_entry *entry);
typedef void pages_lease_fn(void *arg, const struct fc_lease_entry *lease);
typedef void pages_client_fn(void *arg, const struct fc_client_entry *client);
typedef void pages_namespace_fn(void *arg, const struct fc_namespace_entry *name_space);

struct pages {
  enum fc_type type;       /* FC_LIST, FC_LEASES, FC_CLIENTS or FC_NAMESPACES */
  struct fc_select select; /* of all but FC_LIST the namespace alone; borrowed */
  uint64_t limit;          /* items at most; 0: all */
  union {                  /* that of the type */
    pages_entry_fn *entry;
    pages_lease_fn *lease;
    pages_client_fn *client;
    pages_namespace_fn *name_space;
  } fn;
  void *arg;
};

/* Asks for one page after the other. 0, or a code as link_exchange. */
int pages_ask(struct link *link, const struct pages *pages);

#endif
