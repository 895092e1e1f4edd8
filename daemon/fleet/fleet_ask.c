/* Asks the tier for a value, and for the clear version, without which the value does not count. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/allocator.h"
#include "daemon/base/check.h"
#include "daemon/fleet/fleet_internal.h"
#include "proto/errors.h"
#include "proto/wire/message.h"

/* A stamp that is further ahead of this node's clock is not followed: a broken clock elsewhere must
 * not move that of the whole fleet. */
#define STAMP_AHEAD_MAX_NS UINT64_C(3600000000000)
#define ROOM_SLICES 4u /* of evictions for one value in one turn */
/* Of a value: another node may claim anything. client_time.h bounds what clients claim likewise. */
#define COMPUTE_MAX_NS UINT64_C(86400000000000)

static void step(struct fleet_fill *fill, const void *data, size_t size, uint64_t now_ns);

static void fail(struct fleet_fill *fill, uint64_t now_ns) {
  fill->fleet->counts.failed++;
  fill_finish(fill, now_ns);
}

/* ---- the value ---- */

static void count_bad(struct fleet *fleet, uint64_t n) {
  fleet->counts.bad_values += n;
  fleet->config.totals->bad_values += n;
}

static void read_done(struct fleet_op *op, const struct fleet_reply *reply, uint64_t now_ns);

static bool submit_read(struct fleet_fill *fill, uint64_t now_ns) {
  fill->op = (struct fleet_op){.kind = FLEET_OP_READ,
                               .class = FLEET_READS,
                               .key = fleet_key_str(&fill->value_name),
                               .limit = FLEET_VALUE_HEAD + 1 +
                                        (uint64_t)fill->fleet->config.store->max_value,
                               .done = read_done};
  fill->is_read = fill->read_lost = false;
  return fill_submit(fill, now_ns);
}

static void read_again(struct fleet_fill *fill, uint64_t now_ns) {
  if (++fill->attempts >= FLEET_ATTEMPTS_MAX || !submit_read(fill, now_ns))
    fail(fill, now_ns);
}

/* The clear version is not known yet. */
static void keep(struct fleet_fill *fill, const struct fleet_reply *reply) {
  struct fleet *fleet = fill->fleet;
  fill->is_read = true;
  fill->kept_size = reply->size;
  if (reply->size == 0)
    return;
  bool fits =
      reply->size <= FLEET_KEPT_EACH_MAX && fleet->kept_bytes + reply->size <= FLEET_KEPT_ALL_MAX;
  fill->kept = fits ? malloc(reply->size) : NULL;
  fill->read_lost = fill->kept == NULL;
  if (fill->read_lost)
    return;
  memcpy(fill->kept, reply->value, reply->size);
  fleet->kept_bytes += reply->size;
}

static void read_done(struct fleet_op *op, const struct fleet_reply *reply, uint64_t now_ns) {
  struct fleet_fill *fill = (struct fleet_fill *)op;
  if (!fill_landed(fill))
    return;
  check_eq(fill->state, FILL_ASKING);
  count_bad(fill->fleet, reply->status == FLEET_WRONG);
  if (reply->status != FLEET_OK && reply->status != FLEET_NONE && reply->status != FLEET_WRONG)
    fail(fill, now_ns);
  else if (!fill->version_known)
    keep(fill, reply);
  else
    step(fill, reply->value, reply->size, now_ns);
}

/* The version is known, and a read has ended. */
static void step_kept(struct fleet_fill *fill, uint64_t now_ns) {
  uint8_t *kept = fill->kept;
  size_t size = fill->kept_size;
  fill->kept = NULL;
  fill->fleet->kept_bytes -= kept == NULL ? 0 : size;
  if (fill->read_lost && !submit_read(fill, now_ns))
    fail(fill, now_ns);
  else if (!fill->flying)
    step(fill, kept, size, now_ns);
  free(kept);
}

/* ---- what the value is ---- */

static void follow_stamp(struct fleet *fleet, uint64_t stamp, uint64_t now_ns) {
  if (stamp > fleet->last_stamp && stamp < now_ns + fleet->wall_offset_ns + STAMP_AHEAD_MAX_NS)
    fleet->last_stamp = stamp;
}

static bool make_room(struct fleet_fill *fill, const struct fleet_value *value,
                      const struct store_put_info *info) {
  struct store *store = fill->fleet->config.store;
  for (uint32_t i = 0; i < ROOM_SLICES; i++)
    if (store_put_has_room(store, fill->ns, &fill->key, (uint32_t)value->size, info))
      return true;
  return false; /* a put of a worker goes on with it, over several turns */
}

