/* fcachectl clients */
#include "client/ctl/commands/listing.h"
#include "client/ctl/print/print_clients.h"

static const struct argp_option options[] = {
    SELECT_NAMESPACE_OPTION, LISTING_OPTIONS("clients"), {0}};

static int ask(struct admin *admin, const struct listing_args *args, struct rows *rows) {
  struct clients_view view = {.rows = rows, .limit = args->limit};
  /* For people all are asked for: each user has its line, whoever connected first. */
  int result = admin_clients(admin, args->select.name_space, rows->json ? args->limit : 0,
                             clients_print_client, &view);

  clients_print_end(&view);
  return result;
}

static const struct listing listing = {
    .name = "clients",
    .doc = "List the connected clients by user, the user with the most connections first: what all "
           "clients of the user hold, what each computes, and what it waits for and whose that is.",
    .options = options,
    .none = "no clients: nobody is connected at the moment",
    .none_in_namespace = "no clients: nobody of this namespace is connected at the moment",
    .ask = ask};

int clients_command(struct ctl *ctl, int argc, char **argv) {
  return listing_command(&listing, ctl, argc, argv);
}
