/* Fleet leases: takes, renews and releases them, and waits for those of other nodes. */
#include <assert.h>

#include "daemon/base/check.h"
#include "daemon/fleet/fleet_internal.h"
#include "daemon/fleet/fleet_scripts.h"

#define NS_PER_MS 1000000u

/* ---- release ---- */

static void release_done(struct fleet_op *op, const struct fleet_reply *reply, uint64_t now_ns) {
  struct fleet_fill *fill = (struct fleet_fill *)op;
  (void)reply; /* after a failure the lease expires */
  (void)now_ns;
  if (fill_landed(fill))
    fill_end(fill);
}

static void submit_release(struct fleet_fill *fill, uint64_t now_ns) {
  fill->op = (struct fleet_op){.kind = FLEET_OP_SCRIPT,
                               .class = FLEET_WRITES,
                               .script = &fleet_script_release,
                               .key = fleet_key_str(&fill->lease_name),
                               .args = {{fill->token, fill->token_size}},
                               .n_args = 1,
                               .done = release_done};
  fill->has_lease = false;
  fill->fleet->counts.leases_released++;
  if (!fill_submit(fill, now_ns))
    fill_end(fill);
}

/* Releases the lease as soon as the op before has ended, and the write of the value was sent. */
static void release_if_ready(struct fleet_fill *fill, uint64_t now_ns) {
  check_eq(fill->state, FILL_RELEASING);
  if (fill->flying || fill->is_writing)
    return;
  if (fill->has_lease)
    submit_release(fill, now_ns);
  else
    fill_end(fill);
}

/* A request for the lease that is in flight may be granted. */
void fill_finish(struct fleet_fill *fill, uint64_t now_ns) {
  bool is_requested = fill->flying && fill->op.kind == FLEET_OP_LEASE;
  if (!fill->has_lease && !fill->is_writing && !is_requested) {
    fill_end(fill);
    return;
  }
  fill_leave(fill);
  fill_set_state(fill, FILL_RELEASING);
  fill_stop_timer(fill);
  release_if_ready(fill, now_ns);
}

void fill_written(void *arg, void *owner, uint64_t now_ns) {
  struct fleet_fill *fill = owner;
  (void)arg;
  fill->is_writing = false;
  if (fill->state == FILL_RELEASING)
    release_if_ready(fill, now_ns);
}

/* Ends a fill whose local lease the fleet owns. The first waiter gets that lease, or `for_all`
 * compute. */
static void end_remote(struct fleet_fill *fill, bool for_all, uint64_t now_ns) {
  const struct fleet_config *config = &fill->fleet->config;
  fill_finish(fill, now_ns); /* first: the next owner is none of this fill */
  (void)leases_give_up(config->leases, config->client, fill->ns, fill->digest, &fill->key, for_all,
                       now_ns); /* false if it has ended */
  fleet_tell_waits(fill->fleet);
}

/* ---- HELD ---- */

static uint64_t renew_at(const struct fleet_fill *fill) {
  return fill->renewed_ns + fill->fleet->config.lease_ns / 3;
}

static void renew_done(struct fleet_op *op, const struct fleet_reply *reply, uint64_t now_ns) {
  struct fleet_fill *fill = (struct fleet_fill *)op;
  struct fleet_counts *counts = &fill->fleet->counts;
  if (!fill_landed(fill))
    return;
  bool is_lost =
      reply->status == FLEET_WRONG || (reply->status == FLEET_OK && reply->number == FLEET_LOST);
  counts->leases_renewed += reply->status == FLEET_OK && !is_lost;
  counts->leases_lost += is_lost;
  if (is_lost) /* the worker goes on: the first value that is published stays */
    fill->has_lease = false;
  if (fill->state == FILL_RELEASING)
    release_if_ready(fill, now_ns);
  else if (is_lost && fill->state == FILL_HELD)
    fill_stop_timer(fill);
}

static void renew(struct fleet_fill *fill, uint64_t now_ns) {
  fill->renewed_ns = now_ns;
  fill_set_timer(fill, renew_at(fill));
  if (fill->flying)
    return; /* the renewal before has no reply yet */
  fill->op = (struct fleet_op){.kind = FLEET_OP_SCRIPT,
                               .class = FLEET_WRITES,
                               .script = &fleet_script_renew,
                               .key = fleet_key_str(&fill->lease_name),
                               .args = {{fill->token, fill->token_size}, fc_str_of(fill->lease_ms)},
                               .n_args = 2,
                               .done = renew_done};
  (void)fill_submit(fill, now_ns); /* after a failure the next interval tries again */
}

/* ---- LEASING and REMOTE ---- */

static void lease_done(struct fleet_op *op, const struct fleet_reply *reply, uint64_t now_ns);

