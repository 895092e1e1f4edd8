#include "tests/support/fake_tier.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/fleet/fleet_scripts.h"
#include "daemon/fleet/fleet_value.h"

struct fake_value {
  struct fake_value *next;
  struct fleet_key key;
  uint64_t until_ns; /* 0: for ever */
  size_t size;
  uint8_t data[];
};

struct fake_flight {
  struct fleet_op *op;
  struct fake_flight *next;
  uint64_t submit_ns, execute_ns, reply_ns;
  bool is_executed, is_lost; /* the reply, or with `is_executed` false at once the request */
  bool never_executed;
  bool is_forgotten;
  struct fleet_reply reply;
  uint8_t *bytes; /* owned; of the reply */
};

/* ---- the keys ---- */

void fake_tier_init(struct fake_tier *tier) {
  *tier = (struct fake_tier){0};
}

void fake_tier_forget(struct fake_tier *tier) {
  while (tier->first != NULL) {
    struct fake_value *value = tier->first;
    tier->first = value->next;
    free(value);
  }
}

void fake_tier_deinit(struct fake_tier *tier) {
  fake_tier_forget(tier);
}

static struct fake_value **find(struct fake_tier *tier, struct fc_str key) {
  struct fake_value **at = &tier->first;
  while (*at != NULL && !fc_str_equal(fleet_key_str(&(*at)->key), key))
    at = &(*at)->next;
  return at;
}

bool fake_tier_delete(struct fake_tier *tier, struct fc_str key) {
  struct fake_value **at = find(tier, key), *value = *at;
  if (value == NULL)
    return false;
  *at = value->next;
  free(value);
  return true;
}

void fake_tier_set(struct fake_tier *tier, struct fc_str key, const void *data, size_t size,
                   uint64_t until_ns) {
  struct fake_value *value = malloc(sizeof *value + size);
  ck_assert_ptr_nonnull(value);
  ck_assert_uint_le(key.size, FLEET_KEY_MAX);
  (void)fake_tier_delete(tier, key); /* false: it is new */
  *value = (struct fake_value){.next = tier->first, .until_ns = until_ns, .size = size};
  value->key.size = key.size;
  memcpy(value->key.text, key.data, key.size);
  if (size > 0)
    memcpy(value->data, data, size);
  tier->first = value;
}

const uint8_t *fake_tier_get(struct fake_tier *tier, struct fc_str key, uint64_t now_ns,
                             size_t *size) {
  struct fake_value *value = *find(tier, key);
  *size = 0;
  if (value != NULL && value->until_ns != 0 && value->until_ns <= now_ns) {
    (void)fake_tier_delete(tier, key); /* it exists */
    value = NULL;
  }
  if (value == NULL)
    return NULL;
  *size = value->size;
  return value->data;
}

/* ---- commands ---- */

static uint64_t end_of(uint64_t now_ns, uint64_t time_ms) {
  return time_ms == 0 ? 0 : now_ns + time_ms * 1000000;
}

static bool set_nx(struct fake_tier *tier, struct fc_str key, struct fc_str data, uint64_t time_ms,
                   uint64_t now_ns) {
  size_t size;
  if (fake_tier_get(tier, key, now_ns, &size) != NULL)
    return false;
  fake_tier_set(tier, key, data.data, data.size, end_of(now_ns, time_ms));
  return true;
}

static void read_value(struct fake_tier *tier, struct fake_flight *flight, uint64_t now_ns) {
  size_t size;
  const uint8_t *data = fake_tier_get(tier, flight->op->key, now_ns, &size);
  size = size < flight->op->limit ? size : flight->op->limit;
  if (data == NULL || size == 0)
    return;
  flight->bytes = malloc(size);
  ck_assert_ptr_nonnull(flight->bytes);
  memcpy(flight->bytes, data, size);
  flight->reply.value = flight->bytes;
  flight->reply.size = size;
}

static bool has(struct fake_tier *tier, const struct fleet_op *op, uint64_t now_ns, bool *exists) {
  size_t size;
  const uint8_t *data = fake_tier_get(tier, op->key, now_ns, &size);
  *exists = data != NULL;
  return data != NULL && size == op->args[0].size && memcmp(data, op->args[0].data, size) == 0;
}

static int64_t renew(struct fake_tier *tier, const struct fleet_op *op, uint64_t now_ns) {
  bool exists, is_ours = has(tier, op, now_ns, &exists);
  tier->renewals++;
  if (exists && !is_ours)
    return FLEET_LOST;
  fake_tier_set(tier, op->key, op->args[0].data, op->args[0].size,
                end_of(now_ns, strtoull(op->args[1].data, NULL, 10)));
  return is_ours ? FLEET_RENEWED : FLEET_RETAKEN;
}

