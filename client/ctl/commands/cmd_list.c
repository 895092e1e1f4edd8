/* fcachectl list */
#include <inttypes.h>

#include "client/ctl/commands/listing.h"
#include "client/ctl/print/json_value.h"
#include "client/ctl/print/units.h"

static const struct table_column columns[] = {
    {"NAMESPACE", TABLE_COMMON}, {"OP", TABLE_KEY},      {"VIEW", TABLE_KEY},
    {"TOP_K", TABLE_NUMBER},     {"PROMPT", TABLE_HASH}, {"SIZE", TABLE_NUMBER},
    {"COST", TABLE_NUMBER},      {"IDLE", TABLE_NUMBER}, {"HITS", TABLE_NUMBER},
};

const struct listing_kind list_kind = {.columns = columns,
                                       .n_columns = sizeof columns / sizeof columns[0],
                                       .namespace_column = 0,
                                       .none = "no entries",
                                       .none_matching = "no matching entries"};

static void print_row(struct listing *listing, const struct fc_list_entry *entry) {
  char text[UNITS_SIZE], hash[FC_HASH_HEX_SIZE];
  struct table *table = &listing->table;

  fc_hash_hex(&entry->key.prompt, hash);
  listing_row(listing);
  table_name(table, entry->name_space);
  table_name(table, entry->key.op);
  table_name(table, entry->key.view);
  (void)snprintf(text, sizeof text, "%" PRIu32, entry->key.top_k); /* exact: part of the key */
  table_cell(table, text);
  table_cell(table, hash);
  table_cell(table, units_bytes(entry->value_size, text));
  table_cell(table, units_ns(entry->compute_ns, text));
  table_cell(table, units_ns(entry->idle_ns, text));
  table_cell(table, units_count(entry->hits, text));
}

static json_t *object_of(const struct fc_list_entry *entry) {
  json_t *rest =
      json_pack("{s:o, s:o, s:o, s:o, s:o}", "value_bytes", json_value_count(entry->value_size),
                "charge_bytes",
                entry->charge > 0 ? json_value_count(entry->charge) : json_null(), /* in an image */
                "compute_s", json_value_seconds(entry->compute_ns), "idle_s",
                json_value_seconds(entry->idle_ns), "hits", json_value_count(entry->hits));

  return json_value_key(&entry->name_space, &entry->key, rest);
}

void list_print_entry(void *arg, const struct fc_list_entry *entry) {
  struct listing *listing = arg;

  if (listing->json)
    listing_object(listing, object_of(entry));
  else
    print_row(listing, entry);
}

static int fetch(struct admin *admin, struct listing *listing) {
  struct fc_select select = key_filter_select(&listing->filter);

  return admin_list(admin, &select, listing->limit, list_print_entry, listing);
}

static int run(struct admin *admin) {
  return listing_run(admin, &list_kind, fetch);
}

static const struct argp_option options[] = {KEY_FILTER_OPTIONS, LISTING_OPTIONS("entries"), {0}};

const struct command list_command = {
    .name = "list",
    .summary = "list entries, most recently used first",
    .doc = "List entries, most recently used first."
           "\v"
           "Examples:\n"
           "  fcachectl list --namespace gpt2 --view base --limit 20\n"
           "  fcachectl list --json | jq '.[].prompt'",
    .options = options,
    .parse = listing_parse,
    .run = run};
