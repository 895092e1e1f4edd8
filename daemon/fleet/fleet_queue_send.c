/* Sends the writes of the queue, and decides by each reply what follows. */
#include <stdio.h>
#include <string.h>

#include "daemon/fleet/fleet_queue_internal.h"
#include "daemon/fleet/fleet_scripts.h"

#define NS_PER_MS 1000000u

static void retry(struct fleet_write *write, uint64_t now_ns) {
  write->retry_ns = now_ns + FLEET_QUEUE_RETRY_NS;
  fleet_write_append(&write->queue->retrying, write);
}

static void succeeded(struct fleet_write *write) {
  struct fleet_queue *queue = write->queue;
  queue->counts->published++;
  if (queue->totals != NULL)
    queue->totals->writes++;
  fleet_write_discard(write);
}

/* `mark`: the tier has, or may have, an older value than this node. */
static void refused(struct fleet_write *write, bool mark) {
  struct fleet_queue *queue = write->queue;
  queue->counts->refused++;
  if (queue->totals != NULL)
    queue->totals->kept++;
  if (mark)
    fleet_own_mark(queue->own, &write->hash, write->version);
  fleet_write_discard(write);
}

static void attempt(struct fleet_write *write, uint64_t now_ns);

static void replace_seen(struct fleet_write *write, const struct fleet_reply *reply,
                         uint64_t now_ns) {
  write->seen_size = (uint32_t)reply->size;
  if (reply->size > 0)
    memcpy(write->seen, reply->value, reply->size);
  write->step = WRITE_REPLACE;
  attempt(write, now_ns);
}

static bool has_head(const struct fleet_reply *reply) {
  return reply->size == FLEET_VALUE_HEAD &&
         memcmp(reply->value, FLEET_VALUE_MAGIC, strlen(FLEET_VALUE_MAGIC)) == 0;
}

/* The tier had something where this write was to be stored, and this is its head. */
static void looked(struct fleet_write *write, const struct fleet_reply *reply, uint64_t now_ns) {
  struct fleet_value found;
  if (reply->status == FLEET_NONE) { /* it is gone by now */
    write->step = write->keep_first ? WRITE_PUBLISH : WRITE_REPLACE;
    attempt(write, now_ns);
  } else if (!has_head(reply)) {
    if (reply->size <= FLEET_VALUE_HEAD)
      replace_seen(write, reply, now_ns);
    else
      refused(write, true);
  } else if (memcmp(reply->value, write->data, FLEET_VALUE_HEAD) == 0) {
    succeeded(write); /* by an attempt whose reply was lost */
  } else if (fleet_value_decode(reply->value, reply->size, &write->hash, write->version, 0,
                                &found) == FLEET_VALUE_TOMBSTONE) {
    if (found.deleted <= write->known_version)
      replace_seen(write, reply, now_ns);
    else
      refused(write, false); /* the put may have been computed before the delete */
  } else {
    refused(write, write->keep_first);
  }
}

static bool is_stored(const struct fleet_write *write, const struct fleet_reply *reply) {
  return reply->status == FLEET_OK &&
         (write->step == WRITE_PUBLISH ||
          (write->step == WRITE_REPLACE && reply->number == FLEET_REPLACED));
}

static void look(struct fleet_write *write, uint64_t now_ns) {
  write->step = WRITE_LOOK;
  attempt(write, now_ns);
}

static void done(struct fleet_op *op, const struct fleet_reply *reply, uint64_t now_ns) {
  struct fleet_write *write = (struct fleet_write *)op;
  struct fleet_queue *queue = write->queue;
  fleet_write_unlist(write);
  queue->n_flying--;
  queue->flying_bytes -= write->size;
  bool ended = reply->status == FLEET_OK || reply->status == FLEET_NONE;
  if (!ended && reply->status != FLEET_WRONG)
    queue->window = 1;
  else if (queue->window < FLEET_QUEUE_IN_FLIGHT)
    queue->window++;
  if (write->is_obsolete && !is_stored(write, reply)) {
    queue->counts->superseded++; /* the second write decides what the tier has */
    fleet_write_discard(write);
  } else if (write->step == WRITE_LOOK && (ended || reply->status == FLEET_WRONG)) {
    looked(write, reply, now_ns);
  } else if (!ended) {
    write->was_refused = reply->status == FLEET_REFUSED;
    retry(write, now_ns);
  } else if (is_stored(write, reply)) {
    succeeded(write);
  } else if (write->keep_first || reply->number == FLEET_TOMBSTONE_FOUND) {
    look(write, now_ns);
  } else {
    refused(write, false); /* the tier has a later value */
  }
  fleet_queue_tick(queue, now_ns);
}

