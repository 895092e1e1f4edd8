/* listing.h - the commands list, leases, clients and namespaces: options, and output as a table for
 * people or as a JSON array, one item a line. */
#ifndef FC_CTL_LISTING_H
#define FC_CTL_LISTING_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "client/ctl/command.h"
#include "client/ctl/key_filter.h"
#include "client/ctl/print/table.h"

struct listing_kind {
  const struct table_column *columns;
  size_t n_columns;
  int namespace_column;             /* hidden with --namespace, or -1 */
  const char *none, *none_matching; /* for people, if there is no item */
};

/* One run of a listing. Zeroed: no filter, all items. */
struct listing {
  FILE *out;
  struct key_filter filter;
  uint64_t limit; /* 0: all */
  bool json;
  bool no_manifest;
  uint64_t n;  /* items so far */
  bool failed; /* out of memory: items are missing */
  struct table table;
};

#define LISTING_NO_MANIFEST 256 /* the key of --no-manifest */
#define LISTING_OPTIONS(things)                                                                    \
  {"limit", 'l', "N", 0, "At most N " things " (default 100; 0: all)", 0}, COMMAND_NO_TRUNC, {     \
    "json", 'j', NULL, 0, "A JSON array, with whole hashes and names", 0                           \
  }

/* Parses the options of LISTING_OPTIONS, KEY_FILTER_OPTIONS and --no-manifest. */
error_t listing_parse(int key, char *arg, struct argp_state *state);

/* Returns the parsed options. Static. */
const struct listing *listing_parsed(void);

/* Prints the listing of the parsed options: `fetch` calls one function of admin.h, whose callback
 * prints the items. Returns an exit status. */
typedef int listing_fetch_fn(struct admin *admin, struct listing *listing);
int listing_run(struct admin *admin, const struct listing_kind *kind, listing_fetch_fn *fetch);

/* Start and end the output; `found` false after an error, which prints no text for no items. */
void listing_begin(struct listing *listing, const struct listing_kind *kind);
void listing_end(struct listing *listing, const struct listing_kind *kind, bool found);

/* Starts a table, with the columns that the listing shows. */
void listing_table_init(const struct listing *listing, const struct listing_kind *kind,
                        struct table *table);

/* Starts the next item's row. Prints and empties a long table: rows do not accumulate. */
void listing_row(struct listing *listing);

/* Prints the next item as JSON, and frees it. NULL: out of memory. */
void listing_object(struct listing *listing, json_t *object);

/* The items, as callbacks of admin.h. `arg` is the struct listing (of clients: the groups). */
void list_print_entry(void *arg, const struct fc_list_entry *entry);
void leases_print_lease(void *arg, const struct fc_lease_entry *lease);
void namespaces_print_namespace(void *arg, const struct fc_namespace_entry *entry);

extern const struct listing_kind list_kind, leases_kind, clients_kind, namespaces_kind;

#endif
