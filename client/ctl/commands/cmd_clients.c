/* fcachectl clients */
#include "client/ctl/commands/clients_groups.h"

static int fetch(struct admin *admin, struct listing *listing) {
  struct clients_groups groups = {.listing = listing};
  /* The tables have a line for each user, so they need all clients. */
  int result = admin_clients(admin, listing->filter.name_space, listing->json ? listing->limit : 0,
                             clients_groups_add, &groups);

  clients_groups_print(&groups);
  return result;
}

static int run(struct admin *admin) {
  return listing_run(admin, &clients_kind, fetch);
}

static const struct argp_option options[] = {KEY_FILTER_NAMESPACE, LISTING_OPTIONS("clients"), {0}};

const struct command clients_command = {
    .name = "clients",
    .summary = "list connected clients with the leases they hold or wait for",
    .doc = "List connected clients by user, the user with the most connections first. Below a "
           "client are the lease that it holds and the lease that it waits for, with its owner."
           "\v"
           "Example:\n"
           "  fcachectl clients --namespace gpt2",
    .options = options,
    .parse = listing_parse,
    .run = run};
