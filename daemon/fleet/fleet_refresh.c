/* fleet_refresh.c - reads the steps that the node does not know yet. */
#include <stdlib.h>
#include <string.h>

#include "daemon/fleet/fleet_clears_internal.h"

/* Records in one read, and of those the ones before the first that is needed: other nodes may make
 * steps between the version and the read, and so move the places in the log. */
#define REFRESH_RECORDS 512u
#define REFRESH_MARGIN 64u
/* Reads of the version in one refresh. More than a few say that the tier makes no sense. */
#define REFRESH_ROUNDS_MAX 16u
/* A restarted node waits so long before it makes an id for an empty tier: a node that knows the
 * table restores it. */
#define REFRESH_NONE_NS UINT64_C(1000000000)

static void done(struct fleet_op *op, const struct fleet_reply *reply, uint64_t now_ns);

static struct fleet_clears *clears_of(struct fleet_op *op) {
  return (struct fleet_clears *)((uintptr_t)op - offsetof(struct fleet_clears, refresh.op));
}

/* ---- the end ---- */

void fleet_refresh_end(struct fleet_clears *clears, bool ok) {
  clears->refresh.at = FLEET_REFRESH_ENDS;
  clears->refresh.ok = ok;
}

static void reset(struct fleet_clears *clears) {
  fleet_scopes_deinit(&clears->refresh.next);
  clears->refresh.batch_size = clears->refresh.applied = 0;
  clears->refresh.takes_table = false;
}

static void finish(struct fleet_clears *clears, uint64_t now_ns) {
  bool is_asked = clears->refresh.is_asked;
  bool is_behind = clears->refresh.ok && clears->newest < clears->refresh.wanted;
  bool ok = clears->refresh.ok && !is_behind;
  reset(clears);
  if (is_behind && ++clears->refresh.rounds < REFRESH_ROUNDS_MAX) {
    clears->refresh.at = FLEET_REFRESH_NONE;
    fleet_refresh_begin(clears, now_ns);
    return;
  }
  clears->refresh.at = FLEET_REFRESH_NONE;
  clears->refresh.is_asked = false;
  clears->refresh.rounds = 0;
  clears->refresh.wanted = 0;
  fleet_steps_refreshed(clears, ok, now_ns);
  if (is_asked && clears->refreshed != NULL)
    clears->refreshed(clears->refreshed_arg, ok, now_ns);
}

void fleet_refresh_tick(struct fleet_clears *clears, uint64_t now_ns) {
  if (clears->refresh.is_flying &&
      fleet_io_end_lost(clears->config.io, &clears->refresh.op, now_ns))
    return; /* its end was a tick */
  if (clears->refresh.at == FLEET_REFRESH_APPLY && clears->refresh.apply_ns <= now_ns)
    fleet_apply_step(clears, now_ns);
  if (clears->refresh.at == FLEET_REFRESH_ENDS)
    finish(clears, now_ns);
}

void fleet_refresh_deinit(struct fleet_clears *clears) {
  if (clears->refresh.is_flying)
    fleet_io_cancel(clears->config.io, &clears->refresh.op);
  clears->refresh.is_flying = false;
  clears->refresh.at = FLEET_REFRESH_NONE;
  reset(clears);
  free(clears->refresh.batch);
  free(clears->refresh.text);
  clears->refresh.batch = clears->refresh.text = NULL;
  clears->refresh.batch_capacity = 0;
}

/* ---- requests ---- */

void fleet_refresh_submit(struct fleet_clears *clears, enum fleet_refresh at, uint64_t now_ns) {
  struct fleet_op *op = &clears->refresh.op;
  clears->refresh.at = at;
  op->done = done;
  op->deadline_ns = now_ns + clears->config.deadline_ns;
  clears->refresh.is_flying = fleet_io_submit(clears->config.io, op, now_ns);
  if (!clears->refresh.is_flying)
    fleet_refresh_end(clears, false);
}

void fleet_refresh_begin(struct fleet_clears *clears, uint64_t now_ns) {
  if (clears->refresh.at != FLEET_REFRESH_NONE)
    return;
  fleet_clears_version_op(clears, &clears->refresh.op);
  fleet_refresh_submit(clears, FLEET_REFRESH_VERSION, now_ns);
}

static void read_version_again(struct fleet_clears *clears, uint64_t now_ns) {
  if (++clears->refresh.rounds >= REFRESH_ROUNDS_MAX) {
    fleet_refresh_end(clears, false);
    return;
  }
  clears->refresh.at = FLEET_REFRESH_NONE;
  fleet_refresh_begin(clears, now_ns);
}

