/* fleet_table.c - takes the whole clear table from the tier. */
#include <string.h>

#include "daemon/fleet/fleet_clears_internal.h"

/* Fields and values. The scripts make a table of half as many fields at most. Each scope may take a
 * walk through those before it, so a table without a bound could stop this node. */
#define ITEMS_MAX (2u * 2u * FLEET_SCOPES_FOLD)

struct table {
  struct fleet_clears *clears;
  struct tier_version saved;
  uint64_t floor, deleted;
  uint64_t from; /* scopes above it are cleared */
};

static bool read_field(struct table *table, struct fc_str field, struct fc_str value) {
  struct fc_select select;
  uint64_t version;
  if (fc_str_equal(field, fc_str_of("id")))
    return fleet_id_decode(value, &table->saved.id, &table->saved.tag);
  if (fc_str_equal(field, fc_str_of("n")))
    return fleet_number_decode(value, &table->saved.number);
  if (fc_str_equal(field, fc_str_of("floor")))
    return fleet_number_decode(value, &table->floor);
  if (fc_str_equal(field, fc_str_of("deleted")))
    return fleet_number_decode(value, &table->deleted);
  if (!fleet_scope_decode(field, &select))
    return memchr(field.data, FLEET_SEPARATOR, field.size) == NULL; /* of a later version */
  if (!fleet_number_decode(value, &version))
    return false;
  fleet_scopes_load(&table->clears->refresh.next, &select, version);
  return true;
}

static bool read_fields(struct table *table, const struct fleet_reply *reply) {
  if (reply->status == FLEET_NONE)
    return true;
  if (reply->status != FLEET_OK || reply->n_items % 2 != 0 || reply->n_items > ITEMS_MAX)
    return false;
  for (size_t i = 0; i < reply->n_items; i += 2)
    if (!read_field(table, reply->items[i], reply->items[i + 1]))
      return false;
  return true;
}

static bool add_scope_above(void *arg, const struct fc_select *select, uint64_t version) {
  const struct table *table = arg;
  struct fleet_text text;
  fleet_scope_encode(select, &text);
  return version <= table->from ||
         fleet_apply_add(table->clears, FLEET_RECORD_CLEAR, version, 0, 0, fleet_text_str(&text));
}

static bool is_covered(void *arg, const struct fc_select *select, uint64_t version) {
  const struct fleet_clears *clears = arg;
  return fleet_scopes_floor_of(&clears->refresh.next, select) >= version;
}

/* Whether the tier's table lacks a clear or a delete that this node knows. */
static bool lacks_ours(const struct table *table) {
  struct fleet_clears *clears = table->clears;
  bool lost_deletes = clears->had_deletes && table->deleted == 0;
  return table->saved.number < clears->own.number || lost_deletes ||
         !fleet_scopes_each(&clears->scopes, is_covered, clears);
}

static void take_table(struct table *table, uint64_t now_ns) {
  struct fleet_clears *clears = table->clears;
  bool is_same = clears->own.id == table->saved.id;
  bool is_other = !is_same && clears->own.id != 0;
  bool lacks = is_same && clears->is_known && lacks_ours(table);
  if (lacks && clears->config.writes) {
    fleet_refresh_merge(clears, now_ns);
    return;
  }
  if (is_other)
    log_line(clears->config.log, LOG_LEVEL_WARNING,
             "the tier is another than before, or was emptied: clearing this node's cache, because "
             "clears may be unknown");
  table->from =
      is_same && !lacks && table->saved.number >= clears->own.number ? clears->own.number : 0;
  clears->refresh.takes_table = true;
  clears->refresh.target = table->saved;
  clears->refresh.has_deletes = table->deleted > 0;
  clears->refresh.from = table->from;
  bool all = is_other || table->floor > table->from;
  bool added = all ? fleet_apply_add_all(clears)
                   : fleet_scopes_each(&clears->refresh.next, add_scope_above, table);
  if (!added)
    fleet_refresh_end(clears, false);
  else if (!all && table->deleted > table->from)
    fleet_refresh_read_list(clears, table->saved.number, now_ns);
  else
    fleet_refresh_apply(clears, now_ns);
}

void fleet_table_done(struct fleet_clears *clears, const struct fleet_reply *reply,
                      uint64_t now_ns) {
  struct table table = {.clears = clears};
  bool is_valid = read_fields(&table, reply);
  clears->refresh.seen = table.saved;
  if (is_valid && table.saved.id != 0) {
    clears->refresh.is_damaged = false;
    take_table(&table, now_ns);
  } else if (is_valid) {
    fleet_refresh_compare(clears, now_ns);
  } else {
    if (reply->status == FLEET_OK || reply->status == FLEET_WRONG)
      log_once(clears->config.log, &clears->refresh.is_damaged, LOG_LEVEL_ERROR,
               "the tier's key %.*s is no clear table: not using the tier. Delete that key, "
               "and clear the fleet",
               (int)clears->hash_key.size, clears->hash_key.text);
    fleet_refresh_end(clears, false);
  }
}
