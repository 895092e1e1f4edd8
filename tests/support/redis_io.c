#include "tests/support/redis_io.h"

#include <check.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARGS_MAX 16
#define ITEMS_MAX 16384

static bool submit(struct fleet_io *io, struct fleet_op *op, uint64_t now_ns) {
  struct redis_io *redis = (struct redis_io *)io;
  (void)now_ns;
  if (redis->is_down)
    return false;
  op->next = NULL;
  op->prev = redis->last;
  *(redis->last == NULL ? &redis->first : &redis->last->next) = op;
  redis->last = op;
  return true;
}

static void unlink_op(struct redis_io *redis, struct fleet_op *op) {
  *(op->prev == NULL ? &redis->first : &op->prev->next) = op->next;
  *(op->next == NULL ? &redis->last : &op->next->prev) = op->prev;
}

static void cancel(struct fleet_io *io, struct fleet_op *op) {
  unlink_op((struct redis_io *)io, op);
}

void redis_io_init(struct redis_io *io, const struct tier_server *server) {
  *io = (struct redis_io){.io = {.submit = submit, .cancel = cancel}};
  io->context = redisConnectUnix(server->socket);
  ck_assert(io->context != NULL && io->context->err == 0);
}

void redis_io_deinit(struct redis_io *io) {
  ck_assert_ptr_null(io->first);
  redisFree(io->context);
}

/* ---- commands ---- */

struct command {
  int n;
  const char *args[ARGS_MAX];
  size_t sizes[ARGS_MAX];
  char numbers[3][24];
};

static void add(struct command *command, struct fc_str text) {
  command->args[command->n] = text.data == NULL ? "" : text.data;
  command->sizes[command->n++] = text.size;
}

static void add_text(struct command *command, const char *text) {
  add(command, fc_str_of(text));
}

static void add_number(struct command *command, unsigned place, int64_t number) {
  (void)snprintf(command->numbers[place], sizeof command->numbers[place], "%lld",
                 (long long)number);
  add_text(command, command->numbers[place]);
}

static void make(const struct fleet_op *op, struct command *command) {
  switch (op->kind) {
  case FLEET_OP_VERSION:
    add_text(command, "HMGET");
    add(command, op->key);
    add_text(command, "id");
    add_text(command, "n");
    break;
  case FLEET_OP_TABLE:
    add_text(command, "HGETALL");
    add(command, op->key);
    break;
  case FLEET_OP_LIST:
    add_text(command, "LRANGE");
    add(command, op->key);
    add_number(command, 0, op->first);
    add_number(command, 1, op->last);
    break;
  case FLEET_OP_OVERWRITE:
    add_text(command, "SET");
    add(command, op->key);
    add(command, op->payload);
    add_text(command, "PX");
    add_number(command, 0, (int64_t)op->time_ms);
    break;
  case FLEET_OP_GET_FIELD:
    add_text(command, "HGET");
    add(command, op->key);
    add(command, op->more);
    break;
  case FLEET_OP_SCRIPT:
    add_text(command, "EVAL");
    add_text(command, op->script->text);
    add_text(command, "1");
    add(command, op->key);
    for (uint32_t i = 0; i < op->n_args; i++)
      add(command, op->args[i]);
    break;
  default:
    ck_abort_msg("no such op here: %d", op->kind);
  }
}

/* ---- replies ---- */

static void set_version(const redisReply *from, struct fleet_reply *reply) {
  const redisReply *id = from->element[0], *n = from->element[1];
  reply->status = id->type == REDIS_REPLY_NIL ? FLEET_NONE : FLEET_OK;
  reply->value = id->str;
  reply->size = id->len;
  reply->number = n->type == REDIS_REPLY_NIL ? 0 : strtoll(n->str, NULL, 10);
}

static void set_reply(const struct fleet_op *op, const redisReply *from,
                      struct fleet_reply *reply) {
  static struct fc_str items[ITEMS_MAX];
  *reply = (struct fleet_reply){.status = FLEET_OK};
  if (from->type == REDIS_REPLY_ERROR) {
    reply->status = strncmp(from->str, "WRONGTYPE", 9) == 0 ? FLEET_WRONG : FLEET_REFUSED;
    reply->text = from->str;
  } else if (op->kind == FLEET_OP_VERSION) {
    set_version(from, reply);
  } else if (from->type == REDIS_REPLY_INTEGER) {
    reply->number = from->integer;
  } else if (from->type == REDIS_REPLY_ARRAY) {
    ck_assert_uint_le(from->elements, ITEMS_MAX);
    for (size_t i = 0; i < from->elements; i++)
      items[i] = (struct fc_str){from->element[i]->str, (uint32_t)from->element[i]->len};
    reply->items = items;
    reply->n_items = from->elements;
    reply->status = from->elements == 0 ? FLEET_NONE : FLEET_OK;
  } else if (from->type == REDIS_REPLY_NIL) {
    reply->status = FLEET_NONE;
  } else {
    reply->value = from->str;
    reply->size = from->len;
  }
}

bool redis_io_step(struct redis_io *io, uint64_t now_ns) {
  struct fleet_op *op = io->first;
  struct command command = {0};
  struct fleet_reply reply = {.status = FLEET_TIMEOUT};
  redisReply *from = NULL;
  if (op == NULL)
    return false;
  unlink_op(io, op);
  if (!io->loses_requests) {
    make(op, &command);
    from = redisCommandArgv(io->context, command.n, command.args, command.sizes);
    ck_assert_msg(from != NULL, "%s", io->context->errstr);
    io->executed[op->kind]++;
    if (!io->loses_replies)
      set_reply(op, from, &reply);
  }
  op->done(op, &reply, now_ns);
  freeReplyObject(from);
  return true;
}