static int64_t release(struct fake_tier *tier, const struct fleet_op *op, uint64_t now_ns) {
  bool exists, is_ours = has(tier, op, now_ns, &exists);
  tier->releases++;
  return is_ours && fake_tier_delete(tier, op->key);
}

static bool is_later(const uint8_t *old, const uint8_t *new) {
  for (int i = 7; i >= 0; i--)
    if (old[FLEET_VALUE_STAMP_AT + i] != new[FLEET_VALUE_STAMP_AT + i])
      return old[FLEET_VALUE_STAMP_AT + i] < new[FLEET_VALUE_STAMP_AT + i];
  return false;
}

static int64_t replace(struct fake_tier *tier, const struct fleet_op *op, uint64_t now_ns) {
  size_t size;
  const uint8_t *old = fake_tier_get(tier, op->key, now_ns, &size);
  const struct fc_str seen = op->args[2];
  size_t head = size < FLEET_VALUE_HEAD ? size : FLEET_VALUE_HEAD;
  bool is_head = head == FLEET_VALUE_HEAD && memcmp(old, FLEET_VALUE_MAGIC, 4) == 0;
  bool is_seen = head == seen.size && (head == 0 || memcmp(old, seen.data, head) == 0);
  tier->replacements++;
  if (is_head && !is_seen) {
    if (old[4] == 1)
      return FLEET_TOMBSTONE_FOUND;
    if (op->args[3].data[0] != '1' || !is_later(old, (const uint8_t *)op->args[0].data))
      return FLEET_NOT_REPLACED;
  }
  fake_tier_set(tier, op->key, op->args[0].data, op->args[0].size,
                end_of(now_ns, strtoull(op->args[1].data, NULL, 10)));
  return FLEET_REPLACED;
}

static void run_script(struct fake_tier *tier, struct fake_flight *flight, uint64_t now_ns) {
  const struct fleet_op *op = flight->op;
  if (op->script == &fleet_script_renew)
    flight->reply.number = renew(tier, op, now_ns);
  else if (op->script == &fleet_script_release)
    flight->reply.number = release(tier, op, now_ns);
  else if (op->script == &fleet_script_replace)
    flight->reply.number = replace(tier, op, now_ns);
  else
    ck_abort_msg("the fake tier has no script %s", op->script->name);
}

/* The hash of the clears is a text: its clear version. */
static void read_version(struct fake_tier *tier, struct fake_flight *flight, uint64_t now_ns) {
  size_t size;
  const uint8_t *data = fake_tier_get(tier, flight->op->key, now_ns, &size);
  if (data != NULL)
    flight->reply.number = strtoll((const char *)data, NULL, 10);
}

static void execute(struct fake_tier *tier, struct fake_flight *flight, uint64_t now_ns) {
  const struct fleet_op *op = flight->op;
  struct fleet_reply *reply = &flight->reply;
  tier->executed[op->kind]++;
  flight->is_executed = true;
  reply->status = FLEET_OK;
  switch (op->kind) {
  case FLEET_OP_READ:
    read_value(tier, flight, now_ns);
    reply->status = reply->size == 0 ? FLEET_NONE : FLEET_OK;
    break;
  case FLEET_OP_VERSION:
    read_version(tier, flight, now_ns);
    break;
  case FLEET_OP_LEASE:
    reply->granted = set_nx(tier, op->more, op->token, op->time_ms, now_ns);
    read_value(tier, flight, now_ns);
    break;
  case FLEET_OP_PUBLISH:
    if (!set_nx(tier, op->key, op->payload, op->time_ms, now_ns))
      reply->status = FLEET_NONE;
    break;
  case FLEET_OP_SCRIPT:
    run_script(tier, flight, now_ns);
    break;
  default:
    ck_abort_msg("the fake tier has no command %d", op->kind);
  }
}

/* ---- the transport ---- */

static uint32_t below(struct fake_io *io, uint32_t n) {
  io->random ^= io->random << 13;
  io->random ^= io->random >> 7;
  io->random ^= io->random << 17;
  return (uint32_t)((io->random >> 11) % n);
}

static bool submit(struct fleet_io *base, struct fleet_op *op, uint64_t now_ns) {
  struct fake_io *io = (struct fake_io *)base;
  if (io->is_down)
    return false;
  struct fake_flight *flight = calloc(1, sizeof *flight);
  ck_assert_ptr_nonnull(flight);
  ck_assert(op->done != NULL);
  ck_assert_uint_ge(op->deadline_ns, now_ns);
  uint64_t half_ns = io->latency_ns / 2 * (io->jitter == 0 ? 1 : 1 + below(io, io->jitter));
  flight->op = op;
  flight->submit_ns = now_ns;
  flight->execute_ns = now_ns + half_ns;
  if (flight->execute_ns < io->last_execution_ns)
    flight->execute_ns = io->last_execution_ns;
  io->last_execution_ns = flight->execute_ns;
  flight->reply_ns = flight->execute_ns + half_ns;
  flight->is_forgotten = io->forgets;
  flight->never_executed = io->forgets || below(io, 1000) < io->lost_requests;
  flight->is_lost = flight->never_executed || below(io, 1000) < io->lost_replies;
  op->sent = op->answering = false;
  *(io->last == NULL ? &io->first : &io->last->next) = flight;
  io->last = flight;
  io->n++;
  io->submitted[op->kind]++;
  return true;
}