static void read_table(struct fleet_clears *clears, uint64_t now_ns) {
  reset(clears);
  clears->refresh.op = (struct fleet_op){
      .kind = FLEET_OP_TABLE, .class = FLEET_READS, .key = fleet_key_str(&clears->hash_key)};
  fleet_refresh_submit(clears, FLEET_REFRESH_TABLE, now_ns);
}

/* Reads the records behind refresh.from, and that one itself, of a log that ends with `number`. */
void fleet_refresh_read_list(struct fleet_clears *clears, uint64_t number, uint64_t now_ns) {
  int64_t first = -(int64_t)(number - clears->refresh.from + 1 + REFRESH_MARGIN);
  int64_t last = first + (int64_t)(REFRESH_RECORDS + REFRESH_MARGIN);
  clears->refresh.op = (struct fleet_op){.kind = FLEET_OP_LIST,
                                         .class = FLEET_READS,
                                         .key = fleet_key_str(&clears->log_key),
                                         .first = first,
                                         .last = last < -1 ? last : -1};
  fleet_refresh_submit(clears, FLEET_REFRESH_LIST, now_ns);
}

/* ---- the version ---- */

bool fleet_refresh_read(const struct fleet_reply *reply, struct tier_version *seen) {
  struct fc_str id = {reply->value, (uint32_t)reply->size};
  *seen = (struct tier_version){0};
  if (reply->status == FLEET_NONE)
    return true;
  if (reply->status != FLEET_OK || reply->size > FLEET_ID_SIZE ||
      !fleet_id_decode(id, &seen->id, &seen->tag) || reply->number < 0 ||
      (uint64_t)reply->number > FLEET_NUMBER_MAX)
    return false;
  seen->number = (uint64_t)reply->number;
  return true;
}

bool fleet_refresh_is_equal(const struct fleet_clears *clears, const struct tier_version *seen) {
  return clears->is_known && seen->id == clears->own.id && seen->number == clears->own.number &&
         seen->tag == clears->own.tag;
}

/* The tier has no id. */
static void compare_none(struct fleet_clears *clears, uint64_t now_ns) {
  if (clears->refresh.none_ns == 0)
    clears->refresh.none_ns = now_ns;
  bool waits = !clears->is_known && clears->own.id != 0 &&
               now_ns < clears->refresh.none_ns + REFRESH_NONE_NS;
  if (clears->config.writes && !waits)
    fleet_refresh_merge(clears, now_ns);
  else
    fleet_refresh_end(clears, clears->is_known);
}

void fleet_refresh_compare(struct fleet_clears *clears, uint64_t now_ns) {
  const struct tier_version *seen = &clears->refresh.seen, *own = &clears->own;
  if (seen->id == 0) {
    compare_none(clears, now_ns);
    return;
  }
  clears->refresh.none_ns = 0;
  if (fleet_refresh_is_equal(clears, seen)) {
    clears->refresh.is_healing = false;
    fleet_refresh_end(clears, true);
    return;
  }
  bool reads_list = clears->is_known && seen->id == own->id && seen->number > own->number &&
                    seen->number < own->number + FLEET_LOG_MAX;
  bool merges = clears->is_known && seen->id == own->id && seen->number <= own->number &&
                clears->config.writes;
  if (reads_list) {
    clears->refresh.from = own->number;
    fleet_refresh_read_list(clears, seen->number, now_ns);
  } else if (merges) {
    fleet_refresh_merge(clears, now_ns);
  } else {
    read_table(clears, now_ns);
  }
}

/* ---- the log ---- */

/* What a list has behind refresh.from. A gap: the table has more. */
enum list_result { LIST_OK, LIST_GAP, LIST_DIVERGED, LIST_BAD };

/* Whether the table was healed behind refresh.from: then it has all that the log lacks. */
static bool is_healed(const struct fleet_clears *clears, const struct fleet_reply *reply) {
  struct fleet_record record;
  for (size_t i = reply->n_items; i > 0; i--)
    if (fleet_record_decode(reply->items[i - 1], &record) && record.kind == FLEET_RECORD_HEAL &&
        record.number > clears->refresh.from)
      return true;
  return false;
}

/* Whether a record is that of the node's own number, and not the step that the node knows. */
static bool is_diverged(const struct fleet_clears *clears, const struct fleet_record *record) {
  return record->number == clears->refresh.from && record->number == clears->own.number &&
         record->tag != clears->own.tag;
}