static bool request_lease(struct fleet_fill *fill, uint64_t now_ns) {
  const struct fleet_config *config = &fill->fleet->config;
  fill->op = (struct fleet_op){.kind = FLEET_OP_LEASE,
                               .class = FLEET_WRITES,
                               .key = fleet_key_str(&fill->value_name),
                               .more = fleet_key_str(&fill->lease_name),
                               .token = {fill->token, fill->token_size},
                               .time_ms = config->lease_ns / NS_PER_MS,
                               .limit = FLEET_VALUE_HEAD + 1 + (uint64_t)config->store->max_value,
                               .done = lease_done};
  fill->asked_ns = now_ns;
  return fill_submit(fill, now_ns);
}

void fill_lease(struct fleet_fill *fill, uint64_t now_ns) {
  fill_set_state(fill, FILL_LEASING);
  if (!request_lease(fill, now_ns)) {
    fill->fleet->counts.failed++;
    fill_finish(fill, now_ns);
  }
}

static void plan_poll(struct fleet_fill *fill, uint64_t now_ns) {
  struct fleet *fleet = fill->fleet;
  fleet->random ^= fleet->random << 13;
  fleet->random ^= fleet->random >> 7;
  fleet->random ^= fleet->random << 17;
  fill_set_timer(fill, fleet_polls_next(&fill->polls, &fleet->pace, now_ns - fill->asked_ns,
                                        fleet->random >> 11, now_ns));
}

/* Another node has the fleet lease. If a local worker computes already, nobody waits. */
static void wait_for_other(struct fleet_fill *fill, uint64_t now_ns) {
  struct fleet *fleet = fill->fleet;
  struct lease_request request = {.ns = fill->ns,
                                  .digest = fill->digest,
                                  .key = &fill->key,
                                  .wants = true,
                                  .term_ns = UINT64_MAX};
  fill_set_state(fill, FILL_REMOTE);
  if (fill->is_late || fill->lease != NULL || fleet->stopping ||
      leases_acquire(fleet->config.leases, fleet->config.client, &request, now_ns) !=
          LEASE_GRANTED) {
    fill_finish(fill, now_ns);
    return;
  }
  assert(fill->lease != NULL); /* fleet_lease_changed was called */
  fleet->counts.remote++;
  fill->lonely_since_ns = now_ns;
  fleet_polls_begin(&fill->polls, &fleet->pace, now_ns);
  plan_poll(fill, now_ns);
  fill_resume_all(fill);
}

static void poll(struct fleet_fill *fill, uint64_t now_ns) {
  if (fill->lease == NULL) { /* it ended, and got no other owner */
    fill_finish(fill, now_ns);
    return;
  }
  if (fill->lease->waits > 0)
    fill->lonely_since_ns = now_ns;
  if (now_ns - fill->lonely_since_ns >= FLEET_LONELY_NS) {
    end_remote(fill, false, now_ns);
    return;
  }
  fill_stop_timer(fill);
  fill->fleet->counts.polls++;
  if (!request_lease(fill, now_ns)) {
    fill->fleet->counts.failed++;
    end_remote(fill, false, now_ns);
  }
}

static void granted(struct fleet_fill *fill, uint64_t now_ns) {
  const struct fleet_config *config = &fill->fleet->config;
  bool was_remote = fill->state == FILL_REMOTE;
  fill->renewed_ns = fill->asked_ns; /* the reply may be a later try's, see fleet_io.h */
  fill_set_state(fill, FILL_OFFERED);
  fill_set_timer(fill, was_remote || fill->is_late ? 0 : now_ns + FLEET_OFFER_NS);
  if (was_remote) {
    fill->fleet->counts.remote_taken++;
    fill->lease = NULL;
    (void)leases_give_up(config->leases, config->client, fill->ns, fill->digest, &fill->key, false,
                         now_ns); /* true: the fleet owns it in this state */
    fleet_tell_waits(fill->fleet);
  } else if (fill->lease != NULL) {
    fill_lease_begins(fill, fill->lease, now_ns);
  }
  fill_resume_all(fill);
}

/* The tier's value ends the fill, or the reason why it is not served. */
static void ended_by_value(struct fleet_fill *fill, enum fill_found found, uint64_t now_ns) {
  struct fleet *fleet = fill->fleet;
  bool is_remote = fill->state == FILL_REMOTE;
  fleet->counts.remote_found += is_remote && found == FILL_STORED;
  if (is_remote && found != FILL_STORED) {
    end_remote(fill, found == FILL_NO_ROOM, now_ns);
    return;
  }
  fill_finish(fill, now_ns);
  fleet_tell_waits(fleet);
}

static void lease_failed(struct fleet_fill *fill, uint64_t now_ns) {
  fill->fleet->counts.failed++;
  if (fill->state == FILL_REMOTE)
    end_remote(fill, false, now_ns);
  else
    fill_finish(fill, now_ns);
}

