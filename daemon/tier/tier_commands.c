#include "daemon/tier/tier_commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/check.h"

/* ---- the commands ---- */

static struct resp_command *add_command(struct tier_commands *commands, const char *name) {
  check_lt(commands->n, TIER_COMMANDS_MAX);
  struct resp_command *command = &commands->list[commands->n++];
  command->n = 0;
  resp_add_text(command, name);
  return command;
}

static void add_str(struct resp_command *command, struct fc_str str) {
  resp_add(command, str.data, str.size);
}

static void add_number(struct tier_commands *commands, struct resp_command *command,
                       int64_t number) {
  check_lt(commands->n_numbers, TIER_NUMBERS_MAX);
  char *text = commands->numbers[commands->n_numbers++];
  (void)snprintf(text, TIER_NUMBER_BYTES, "%" PRId64, number);
  resp_add_text(command, text);
}

static void add_time(struct tier_commands *commands, struct resp_command *command, uint64_t ms) {
  if (ms == 0)
    return;
  resp_add_text(command, "PX");
  add_number(commands, command, (int64_t)ms);
}

static void make_read(struct tier_commands *commands, const struct fleet_op *op) {
  struct resp_command *command = add_command(commands, "GETRANGE");
  check_lt(0, op->limit);
  add_str(command, op->key);
  resp_add_text(command, "0");
  add_number(commands, command, (int64_t)(op->limit - 1));
}

static void make_lease(struct tier_commands *commands, const struct fleet_op *op) {
  struct resp_command *command = add_command(commands, "SET");
  add_str(command, op->more);
  add_str(command, op->token);
  resp_add_text(command, "NX");
  add_time(commands, command, op->time_ms);
}

/* Reads the token of the lease: if it is that of the op, an earlier try was granted. */
static void make_token(struct tier_commands *commands, const struct fleet_op *op) {
  struct resp_command *command = add_command(commands, "GETRANGE");
  add_str(command, op->more);
  resp_add_text(command, "0");
  add_number(commands, command, op->token.size);
}

static void make_set(struct tier_commands *commands, const struct fleet_op *op) {
  struct resp_command *command = add_command(commands, "SET");
  add_str(command, op->key);
  add_str(command, op->payload);
  if (op->kind == FLEET_OP_PUBLISH)
    resp_add_text(command, "NX");
  add_time(commands, command, op->time_ms);
}

static void make_script(struct tier_commands *commands, const struct fleet_op *op, uint32_t flags,
                        struct tier_scripts *scripts) {
  bool whole = (flags & TIER_OP_EVAL) != 0;
  struct resp_command *command = add_command(commands, whole ? "EVAL" : "EVALSHA");
  resp_add_text(command, whole ? op->script->text : tier_scripts_hash(scripts, op->script));
  resp_add_text(command, "1");
  add_str(command, op->key);
  check_le(op->n_args, FLEET_OP_ARGS);
  for (uint32_t i = 0; i < op->n_args; i++)
    add_str(command, op->args[i]);
}

static void make_field(struct tier_commands *commands, const struct fleet_op *op) {
  bool set = op->kind == FLEET_OP_SET_FIELD;
  struct resp_command *command = add_command(commands, set ? "HSET" : "HGET");
  add_str(command, op->key);
  add_str(command, op->more);
  if (set)
    add_str(command, op->payload);
}

static void make_rest(struct tier_commands *commands, const struct fleet_op *op) {
  static const char *const names[FLEET_OP_KINDS] = {
      [FLEET_OP_VERSION] = "HMGET", [FLEET_OP_LIST] = "LRANGE", [FLEET_OP_TABLE] = "HGETALL"};
  struct resp_command *command = add_command(commands, names[op->kind]);
  add_str(command, op->key);
  if (op->kind == FLEET_OP_VERSION) {
    resp_add_text(command, "id");
    resp_add_text(command, "n");
  } else if (op->kind == FLEET_OP_LIST) {
    add_number(commands, command, op->first);
    add_number(commands, command, op->last);
  }
}

/* A server that was named by ASK serves only the command that follows ASKING. */
static void make_asking(struct tier_commands *commands, uint32_t flags) {
  if ((flags & TIER_OP_ASKING) != 0)
    (void)add_command(commands, "ASKING");
}

void tier_commands_make(struct tier_commands *commands, const struct fleet_op *op, uint32_t flags,
                        struct tier_scripts *scripts) {
  commands->n = commands->n_numbers = 0;
  make_asking(commands, flags);
  switch (op->kind) {
  case FLEET_OP_READ:
    make_read(commands, op);
    break;
  case FLEET_OP_LEASE:
    make_lease(commands, op);
    make_asking(commands, flags);
    if ((flags & TIER_OP_AGAIN) != 0) {
      make_token(commands, op);
      make_asking(commands, flags);
    }
    make_read(commands, op);
    break;
  case FLEET_OP_PUBLISH:
  case FLEET_OP_OVERWRITE:
    make_set(commands, op);
    break;
  case FLEET_OP_SCRIPT:
    make_script(commands, op, flags, scripts);
    break;
  case FLEET_OP_GET_FIELD:
  case FLEET_OP_SET_FIELD:
    make_field(commands, op);
    break;
  default:
    make_rest(commands, op);
  }
}

