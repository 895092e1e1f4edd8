#include "tests/fleet_sim/sim_command.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/check.h"
#include "tests/fleet_sim/sim_memory.h"
#include "tests/fleet_sim/sim_scripts.h"

/* ---- the copy ---- */

/* Copies the text to *end, and moves it. */
static struct fc_str copy_text(char **end, struct fc_str text) {
  struct fc_str copy = {*end, text.size};
  if (text.size > 0)
    memcpy(*end, text.data, text.size);
  *end += text.size;
  return copy;
}

static bool has_payload(enum fleet_op_kind kind) {
  return kind == FLEET_OP_PUBLISH || kind == FLEET_OP_OVERWRITE || kind == FLEET_OP_SET_FIELD;
}

struct sim_command *sim_command_new(struct fleet_op *op) {
  bool script = op->kind == FLEET_OP_SCRIPT, lease = op->kind == FLEET_OP_LEASE;
  bool field = op->kind == FLEET_OP_GET_FIELD || op->kind == FLEET_OP_SET_FIELD;
  size_t size = op->key.size + op->more.size + op->token.size;
  for (uint32_t i = 0; script && i < op->n_args; i++)
    size += op->args[i].size;
  struct sim_command *command = sim_alloc(1, sizeof *command + size);
  char *end = command->bytes;
  *command = (struct sim_command){
      .op = op, .class = op->class, .deadline_ns = op->deadline_ns, .limit = op->limit};
  command->copy = (struct fleet_op){.kind = op->kind,
                                    .key = copy_text(&end, op->key),
                                    .time_ms = op->time_ms,
                                    .first = op->first,
                                    .last = op->last,
                                    .script = op->script,
                                    .n_args = script ? op->n_args : 0};
  if (lease || field)
    command->copy.more = copy_text(&end, op->more);
  if (lease)
    command->copy.token = copy_text(&end, op->token);
  for (uint32_t i = 0; i < command->copy.n_args; i++)
    command->copy.args[i] = copy_text(&end, op->args[i]);
  if (has_payload(op->kind))
    command->payload = sim_blob_new(op->payload.data, op->payload.size);
  return command;
}

void sim_command_free(struct sim_command *command) {
  sim_blob_release(command->payload);
  sim_blob_release(command->value);
  sim_items_cut(&command->items, 0, command->items.n);
  free(command->items.blobs);
  free(command->views);
  free(command);
}

/* ---- the server's side ---- */

static uint64_t expiry(uint64_t time_ms, uint64_t now_ns) {
  return time_ms == 0 ? 0 : now_ns + time_ms * 1000000;
}

static void read_value(struct sim_command *command, struct sim_db *db, uint64_t now_ns) {
  const struct sim_key *key = sim_db_find(db, command->copy.key, now_ns);
  command->value = sim_blob_hold(key == NULL ? NULL : key->value);
  command->status = command->value == NULL ? FLEET_NONE : FLEET_OK;
}

static bool set_missing(struct sim_db *db, struct fc_str name, struct sim_blob *value,
                        uint64_t time_ms, uint64_t now_ns) {
  if (sim_db_find(db, name, now_ns) != NULL)
    return false;
  sim_key_set(sim_db_write(db, name, now_ns), sim_blob_hold(value), expiry(time_ms, now_ns));
  return true;
}

static void take_lease(struct sim_command *command, struct sim_db *db, uint64_t now_ns) {
  const struct fleet_op *copy = &command->copy;
  struct sim_blob *token = sim_blob_new(copy->token.data, copy->token.size);
  command->granted = set_missing(db, copy->more, token, copy->time_ms, now_ns);
  if (command->again && !command->granted)
    command->granted =
        fc_str_equal(sim_blob_str(sim_db_find(db, copy->more, now_ns)->value), copy->token);
  sim_blob_release(token);
  read_value(command, db, now_ns);
  command->status = FLEET_OK;
}

