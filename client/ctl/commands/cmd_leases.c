/* fcachectl leases */
#include "client/ctl/commands/listing.h"
#include "client/ctl/print/json_value.h"
#include "client/ctl/print/units.h"

static const struct table_column columns[] = {
    {"NAMESPACE", TABLE_COMMON}, {"OP", TABLE_KEY},      {"VIEW", TABLE_KEY},
    {"PROMPT", TABLE_HASH},      {"CLIENT", TABLE_NAME}, {"PID", TABLE_NUMBER},
    {"HELD", TABLE_NUMBER},      {"LEFT", TABLE_NUMBER}, {"WAITING", TABLE_NUMBER},
};

const struct listing_kind leases_kind = {.columns = columns,
                                         .n_columns = sizeof columns / sizeof columns[0],
                                         .namespace_column = 0,
                                         .none = "no active leases",
                                         .none_matching = "no active leases in this namespace"};

static void print_row(struct listing *listing, const struct fc_lease_entry *lease) {
  char text[UNITS_SIZE], hash[FC_HASH_HEX_SIZE];
  struct table *table = &listing->table;

  fc_hash_hex(&lease->key.prompt, hash);
  listing_row(listing);
  table_name(table, lease->name_space);
  table_name(table, lease->key.op);
  table_name(table, lease->key.view);
  table_cell(table, hash);
  table_name(table, lease->client);
  table_cell(table, units_pid(lease->pid, text));
  table_cell(table, units_ns(lease->held_ns, text));
  table_cell(table, units_ns(lease->left_ns, text));
  table_cell(table, units_count(lease->waits, text));
}

static json_t *object_of(const struct fc_lease_entry *lease) {
  json_t *rest =
      json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}", "client", json_value_name(lease->client),
                "client_id", json_value_count(lease->client_id), "pid", json_value_pid(lease->pid),
                "held_s", json_value_seconds(lease->held_ns), "left_s",
                json_value_seconds(lease->left_ns), "waits", json_value_count(lease->waits));

  return json_value_key(&lease->name_space, &lease->key, rest);
}

void leases_print_lease(void *arg, const struct fc_lease_entry *lease) {
  struct listing *listing = arg;

  if (listing->json)
    listing_object(listing, object_of(lease));
  else
    print_row(listing, lease);
}

static int fetch(struct admin *admin, struct listing *listing) {
  return admin_leases(admin, listing->filter.name_space, listing->limit, leases_print_lease,
                      listing);
}

static int run(struct admin *admin) {
  return listing_run(admin, &leases_kind, fetch);
}

static const struct argp_option options[] = {KEY_FILTER_NAMESPACE, LISTING_OPTIONS("leases"), {0}};

const struct command leases_command = {
    .name = "leases",
    .summary = "list active leases with owner and number of waiters",
    .doc = "List active leases, oldest first: the key, the client that computes it, the time held "
           "and left, and the number of waiters."
           "\v"
           "Example:\n"
           "  fcachectl leases --json | jq '.[] | select(.held_s > 60) | .pid'",
    .options = options,
    .parse = listing_parse,
    .run = run};
