/* fcachectl leases */
#include "client/ctl/commands/listing.h"
#include "client/ctl/print/print_leases.h"

static const struct argp_option options[] = {
    SELECT_NAMESPACE_OPTION, LISTING_OPTIONS("leases"), {0}};

static int ask(struct admin *admin, const struct listing_args *args, struct rows *rows) {
  return admin_leases(admin, args->select.name_space, args->limit, leases_print_lease, rows);
}

static const struct listing listing = {
    .name = "leases",
    .doc = "List what is being computed: by whom, for how long, and how many wait for it; the "
           "oldest first.",
    .options = options,
    .none = "no leases: nobody computes anything at the moment",
    .none_in_namespace = "no leases: nobody computes anything in this namespace at the moment",
    .ask = ask};

int leases_command(struct ctl *ctl, int argc, char **argv) {
  return listing_command(&listing, ctl, argc, argv);
}
