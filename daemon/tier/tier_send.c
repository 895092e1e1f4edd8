/* Sends to a tier server: ops from the queue, probes, and questions for the map of a cluster. */
#include <stdio.h>
#include <string.h>

#include "daemon/base/check.h"
#include "daemon/tier/tier_internal.h"
#include "daemon/tier/tier_link.h"

#define PROBE_TIME_MS "60000" /* the key of a write probe is gone after a minute */
#define SMALL_COMMAND_BYTES 512u

/* ---- probes ---- */

/* A probe is a request of its class on a key of its server: PING succeeds on a server that cannot
 * serve keys. In a cluster the key must be in one of the server's slots. */
static size_t make_probe_key(struct tier_link *link, char key[TIER_PROBE_KEY_BYTES]) {
  int n = 0;
  for (uint32_t tries = 0; tries < KEY_SLOTS; tries++) {
    n = snprintf(key, TIER_PROBE_KEY_BYTES, "%s1:{probe%u}", link->tier->config.prefix,
                 link->probe_key);
    check_lt(n, TIER_PROBE_KEY_BYTES);
    if (tier_io_owns_slot(link->tier, link, key_slot(key, (size_t)n)))
      break;
    link->probe_key++;
  }
  return (size_t)n;
}

void tier_link_make_probe(struct tier_link *link, struct resp_command *command,
                          enum fleet_op_class class, char key[TIER_PROBE_KEY_BYTES]) {
  size_t size = make_probe_key(link, key);
  resp_add_text(command, class == FLEET_READS ? "GETRANGE" : "SET");
  resp_add(command, key, size);
  if (class == FLEET_READS) {
    resp_add_text(command, "0");
    resp_add_text(command, "0");
  } else {
    resp_add_text(command, "1");
    resp_add_text(command, "PX");
    resp_add_text(command, PROBE_TIME_MS);
  }
}

/* Adds the call of a command that is no op. Returns false if there is no room now. */
static bool send_own(struct tier_link *link, struct resp_buffer *out,
                     const struct resp_command *command, enum tier_call_kind kind,
                     enum fleet_op_class class, uint64_t now_ns) {
  struct resp_position position = {0};
  uint64_t deadline_ns = link->tier->config.deadline_ns;
  if (out->capacity - out->size < SMALL_COMMAND_BYTES || !tier_calls_reserve(&link->calls))
    return false;
  check_eq(resp_write(command, &position, out), true);
  if (link->calls.n == 0)
    link->progress_ns = now_ns;
  struct tier_call *call = tier_calls_add(&link->calls);
  call->kind = kind;
  call->class = class;
  call->replies = 1;
  call->limit = kind == CALL_SLOTS ? TIER_REPLY_LIST : TIER_REPLY_SMALL;
  call->submitted_ns = now_ns;
  call->deadline_ns = now_ns + deadline_ns;
  call->end_ns = now_ns + FLEET_IO_DEADLINES * deadline_ns;
  tier_io_wake_at(link->tier, call->deadline_ns);
  return true;
}

static void send_probes(struct tier_link *link, struct resp_buffer *out, uint64_t now_ns) {
  for (enum fleet_op_class c = 0; c < FLEET_OP_CLASSES; c++) {
    char key[TIER_PROBE_KEY_BYTES];
    struct resp_command command = {0};
    if (!link->probe_wanted[c])
      continue;
    tier_link_make_probe(link, &command, link->tier->config.read_only ? FLEET_READS : c, key);
    if (send_own(link, out, &command, CALL_PROBE, c, now_ns))
      link->probe_wanted[c] = false;
  }
}

static void send_slots(struct tier_link *link, struct resp_buffer *out, uint64_t now_ns) {
  struct resp_command command = {0};
  if (!link->slots_wanted)
    return;
  resp_add_text(&command, "CLUSTER");
  resp_add_text(&command, "SLOTS");
  if (send_own(link, out, &command, CALL_SLOTS, FLEET_READS, now_ns))
    link->slots_wanted = false;
}

/* ---- ops ---- */

/* Makes the oldest op of the queue the newest call. Returns false if there is none, or no room. */
static bool begin_op(struct tier_link *link, uint64_t now_ns) {
  struct fleet_op *op = link->first;
  if (op == NULL || !tier_calls_reserve(&link->calls))
    return false;
  tier_link_unlink(link, op);
  if (link->calls.n == 0)
    link->progress_ns = now_ns;
  struct tier_call *call = tier_calls_add(&link->calls);
  *call = (struct tier_call){.op = op,
                             .kind = CALL_OP,
                             .class = op->class,
                             .replies = tier_commands_count(op, op->step),
                             .flags = op->step,
                             .limit = tier_commands_limit(op),
                             .permit = op->permit,
                             .submitted_ns = op->submitted_ns,
                             .deadline_ns = op->deadline_ns,
                             .end_ns = op->end_ns};
  op->step = link->calls.first + link->calls.n - 1;
  op->sent = true;
  link->writing = op;
  link->written = 0;
  link->position = (struct resp_position){0};
  return true;
}

/* Writes more of the op that was begun. Returns false if the buffer is full. */
static bool write_op(struct tier_link *link, struct resp_buffer *out) {
  struct tier_commands commands;
  const struct tier_call *call = tier_calls_last(&link->calls);
  check_eq(call->op == link->writing, true);
  tier_commands_make(&commands, link->writing, call->flags, &link->tier->scripts);
  check_eq(commands.n, call->replies);
  while (link->written < commands.n) {
    if (!resp_write(&commands.list[link->written], &link->position, out))
      return false;
    link->written++;
    link->position = (struct resp_position){0};
  }
  link->writing = NULL;
  return true;
}

void tier_link_send(struct tier_link *link, uint64_t now_ns) {
  while (!link->broken) {
    struct resp_buffer *out = tier_stream_room(link->stream);
    if (out == NULL)
      return; /* on_room follows */
    bool was_idle = link->calls.n == 0;
    bool whole = link->writing == NULL || write_op(link, out);
    if (whole) {
      send_probes(link, out, now_ns);
      send_slots(link, out, now_ns);
    }
    while (whole && begin_op(link, now_ns))
      whole = write_op(link, out);
    if (was_idle)
      tier_link_set_limit(link);
    if (out->size == 0)
      return;
    if (tier_stream_send(link->stream) < 0)
      tier_link_break_lost(link, tier_stream_error(link->stream));
  }
}
