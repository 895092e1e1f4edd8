/* fcachectl clear */
#include <inttypes.h>
#include <stdio.h>

#include "client/ctl/arguments.h"
#include "client/ctl/command.h"
#include "client/ctl/commands/clear_names.h"
#include "client/ctl/commands/stats_fetch.h"
#include "client/ctl/commands/tally.h"
#include "client/ctl/key_filter.h"
#include "client/ctl/print/table.h"
#include "client/ctl/print/units.h"
#include "client/ctl/report.h"
#include "proto/errors.h"

static struct {
  struct key_filter filter;
  bool all, dry_run, local;
} args;

#define KEY_DRY_RUN 257
#define KEY_LOCAL 258

static const struct argp_option options[] = {
    KEY_FILTER_OPTIONS,
    {"all", 'a', NULL, 0, "All namespaces", 0},
    {"local", KEY_LOCAL, NULL, 0, "Of this daemon alone: with a tier, not of its fleet", 0},
    {"dry-run", KEY_DRY_RUN, NULL, 0, "Remove nothing, and print what would be removed", 0},
    COMMAND_NO_TRUNC,
    {0}};

static error_t parse(int key, char *arg, struct argp_state *state) {
  switch (key) {
  case 'a':
    args.all = true;
    return 0;
  case KEY_DRY_RUN:
    args.dry_run = true;
    return 0;
  case KEY_LOCAL:
    args.local = true;
    return 0;
  case ARGP_KEY_END:
    if (!args.filter.name_space == !args.all)
      argument_error(state, "give either --namespace NAME or --all");
    return 0;
  default:
    return key_filter_parse(&args.filter, key, arg, state);
  }
}

/* ---- --dry-run ---- */

static const struct table_column columns[] = {{"NAMESPACE", TABLE_NAME},
                                              {"OP", TABLE_NAME},
                                              {"VIEW", TABLE_NAME},
                                              {"ENTRIES", TABLE_NUMBER},
                                              {"SIZE", TABLE_NUMBER}};

static int print_tally(struct tally *tally) {
  struct table table;
  char text[UNITS_SIZE];
  bool failed;

  tally_sort(tally);
  table_init(&table, columns, sizeof columns / sizeof columns[0], true);
  for (size_t i = 0; i < tally->n; i++) {
    const struct tally_row *row = tally->rows[i];

    table_row(&table);
    table_name(&table, row->name_space);
    table_name(&table, row->op);
    table_name(&table, row->view);
    table_cell(&table, units_count(row->entries, text));
    table_cell(&table, units_bytes(row->bytes, text));
  }
  table_print(&table, stdout);
  failed = table.failed || tally->failed;
  table_deinit(&table);
  return failed ? report_error("out of memory for the entries") : CTL_DONE;
}

/* ---- a clear that removes nothing ---- */

/* Says which names exist. Returns an exit status. */
static int explain_none(struct admin *admin, const char *verb) {
  const char *name_space = args.filter.name_space;
  bool exists = true;
  int status = name_space ? stats_fetch_namespace(admin, name_space, &exists) : CTL_DONE;

  if (status != CTL_DONE)
    return status;
  if (exists)
    (void)printf("%s 0 entries\n", verb);
  else
    (void)printf("%s 0 entries: " STATS_NO_NAMESPACE "\n", verb, name_space);
  clear_names_print(admin, &args.filter, exists);
  return CTL_DONE;
}

static int dry_run(struct admin *admin, const struct fc_select *select) {
  struct tally tally = {0};
  char text[UNITS_SIZE];
  int status = report_result(admin, admin_list_places(admin, select, tally_add, &tally));

  if (status == CTL_DONE && tally.entries == 0)
    status = explain_none(admin, "would remove");
  else if (status == CTL_DONE)
    status = print_tally(&tally);
  if (status == CTL_DONE && tally.entries > 0)
    (void)printf("would remove %" PRIu64 " %s, %s\n", tally.entries,
                 tally.entries == 1 ? "entry" : "entries", units_bytes(tally.bytes, text));
  tally_deinit(&tally);
  return status;
}

/* ---- clear ---- */

/* A namespace that does not exist is neither an error nor created. */
static int run(struct admin *admin) {
  struct fc_clear clear = {.select = key_filter_select(&args.filter), .local = args.local};
  uint64_t removed = 0;
  char error[FCACHE_ERROR_TEXT_SIZE];
  bool exists = true;
  int result, status;

  if (args.dry_run)
    return dry_run(admin, &clear.select);
  result = admin_clear(admin, &clear, &removed);
  (void)snprintf(error, sizeof error, "%s", admin_error(admin)); /* the next call replaces it */
  if (result == FC_EDENIED && args.filter.name_space) {
    status = stats_fetch_namespace(admin, args.filter.name_space, &exists);
    if (status != CTL_DONE)
      return status;
  }
  if (!exists || (result == 0 && removed == 0))
    return explain_none(admin, "removed");
  status = report_code(result, error);
  if (status == CTL_DONE)
    (void)printf("removed %" PRIu64 " %s\n", removed, removed == 1 ? "entry" : "entries");
  return status;
}

const struct command clear_command = {
    .name = "clear",
    .summary = "remove entries",
    .purpose = COMMAND_CHANGE,
    .doc = "Remove the entries of a namespace, which the user who created it may do, or of all. "
           "fcached's own user, root and the admin group may do both. A result whose computation "
           "began before the clear is not stored afterwards. With a tier, all daemons of the fleet "
           "clear."
           "\v"
           "Examples:\n"
           "  fcachectl clear --namespace gpt2 --view ft --dry-run\n"
           "  fcachectl clear --namespace gpt2 --view ft",
    .options = options,
    .parse = parse,
    .run = run};
