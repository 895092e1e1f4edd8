/* fcachectl clients */
#include "client/ctl/clients_print.h"
#include "client/ctl/listing.h"

static const struct argp_option options[] = {
    SELECT_NAMESPACE_OPTION, LISTING_OPTIONS("clients"), {0}};

static int ask(struct admin *admin, const struct listing_args *args, struct rows *rows) {
  return admin_clients(admin, args->select.name_space, args->limit, clients_print_client, rows);
}

static const struct listing listing = {
    .name = "clients",
    .doc = "List who is connected, what each computes, and what it waits for and whose that is; in "
           "the order in which they connected.",
    .options = options,
    .none = "no clients: nobody is connected at the moment",
    .none_in_namespace = "no clients: nobody of this namespace is connected at the moment",
    .ask = ask};

int clients_command(struct ctl *ctl, int argc, char **argv) {
  return listing_command(&listing, ctl, argc, argv);
}
