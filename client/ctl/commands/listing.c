#include "client/ctl/commands/listing.h"

#include <assert.h>
#include <string.h>

#include "client/ctl/arguments.h"
#include "client/ctl/commands/stats_fetch.h"
#include "client/ctl/print/json_value.h"
#include "client/ctl/report.h"

#define LIMIT_DEFAULT 100u
#define LIMIT_MAX 1000000000000ul
#define ROWS_MAX 1000u /* of a table in memory: a longer listing has several, each with headers */

static struct listing options = {.limit = LIMIT_DEFAULT};

error_t listing_parse(int key, char *arg, struct argp_state *state) {
  switch (key) {
  case 'l':
    options.limit = argument_number(state, "limit", arg, 0, LIMIT_MAX);
    return 0;
  case 'j':
    options.json = true;
    return 0;
  case LISTING_NO_MANIFEST:
    options.no_manifest = true;
    return 0;
  default:
    return key_filter_parse(&options.filter, key, arg, state);
  }
}

const struct listing *listing_parsed(void) {
  return &options;
}

/* ---- output ---- */

void listing_table_init(const struct listing *listing, const struct listing_kind *kind,
                        struct table *table) {
  struct table_column columns[TABLE_COLUMNS_MAX];

  assert(kind->n_columns <= TABLE_COLUMNS_MAX && kind->namespace_column < (int)kind->n_columns);
  memcpy(columns, kind->columns, kind->n_columns * sizeof *columns);
  if (listing->filter.name_space && kind->namespace_column >= 0)
    columns[kind->namespace_column].kind = TABLE_HIDDEN;
  table_init(table, columns, kind->n_columns, true);
}

void listing_begin(struct listing *listing, const struct listing_kind *kind) {
  listing_table_init(listing, kind, &listing->table);
  if (listing->json)
    (void)fputc('[', listing->out); /* main checks the stream at the end */
}

void listing_end(struct listing *listing, const struct listing_kind *kind, bool found) {
  const struct key_filter *filter = &listing->filter;
  bool filtered = filter->name_space || filter->view || filter->op;

  table_print(&listing->table, listing->out);
  listing->failed |= listing->table.failed;
  table_deinit(&listing->table);
  if (listing->json)
    (void)fputs(listing->n ? "\n]\n" : "]\n", listing->out);
  else if (found && listing->n == 0)
    (void)fprintf(listing->out, "%s\n", filtered ? kind->none_matching : kind->none);
}

void listing_row(struct listing *listing) {
  if (listing->table.n_rows == ROWS_MAX)
    table_print(&listing->table, listing->out);
  table_row(&listing->table);
  listing->n++;
}

void listing_object(struct listing *listing, json_t *object) {
  if (!object) {
    listing->failed = true;
    return;
  }
  (void)fputs(listing->n ? ",\n  " : "\n  ", listing->out);
  (void)json_value_print(listing->out, object, 0);
  listing->n++;
}

/* ---- the command ---- */

/* Reports a mistyped name to a person, as stats does. A program gets an empty array. */
static int check_namespace(struct admin *admin) {
  bool has = true;
  int status = CTL_DONE;

  if (options.filter.name_space && !options.json)
    status = stats_fetch_namespace(admin, options.filter.name_space, &has);
  return status == CTL_DONE && !has ? stats_fetch_report_missing(admin, options.filter.name_space)
                                    : status;
}

int listing_run(struct admin *admin, const struct listing_kind *kind, listing_fetch_fn *fetch) {
  struct listing listing = options;
  int status = check_namespace(admin);

  if (status != CTL_DONE)
    return status;
  listing.out = stdout;
  listing_begin(&listing, kind);
  status = report_result(admin, fetch(admin, &listing));
  listing_end(&listing, kind, status == CTL_DONE);
  if (status == CTL_DONE && listing.failed)
    status = report_error("out of memory: the listing is incomplete");
  return status;
}