static enum fill_found store_value(struct fleet_fill *fill, const struct fleet_value *value,
                                   uint64_t now_ns) {
  struct fleet *fleet = fill->fleet;
  const struct fleet_config *config = &fleet->config;
  uint64_t compute_ns = value->compute_ns < COMPUTE_MAX_NS ? value->compute_ns : COMPUTE_MAX_NS;
  struct store_put_info info = {.compute_ns = compute_ns,
                                .now_ns = now_ns,
                                .keep_first = true,
                                .has_generation = true,
                                .generation = fill->generation};
  follow_stamp(fleet, value->stamp, now_ns);
  int outcome = FC_ETOOBIG;
  if (value->size <= config->store->max_value && make_room(fill, value, &info))
    outcome =
        store_put(config->store, fill->ns, &fill->key, value->data, (uint32_t)value->size, &info);
  if (outcome == FC_STALE) {
    fleet->counts.stale++;
    return FILL_STALE;
  }
  if (outcome < 0) {
    fleet->counts.too_big++;
    return FILL_NO_ROOM;
  }
  fleet->counts.found++;
  config->totals->hits++;
  if (fill->state == FILL_REMOTE)
    fleet_polls_end(&fill->polls, &fleet->pace, value->compute_ns, now_ns);
  return FILL_STORED;
}

/* There may be one that began before the fill. fleet_lease_changed finds no lease in the fill any
 * more, so it leaves the fill as it is. */
static void end_local_lease(struct fleet_fill *fill, uint64_t now_ns) {
  struct leases *leases = fill->fleet->config.leases;
  fill->lease = NULL;
  if (leases->n > 0)
    leases_put(leases, fill->ns, fill->digest, &fill->key, now_ns);
}

/* A value that fails a check. Polls may read it again: it counts once. */
static void take_bad(struct fleet_fill *fill, const void *data, size_t size) {
  uint32_t head = size < FLEET_VALUE_HEAD ? (uint32_t)size : FLEET_VALUE_HEAD;
  if (fill->seen_size == head && memcmp(fill->seen, data, head) == 0)
    return;
  count_bad(fill->fleet, 1);
  fill->seen_size = head;
  memcpy(fill->seen, data, head);
}

enum fill_found fill_take(struct fleet_fill *fill, const void *data, size_t size, uint64_t now_ns) {
  struct fleet_counts *counts = &fill->fleet->counts;
  struct fleet_value value;
  if (fill->is_overtaken) /* and what was put may be evicted, and its write be sent, by now */
    return FILL_OVERTAKEN;
  if (size == 0)
    return FILL_NOTHING;
  switch (fleet_value_decode(data, size, &fill->hash, fill->version,
                             fill->fleet->config.store->max_value, &value)) {
  case FLEET_VALUE_GOOD:
    break;
  case FLEET_VALUE_TOMBSTONE:
    counts->tombstones += fill->state == FILL_ASKING;
    follow_stamp(fill->fleet, value.stamp, now_ns);
    return FILL_NOTHING; /* the queue looks at it when it publishes */
  case FLEET_VALUE_TOO_BIG:
    counts->too_big++;
    fleet_own_mark(&fill->fleet->own, &fill->hash, fill->version); /* not read in vain again */
    return FILL_NO_ROOM;
  default:
    take_bad(fill, data, size);
    return FILL_NOTHING;
  }
  enum fill_found found = store_value(fill, &value, now_ns);
  if (found == FILL_STORED)
    end_local_lease(fill, now_ns);
  return found;
}

/* A node without `writes` takes no lease. A late fill has nobody left that waits for it. */
static void missed(struct fleet_fill *fill, uint64_t now_ns) {
  struct fleet *fleet = fill->fleet;
  fleet->counts.missed++;
  fleet->config.totals->misses++;
  if (!fleet->config.writes || fill->is_late || fleet->stopping)
    fill_finish(fill, now_ns);
  else
    fill_lease(fill, now_ns);
}

/* The version is known, and the read returned `data`. */
static void step(struct fleet_fill *fill, const void *data, size_t size, uint64_t now_ns) {
  const struct fleet_config *config = &fill->fleet->config;
  enum fill_found found = FILL_STALE;
  if (fleet_clears_version_of(config->clears, fill->ns->name, &fill->key) == fill->version)
    found = fill_take(fill, data, size, now_ns);
  if (found == FILL_NOTHING) {
    missed(fill, now_ns);
  } else if (found == FILL_STALE && !fill->is_late) {
    fill_set_version(fill);
    read_again(fill, now_ns);
  } else {
    fill_finish(fill, now_ns);
    fleet_tell_waits(fill->fleet);
  }
}