static void set_replace(struct fleet_write *write) {
  struct fleet_op *op = &write->op;
  int size = snprintf(write->ttl_ms, sizeof write->ttl_ms, "%llu", (unsigned long long)op->time_ms);
  op->script = &fleet_script_replace;
  op->args[0] = op->payload;
  op->args[1] = (struct fc_str){write->ttl_ms, (uint32_t)size};
  op->args[2] = (struct fc_str){(const char *)write->seen, write->seen_size};
  op->args[3] = fc_str_of(write->keep_first ? "0" : "1");
  op->n_args = 4;
}

static void set_op(struct fleet_write *write, uint64_t now_ns) {
  static const enum fleet_op_kind kinds[] = {[WRITE_PUBLISH] = FLEET_OP_PUBLISH,
                                             [WRITE_LOOK] = FLEET_OP_READ,
                                             [WRITE_REPLACE] = FLEET_OP_SCRIPT};
  const struct fleet_queue *queue = write->queue;
  uint64_t more_ns = (queue->flying_bytes + write->size) / FLEET_QUEUE_BYTES_PER_MS * NS_PER_MS;
  write->op = (struct fleet_op){.kind = kinds[write->step],
                                .class = write->step == WRITE_LOOK ? FLEET_READS : FLEET_WRITES,
                                .key = fleet_key_str(&write->name),
                                .payload = {(const char *)write->data, (uint32_t)write->size},
                                .time_ms = queue->ttl_ns / NS_PER_MS,
                                .limit = FLEET_VALUE_HEAD,
                                .deadline_ns = now_ns + queue->deadline_ns + more_ns,
                                .done = done};
  if (write->step == WRITE_REPLACE)
    set_replace(write);
}

/* Sends a write that is in no list, or puts it into a list for later. */
static void attempt(struct fleet_write *write, uint64_t now_ns) {
  struct fleet_queue *queue = write->queue;
  set_op(write, now_ns);
  if (!fleet_io_submit(queue->io, &write->op, now_ns)) {
    retry(write, now_ns);
    return;
  }
  fleet_write_append(&queue->flying, write);
  queue->n_flying++;
  queue->flying_bytes += write->size;
  if (!write->passed)
    fleet_write_pass(write, now_ns);
}

static bool has_window(const struct fleet_queue *queue) {
  return queue->n_flying < queue->window && queue->flying_bytes < FLEET_QUEUE_IN_FLIGHT_BYTES;
}

static struct fleet_write *next_due(const struct fleet_queue *queue, uint64_t now_ns) {
  struct fleet_write *again = queue->retrying.first;
  return again != NULL && again->retry_ns <= now_ns ? again : queue->waiting.first;
}

void fleet_queue_tick(struct fleet_queue *queue, uint64_t now_ns) {
  struct fleet_write *oldest = queue->flying.first;
  if (oldest != NULL && fleet_io_end_lost(queue->io, &oldest->op, now_ns))
    return; /* its end was a tick */
  for (uint32_t i = 0; i < FLEET_QUEUE_STEP && has_window(queue); i++) {
    struct fleet_write *write = next_due(queue, now_ns);
    if (write == NULL)
      return;
    fleet_write_unlist(write);
    if (now_ns - write->queued_ns >= queue->age_ns)
      fleet_write_drop(
          write, write->was_refused ? &queue->counts->dropped_refused : &queue->counts->dropped_age,
          now_ns);
    else
      attempt(write, now_ns);
  }
}

uint64_t fleet_queue_next_ns(const struct fleet_queue *queue) {
  const struct fleet_write *oldest = queue->flying.first, *again = queue->retrying.first;
  uint64_t lost_ns = oldest == NULL ? UINT64_MAX : oldest->op.lost_ns;
  if (!has_window(queue))
    return lost_ns; /* a reply calls fleet_queue_tick */
  if (queue->waiting.first != NULL)
    return 0;
  return again == NULL || again->retry_ns > lost_ns ? lost_ns : again->retry_ns;
}