uint32_t tier_commands_count(const struct fleet_op *op, uint32_t flags) {
  uint32_t n = op->kind != FLEET_OP_LEASE ? 1 : (flags & TIER_OP_AGAIN) != 0 ? 3 : 2;
  return (flags & TIER_OP_ASKING) != 0 ? 2 * n : n;
}

uint64_t tier_commands_limit(const struct fleet_op *op) {
  switch (op->kind) {
  case FLEET_OP_READ:
  case FLEET_OP_LEASE:
    return op->limit > TIER_REPLY_SMALL ? op->limit : TIER_REPLY_SMALL;
  case FLEET_OP_SCRIPT:
  case FLEET_OP_LIST:
  case FLEET_OP_TABLE:
    return TIER_REPLY_LIST;
  case FLEET_OP_GET_FIELD:
    return TIER_REPLY_FIELD;
  default:
    return TIER_REPLY_SMALL;
  }
}

/* ---- the replies ---- */

static void set_wrong(struct tier_answer *answer, const char *text) {
  answer->reply.status = FLEET_WRONG;
  answer->reply.text = text;
}

static void set_value(struct tier_answer *answer, const struct resp_item *item) {
  answer->reply.value = item->text;
  answer->reply.size = item->size;
}

/* Takes an array of texts. */
static void set_items(struct tier_answer *answer, const struct resp_reply *reply) {
  size_t n = reply->n - 1;
  if (reply->items[0].type != RESP_ARRAY || reply->items[0].size != n) {
    set_wrong(answer, "the reply is no list of texts");
    return;
  }
  answer->items = malloc((n > 0 ? n : 1) * sizeof *answer->items);
  if (answer->items == NULL) {
    set_wrong(answer, "out of memory for a list of the tier");
    return;
  }
  for (size_t i = 0; i < n; i++) {
    const struct resp_item *item = &reply->items[1 + i];
    if (item->type != RESP_TEXT || item->size > UINT32_MAX) {
      set_wrong(answer, "the reply is no list of texts");
      return;
    }
    answer->items[i] = (struct fc_str){item->text, (uint32_t)item->size};
  }
  answer->reply.items = answer->items;
  answer->reply.n_items = n;
}

/* Parses a number of up to 18 digits, which every number that counts has. */
static bool parse_digits(const struct resp_item *item, int64_t *number) {
  if (item->size == 0 || item->size > 18)
    return false;
  *number = 0;
  for (size_t i = 0; i < item->size; i++) {
    if (item->text[i] < '0' || item->text[i] > '9')
      return false;
    *number = *number * 10 + (item->text[i] - '0');
  }
  return true;
}

static void answer_version(struct tier_answer *answer, const struct resp_reply *reply) {
  if (reply->items[0].type != RESP_ARRAY || reply->items[0].size != 2 || reply->n != 3) {
    set_wrong(answer, "the reply is no pair of fields");
    return;
  }
  const struct resp_item *id = &reply->items[1], *n = &reply->items[2];
  if (id->type == RESP_NIL && n->type == RESP_NIL) {
    answer->reply.status = FLEET_NONE;
    return;
  }
  if (n->type == RESP_TEXT && !parse_digits(n, &answer->reply.number))
    set_wrong(answer, "the clear version is no number");
  else if (id->type == RESP_TEXT)
    set_value(answer, id);
}

static void answer_text(struct tier_answer *answer, const struct resp_item *item) {
  if (item->type == RESP_TEXT)
    set_value(answer, item);
  else if (item->type == RESP_NIL)
    answer->reply.status = FLEET_NONE;
  else
    set_wrong(answer, "the reply is no text");
}

static void answer_set(struct tier_answer *answer, const struct resp_item *item) {
  if (item->type == RESP_NIL)
    answer->reply.status = FLEET_NONE;
  else if (item->type != RESP_STATUS)
    set_wrong(answer, "the reply to SET is no status");
}

static void answer_script(struct tier_answer *answer, const struct resp_reply *reply) {
  const struct resp_item *item = &reply->items[0];
  if (item->type == RESP_INTEGER)
    answer->reply.number = item->number;
  else if (item->type == RESP_ARRAY)
    set_items(answer, reply);
  else if (item->type == RESP_NIL)
    answer->reply.status = FLEET_NONE;
  else
    set_value(answer, item);
}

void tier_answer_init(struct tier_answer *answer, const struct fleet_op *op,
                      const struct resp_reply *reply) {
  const struct resp_item *item = &reply->items[0];
  *answer = (struct tier_answer){.reply.status = FLEET_OK};
  check_lt(0, reply->n);
  switch (op->kind) {
  case FLEET_OP_READ:
    answer_text(answer, item);
    if (answer->reply.status == FLEET_OK && answer->reply.size == 0)
      answer->reply.status = FLEET_NONE;
    break;
  case FLEET_OP_LEASE:
  case FLEET_OP_GET_FIELD:
    answer_text(answer, item);
    break;
  case FLEET_OP_VERSION:
    answer_version(answer, reply);
    break;
  case FLEET_OP_PUBLISH:
  case FLEET_OP_OVERWRITE:
    answer_set(answer, item);
    break;
  case FLEET_OP_SCRIPT:
    answer_script(answer, reply);
    break;
  case FLEET_OP_SET_FIELD:
    if (item->type != RESP_INTEGER)
      set_wrong(answer, "the reply to HSET is no number");
    break;
  default:
    set_items(answer, reply);
  }
}

void tier_answer_deinit(struct tier_answer *answer) {
  free(answer->items);
  answer->items = NULL;
}