static struct fake_flight *unlink_flight(struct fake_io *io, struct fake_flight *flight) {
  struct fake_flight *prev = NULL;
  for (struct fake_flight *at = io->first; at != flight; at = at->next)
    prev = at;
  *(prev == NULL ? &io->first : &prev->next) = flight->next;
  if (io->last == flight)
    io->last = prev;
  io->n--;
  return flight;
}

static void free_flight(struct fake_flight *flight) {
  free(flight->bytes);
  free(flight);
}

static void cancel(struct fleet_io *base, struct fleet_op *op) {
  struct fake_io *io = (struct fake_io *)base;
  struct fake_flight *flight = io->first;
  while (flight != NULL && flight->op != op)
    flight = flight->next;
  ck_assert_ptr_nonnull(flight);
  free_flight(unlink_flight(io, flight));
}

void fake_io_init(struct fake_io *io, struct fake_tier *tier, uint64_t latency_ns) {
  *io = (struct fake_io){.io = {.submit = submit, .cancel = cancel},
                         .tier = tier,
                         .latency_ns = latency_ns,
                         .random = 88172645463325252u};
}

void fake_io_deinit(struct fake_io *io) {
  ck_assert_uint_eq(io->n, 0);
}

void fake_io_flush(struct fake_io *io) {
  for (struct fake_flight *flight = io->first; flight != NULL; flight = flight->next)
    flight->op->sent = true;
}

static uint64_t deadline_of(const struct fake_flight *flight) {
  const struct fleet_op *op = flight->op;
  uint64_t more_ns = op->answering ? (op->deadline_ns - flight->submit_ns) * 3 : 0;
  return op->deadline_ns + more_ns;
}

static uint64_t end_ns(const struct fake_flight *flight) {
  uint64_t deadline_ns = deadline_of(flight);
  if (flight->is_forgotten)
    return UINT64_MAX;
  return flight->is_lost || flight->reply_ns > deadline_ns ? deadline_ns : flight->reply_ns;
}

static uint64_t due_ns(const struct fake_flight *flight) {
  bool waits = !flight->is_executed && !flight->never_executed;
  uint64_t at_ns = end_ns(flight);
  return waits && flight->execute_ns < at_ns ? flight->execute_ns : at_ns;
}

uint64_t fake_io_next_ns(const struct fake_io *io) {
  uint64_t next_ns = UINT64_MAX;
  for (const struct fake_flight *flight = io->first; flight != NULL; flight = flight->next)
    next_ns = due_ns(flight) < next_ns ? due_ns(flight) : next_ns;
  return next_ns;
}

static void deliver(struct fake_io *io, struct fake_flight *flight, uint64_t now_ns) {
  struct fleet_op *op = flight->op;
  struct fleet_reply reply = flight->reply;
  (void)unlink_flight(io, flight);
  io->deliveries++;
  op->done(op, &reply, now_ns); /* may free or submit the op */
  free_flight(flight);
}

/* `done` may cancel or submit others, so each delivery begins the walk anew. */
void fake_io_step(struct fake_io *io, uint64_t now_ns) {
  fake_io_flush(io);
  for (struct fake_flight *flight = io->first; flight != NULL;) {
    struct fake_flight *next = flight->next;
    if (!flight->is_executed && !flight->never_executed && flight->execute_ns <= now_ns) {
      if (io->refuses_writes && flight->op->class == FLEET_WRITES) {
        flight->is_executed = true;
        flight->reply = (struct fleet_reply){.status = FLEET_REFUSED, .text = "OOM"};
      } else {
        execute(io->tier, flight, now_ns);
        flight->op->answering = io->streams;
      }
    }
    if (end_ns(flight) <= now_ns) {
      if (flight->is_lost || flight->reply_ns > deadline_of(flight))
        flight->reply = (struct fleet_reply){.status = FLEET_TIMEOUT, .text = "no reply"};
      deliver(io, flight, now_ns);
      next = io->first;
    }
    flight = next;
  }
}

void fake_io_break(struct fake_io *io, uint64_t now_ns) {
  uint32_t n = io->n; /* those that are submitted meanwhile stay */
  for (; n > 0 && io->first != NULL; n--) {
    io->first->reply = (struct fleet_reply){.status = FLEET_DOWN, .text = "the connection is lost"};
    deliver(io, io->first, now_ns);
  }
}