static void lease_done(struct fleet_op *op, const struct fleet_reply *reply, uint64_t now_ns) {
  struct fleet_fill *fill = (struct fleet_fill *)op;
  if (!fill_landed(fill))
    return;
  fill->has_lease = reply->granted;
  fill->fleet->counts.leases_taken += fill->has_lease;
  if (fill->state == FILL_RELEASING) {
    release_if_ready(fill, now_ns);
    return;
  }
  if (fill->state == FILL_REMOTE && fill->lease == NULL) { /* it ended meanwhile */
    fill_finish(fill, now_ns);
    return;
  }
  if (reply->status != FLEET_OK && reply->status != FLEET_WRONG) {
    lease_failed(fill, now_ns);
    return;
  }
  enum fill_found found = fill_take(fill, reply->value, reply->size, now_ns);
  if (found != FILL_NOTHING)
    ended_by_value(fill, found, now_ns);
  else if (fill->has_lease)
    granted(fill, now_ns);
  else if (fill->state == FILL_REMOTE)
    plan_poll(fill, now_ns);
  else
    wait_for_other(fill, now_ns);
}

/* ---- the local lease, and time ---- */

/* The local lease has an owner that the fill is not for: after a clear the value has another name,
 * or the fleet lease is another node's. A new fill takes the fleet lease for the owner, which
 * computes meanwhile. */
static void begin_again(struct fleet_fill *fill, const struct lease *lease, uint64_t now_ns) {
  struct fleet *fleet = fill->fleet;
  struct fc_hash hash = fill->hash;
  fill_finish(fill, now_ns);
  if (fleet->stopping)
    return;
  struct fleet_fill *next = fill_new(fleet, lease->ns, lease->digest, &lease->key, &hash, now_ns);
  if (next == NULL)
    return;
  if (fill_ask(next, now_ns))
    fleet->counts.fills++;
  else
    fill_end(next);
}

void fill_lease_begins(struct fleet_fill *fill, const struct lease *lease, uint64_t now_ns) {
  const struct fleet_config *config = &fill->fleet->config;
  bool is_offered = fill->state == FILL_OFFERED;
  bool is_other = fill->state == FILL_REMOTE && lease->owner != config->client;
  bool is_cleared = is_offered && fleet_clears_version_of(config->clears, fill->ns->name,
                                                          &fill->key) != fill->version;
  if (is_other || is_cleared) {
    begin_again(fill, lease, now_ns);
    return;
  }
  fill->lease = lease;
  if (!is_offered)
    return;
  fill_set_state(fill, FILL_HELD);
  fill_set_timer(fill, fill->has_lease ? renew_at(fill) : UINT64_MAX);
}

/* A lease without an owner may get the next one at once. If it does not, the next tick ends the
 * fill. */
void fill_lease_ends(struct fleet_fill *fill, enum lease_change change, uint64_t now_ns) {
  if (fill->lease == NULL)
    return; /* by a call of the fill itself */
  fill->lease = NULL;
  if (fill->state != FILL_HELD && fill->state != FILL_REMOTE)
    return;
  if (change == LEASE_PUT) {
    fill_finish(fill, now_ns);
    return;
  }
  if (fill->state == FILL_HELD)
    fill_set_state(fill, FILL_OFFERED);
  fill_set_timer(fill, 0);
}

/* A large reply that is arriving gets more time. */
static void overdue(struct fleet_fill *fill, uint64_t now_ns) {
  uint64_t deadline_ns = fill->fleet->config.options.deadline_ns;
  uint64_t last_ns = fill->began_ns + FLEET_IO_DEADLINES * deadline_ns;
  if (fill->is_late) { /* what it waits for does not come any more */
    fill->fleet->counts.failed++;
    fill_finish(fill, now_ns);
    return;
  }
  if (fill->flying && fill->op.answering && now_ns < last_ns) {
    fill_set_timer(fill, last_ns);
    return;
  }
  fill->is_late = true;
  fill->fleet->counts.late++;
  fill_set_timer(fill, fill->began_ns + FLEET_IO_LOST_DEADLINES * deadline_ns);
  fill_resume_all(fill);
}

void fill_timer(struct fleet_fill *fill, uint64_t now_ns) {
  if (fill->flying && fleet_io_end_lost(fill->fleet->config.io, &fill->op, now_ns))
    return;
  if (now_ns < fill->due_ns) {
    fill_set_timer(fill, fill->due_ns);
    return;
  }
  switch (fill->state) {
  case FILL_ASKING:
  case FILL_LEASING:
    overdue(fill, now_ns);
    break;
  case FILL_OFFERED:
    fill_finish(fill, now_ns);
    break;
  case FILL_HELD:
    renew(fill, now_ns);
    break;
  case FILL_REMOTE:
    poll(fill, now_ns);
    break;
  default:
    fill_free(fill); /* ENDED: without a flying op, or its timer had not been set */
  }
}