/* Of a record of a later version only the number counts. What else it has may be of any size. */
static bool add_record(struct fleet_clears *clears, const struct fleet_record *record) {
  bool is_other = record->kind == FLEET_RECORD_OTHER;
  return fleet_apply_add(clears, is_other ? '?' : (char)record->kind, record->number, record->tag,
                         record->node, is_other ? (struct fc_str){0} : record->detail);
}

/* Adds the records to the batch. While the table is taken, only deletes, and a gap is what the log
 * has lost: the floor of deletes is for it. */
static enum list_result take_list(struct fleet_clears *clears, const struct fleet_reply *reply) {
  uint64_t from = clears->refresh.from, next = from + 1;
  bool takes_table = clears->refresh.takes_table, has_own = from == 0;
  if (reply->n_items > REFRESH_RECORDS + REFRESH_MARGIN + 1)
    return LIST_BAD; /* so many were not requested */
  for (size_t i = 0; i < reply->n_items; i++) {
    struct fleet_record record;
    if (!fleet_record_decode(reply->items[i], &record))
      return LIST_BAD;
    if (is_diverged(clears, &record) && !is_healed(clears, reply))
      return LIST_DIVERGED;
    has_own = has_own || (record.number == from && !is_diverged(clears, &record));
    if (record.number < next)
      continue;
    if (!takes_table && (record.number > next || record.kind == FLEET_RECORD_HEAL || !has_own))
      return LIST_GAP;
    next = record.number + 1;
    bool is_wanted = !takes_table || record.kind == FLEET_RECORD_DELETE;
    if (is_wanted && !add_record(clears, &record))
      return LIST_BAD;
  }
  if (next == from + 1 && !takes_table)
    return LIST_GAP;
  clears->refresh.from = next - 1;
  return LIST_OK;
}

void fleet_refresh_apply(struct fleet_clears *clears, uint64_t now_ns) {
  clears->refresh.at = FLEET_REFRESH_APPLY;
  fleet_apply_step(clears, now_ns);
}

/* A list that belongs to a table. */
static void list_of_table(struct fleet_clears *clears, enum list_result result, uint64_t before,
                          uint64_t now_ns) {
  uint64_t number = clears->refresh.target.number;
  bool more = result == LIST_OK && clears->refresh.from > before && clears->refresh.from < number;
  if (result == LIST_BAD || (result == LIST_DIVERGED && !fleet_apply_add_all(clears)))
    fleet_refresh_end(clears, false);
  else if (more)
    fleet_refresh_read_list(clears, number, now_ns);
  else
    fleet_refresh_apply(clears, now_ns);
}

static void list_done(struct fleet_clears *clears, const struct fleet_reply *reply,
                      uint64_t now_ns) {
  uint64_t before = clears->refresh.from;
  enum list_result result = reply->status == FLEET_OK || reply->status == FLEET_NONE
                                ? take_list(clears, reply)
                                : LIST_BAD;
  if (clears->refresh.takes_table)
    list_of_table(clears, result, before, now_ns);
  else if (result == LIST_BAD)
    fleet_refresh_end(clears, false);
  else if (result == LIST_DIVERGED && clears->config.writes)
    fleet_refresh_merge(clears, now_ns);
  else if (result != LIST_OK)
    read_table(clears, now_ns);
  else
    fleet_refresh_apply(clears, now_ns);
}

void fleet_refresh_applied(struct fleet_clears *clears, uint64_t now_ns) {
  const struct tier_version *seen = &clears->refresh.seen, *own = &clears->own;
  if (own->id == seen->id && own->number >= seen->number && own->number >= clears->refresh.wanted)
    fleet_refresh_end(clears, true);
  else
    read_version_again(clears, now_ns);
}

/* ---- replies ---- */

static void done(struct fleet_op *op, const struct fleet_reply *reply, uint64_t now_ns) {
  struct fleet_clears *clears = clears_of(op);
  clears->refresh.is_flying = false;
  switch (clears->refresh.at) {
  case FLEET_REFRESH_VERSION:
    if (fleet_refresh_read(reply, &clears->refresh.seen))
      fleet_refresh_compare(clears, now_ns);
    else
      fleet_refresh_end(clears, false);
    break;
  case FLEET_REFRESH_LIST:
    list_done(clears, reply, now_ns);
    break;
  case FLEET_REFRESH_TABLE:
    fleet_table_done(clears, reply, now_ns);
    break;
  case FLEET_REFRESH_MERGE:
    if (reply->status == FLEET_OK)
      read_version_again(clears, now_ns);
    else
      fleet_refresh_end(clears, false);
    break;
  default:
    break;
  }
  fleet_refresh_tick(clears, now_ns);
}
