/* fleet_merge.c - gives a tier that has lost clears the table of this node. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/fleet/fleet_clears_internal.h"

struct merge_text {
  char *to; /* NULL: only counts */
  size_t size;
};

static bool add_scope(void *arg, const struct fc_select *select, uint64_t version) {
  struct merge_text *text = arg;
  struct fleet_text scope;
  char number[24];
  fleet_scope_encode(select, &scope);
  int digits = snprintf(number, sizeof number, "\x1e%llu", (unsigned long long)version);
  if (text->to != NULL) {
    char *to = text->to + text->size;
    *to++ = '\x1e';
    memcpy(to, scope.data, scope.size);
    memcpy(to + scope.size, number, (size_t)digits);
  }
  text->size += 1 + scope.size + (size_t)digits;
  return true;
}

/* Returns the table as the script takes it, in refresh.text. Without memory it has no data. */
static struct fc_str merge_text(struct fleet_clears *clears, const struct tier_version *ours) {
  struct merge_text text = {NULL, FLEET_HEX_SIZE};
  (void)fleet_scopes_each(&clears->scopes, add_scope, &text);
  free(clears->refresh.text);
  text.to = clears->refresh.text = malloc(text.size + 1);
  if (text.to == NULL)
    return (struct fc_str){0};
  text.to[0] = clears->had_deletes ? '1' : '0';
  fleet_hex(ours->tag, text.to + 1);
  text.size = FLEET_HEX_SIZE;
  (void)fleet_scopes_each(&clears->scopes, add_scope, &text);
  return (struct fc_str){text.to, (uint32_t)text.size};
}

static void set_merge_args(struct fleet_clears *clears, const struct tier_version *ours) {
  struct fleet_merge_args *args = &clears->refresh.merge;
  const struct tier_version *seen = &clears->refresh.seen;
  fleet_hex(ours->id, args->id);
  fleet_hex(fleet_clears_random(clears), args->tag);
  fleet_hex(clears->config.node, args->node);
  (void)snprintf(args->number, sizeof args->number, "%llu", (unsigned long long)ours->number);
  args->seen[0] = '\0';
  if (seen->id != 0)
    (void)snprintf(args->seen, sizeof args->seen, "%016llx:%016llx", (unsigned long long)seen->id,
                   (unsigned long long)seen->tag);
}

void fleet_refresh_merge(struct fleet_clears *clears, uint64_t now_ns) {
  struct fleet_merge_args *args = &clears->refresh.merge;
  struct tier_version ours = clears->own;
  if (!clears->is_known)
    ours = (struct tier_version){fleet_clears_random(clears), 0, fleet_clears_random(clears)};
  set_merge_args(clears, &ours);
  struct fc_str table = merge_text(clears, &ours);
  if (table.data == NULL) {
    fleet_refresh_end(clears, false);
    return;
  }
  clears->heals += clears->is_known;
  if (clears->is_known)
    log_once(clears->config.log, &clears->refresh.is_healing, LOG_LEVEL_WARNING,
             "the tier has lost %s: writing back the clear table of this node, version %llu",
             clears->refresh.seen.id == 0 ? "its clear table" : "clears",
             (unsigned long long)ours.number);
  clears->refresh.op =
      (struct fleet_op){.kind = FLEET_OP_SCRIPT,
                        .class = FLEET_WRITES,
                        .key = fleet_key_str(&clears->hash_key),
                        .script = &fleet_script_merge,
                        .args = {fc_str_of(args->id), fc_str_of(args->tag), fc_str_of(args->node),
                                 fc_str_of(args->seen), fc_str_of(args->number), table},
                        .n_args = 6};
  fleet_refresh_submit(clears, FLEET_REFRESH_MERGE, now_ns);
}
