/* fcachectl list */
#include "client/ctl/commands/listing.h"
#include "client/ctl/print/print_list.h"

static const struct argp_option options[] = {SELECT_OPTIONS, LISTING_OPTIONS("entries"), {0}};

static int ask(struct admin *admin, const struct listing_args *args, struct rows *rows) {
  struct fc_select select = select_of(&args->select);

  list_print_header(rows);
  return admin_list(admin, &select, args->limit, list_print_entry, rows);
}

static const struct listing listing = {.name = "list",
                                       .doc = "List the entries, most recently used first.",
                                       .options = options,
                                       .ask = ask};

int list_command(struct ctl *ctl, int argc, char **argv) {
  return listing_command(&listing, ctl, argc, argv);
}