static void read_field(struct sim_command *command, struct sim_db *db, struct fc_str field,
                       uint64_t now_ns) {
  const struct sim_key *key = sim_db_find(db, command->copy.key, now_ns);
  size_t at = key == NULL ? SIZE_MAX : sim_items_field(&key->items, field);
  command->value = at == SIZE_MAX ? NULL : sim_blob_hold(key->items.blobs[at]);
  command->status = command->value == NULL ? FLEET_NONE : FLEET_OK;
}

static void read_version(struct sim_command *command, struct sim_db *db, uint64_t now_ns) {
  read_field(command, db, fc_str_of("n"), now_ns);
  bool has_number = command->value != NULL;
  command->number = has_number ? sim_number(sim_blob_str(command->value)) : 0;
  sim_blob_release(command->value);
  read_field(command, db, fc_str_of("id"), now_ns);
  if (has_number)
    command->status = FLEET_OK;
}

/* LRANGE, and HGETALL as all of it. */
static void read_items(struct sim_command *command, struct sim_db *db, int64_t first, int64_t last,
                       uint64_t now_ns) {
  const struct sim_key *key = sim_db_find(db, command->copy.key, now_ns);
  int64_t n = key == NULL ? 0 : (int64_t)key->items.n;
  first = first < 0 ? first + n : first;
  last = last < 0 ? last + n : last;
  for (int64_t i = first < 0 ? 0 : first; i <= last && i < n; i++)
    sim_items_add(&command->items, sim_blob_str(key->items.blobs[i]));
}

static void set_field(struct sim_command *command, struct sim_db *db, uint64_t now_ns) {
  struct sim_key *key = sim_db_write(db, command->copy.key, now_ns);
  sim_items_set(&key->items, command->copy.more, sim_blob_str(command->payload));
}

void sim_command_execute(struct sim_command *command, struct sim_db *db, uint64_t now_ns) {
  const struct fleet_op *copy = &command->copy;
  command->status = FLEET_OK;
  switch (copy->kind) {
  case FLEET_OP_READ:
    read_value(command, db, now_ns);
    break;
  case FLEET_OP_VERSION:
    read_version(command, db, now_ns);
    break;
  case FLEET_OP_LEASE:
    take_lease(command, db, now_ns);
    break;
  case FLEET_OP_PUBLISH:
    if (!set_missing(db, copy->key, command->payload, copy->time_ms, now_ns))
      command->status = FLEET_NONE;
    break;
  case FLEET_OP_OVERWRITE:
    sim_key_set(sim_db_write(db, copy->key, now_ns), sim_blob_hold(command->payload),
                expiry(copy->time_ms, now_ns));
    break;
  case FLEET_OP_SCRIPT:
    sim_script_run(command, db, now_ns);
    break;
  case FLEET_OP_LIST:
    read_items(command, db, copy->first, copy->last, now_ns);
    break;
  case FLEET_OP_TABLE:
    read_items(command, db, 0, -1, now_ns);
    break;
  case FLEET_OP_GET_FIELD:
    read_field(command, db, copy->more, now_ns);
    break;
  case FLEET_OP_SET_FIELD:
    set_field(command, db, now_ns);
    break;
  case FLEET_OP_KINDS:
    check_lt(copy->kind, FLEET_OP_KINDS);
  }
}

struct fleet_reply sim_command_reply(struct sim_command *command) {
  struct fleet_reply reply = {
      .status = command->status, .granted = command->granted, .number = command->number};
  if (command->value != NULL) {
    bool cut = command->limit > 0 && command->limit < command->value->size;
    reply.value = command->value->data;
    reply.size = cut ? command->limit : command->value->size;
  }
  if (command->items.n > 0) {
    command->views = sim_alloc(command->items.n, sizeof *command->views);
    for (size_t i = 0; i < command->items.n; i++)
      command->views[i] = sim_blob_str(command->items.blobs[i]);
    reply.items = command->views;
    reply.n_items = command->items.n;
  }
  return reply;
}