/* ---- the version ---- */

static void version_known(struct fleet_fill *fill, uint64_t now_ns) {
  fill->version_known = true;
  if (fill->is_read)
    step_kept(fill, now_ns);
}

void fill_leave_round(struct fleet_fill *fill) {
  struct fleet_round *round = fill->round;
  if (round == NULL)
    return;
  *(fill->prev_in_round == NULL ? &round->first : &fill->prev_in_round->next_in_round) =
      fill->next_in_round;
  if (fill->next_in_round != NULL)
    fill->next_in_round->prev_in_round = fill->prev_in_round;
  fill->round = NULL;
}

static void join_round(struct fleet_fill *fill, struct fleet_round *round) {
  fill->round = round;
  fill->prev_in_round = NULL;
  fill->next_in_round = round->first;
  if (fill->next_in_round != NULL)
    fill->next_in_round->prev_in_round = fill;
  round->first = fill;
}

static void free_round(struct fleet_round *round) {
  struct fleet *fleet = round->fleet;
  if (fleet->round == round)
    fleet->round = NULL;
  *(round->prev == NULL ? &fleet->first_round : &round->prev->next) = round->next;
  *(round->next == NULL ? &fleet->last_round : &round->next->prev) = round->prev;
  fleet->bytes -= sizeof *round + ALLOCATOR_OVERHEAD_BYTES;
  free(round);
}

/* A fill that the reply does not satisfy waits for fleet_refreshed. */
static void round_done(struct fleet_op *op, const struct fleet_reply *reply, uint64_t now_ns) {
  struct fleet_round *round = (struct fleet_round *)op;
  struct fleet *fleet = round->fleet;
  bool ok = reply->status == FLEET_OK || reply->status == FLEET_NONE;
  bool is_current = ok && fleet_clears_heard(fleet->config.clears, reply, now_ns);
  while (round->first != NULL) {
    struct fleet_fill *fill = round->first;
    fill_leave_round(fill);
    if (is_current)
      version_known(fill, now_ns);
    else if (!ok)
      fail(fill, now_ns);
  }
  free_round(round);
}

/* A request for the version that was sent may have been answered before the fill began, and so
 * without a clear that its session knows of. */
static struct fleet_round *open_round(struct fleet *fleet, uint64_t now_ns) {
  if (fleet->round != NULL && !fleet->round->op.sent)
    return fleet->round;
  struct fleet_round *round = calloc(1, sizeof *round);
  if (round == NULL)
    return NULL;
  fleet_clears_version_op(fleet->config.clears, &round->op);
  round->op.done = round_done;
  round->op.deadline_ns = now_ns + fleet->config.options.deadline_ns;
  round->fleet = fleet;
  if (!fleet_io_submit(fleet->config.io, &round->op, now_ns)) {
    free(round);
    return NULL;
  }
  round->prev = fleet->last_round;
  *(round->prev == NULL ? &fleet->first_round : &round->prev->next) = round;
  fleet->last_round = fleet->round = round;
  fleet->bytes += sizeof *round + ALLOCATOR_OVERHEAD_BYTES;
  return round;
}

bool fill_ask(struct fleet_fill *fill, uint64_t now_ns) {
  struct fleet_round *round = open_round(fill->fleet, now_ns);
  if (round == NULL)
    return false;
  join_round(fill, round); /* first: on one connection the version then comes first */
  return submit_read(fill, now_ns);
}

/* A step frees or ends its own fill at most. */
void fleet_refreshed(void *arg, bool ok, uint64_t now_ns) {
  struct fleet *fleet = arg;
  for (struct fleet_fill *fill = fleet->first, *next; fill != NULL; fill = next) {
    next = fill->next;
    if (fill->state != FILL_ASKING || fill->version_known || fill->round != NULL)
      continue;
    if (ok)
      version_known(fill, now_ns);
    else
      fail(fill, now_ns);
  }
}

void fleet_end_rounds(struct fleet *fleet) {
  for (struct fleet_round *round = fleet->first_round, *next; round != NULL; round = next) {
    next = round->next;
    assert(round->first == NULL);
    fleet_io_cancel(fleet->config.io, &round->op);
    free_round(round);
  }
}
