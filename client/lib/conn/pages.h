/* pages.h - reads the daemon's lists page by page: entries, leases, clients, namespaces, usage. */
#ifndef FC_CLIENT_PAGES_H
#define FC_CLIENT_PAGES_H

#include "proto/wire/message.h"

struct connection;

/* Called with one item. Its strings are valid during the call, which must not use the connection.
 */
typedef void pages_entry_fn(void *arg, const struct fc_list_entry *entry);
typedef void pages_lease_fn(void *arg, const struct fc_lease_entry *lease);
typedef void pages_client_fn(void *arg, const struct fc_client_entry *client);
typedef void pages_namespace_fn(void *arg, const struct fc_namespace_entry *name_space);
typedef void pages_usage_fn(void *arg, const struct fc_usage_entry *usage);

struct pages {
  enum fc_type type;        /* FC_LIST, FC_LEASES, FC_CLIENTS, FC_NAMESPACES or FC_USAGE */
  struct fc_select select;  /* borrowed; only FC_LIST uses more than the namespace */
  uint64_t limit;           /* maximum of items; 0: all */
  enum fc_list_order order; /* of FC_LIST */
  enum fc_usage_by by;      /* of FC_USAGE */
  /* Of FC_LIST: only entries whose computation took as long. The function may raise it: it is read
   * before each page. NULL: all. */
  const uint64_t *min_compute_ns;
  union { /* the one for `type` */
    pages_entry_fn *entry;
    pages_lease_fn *lease;
    pages_client_fn *client;
    pages_namespace_fn *name_space;
    pages_usage_fn *usage;
  } fn;
  void *arg;
};

/* Requests one page after the other, and calls the function for each item. Returns as
 * request_call. */
int pages_list(struct connection *connection, const struct pages *pages);

#endif
