/* Takes the replies of a tier server. All of them are hostile input. */
#include <stdio.h>
#include <string.h>

#include "daemon/base/check.h"
#include "daemon/fleet/fleet_scripts.h"
#include "daemon/tier/tier_internal.h"
#include "daemon/tier/tier_link.h"

void tier_link_set_limit(struct tier_link *link) {
  const struct tier_call *call = tier_calls_first(&link->calls);
  link->reader.limit = call != NULL ? (size_t)call->limit : TIER_REPLY_SMALL;
}

/* Copies the text of an error reply as one line. */
static void copy_error(char text[TIER_CAUSE_BYTES], const struct resp_item *item) {
  size_t n = item->size < TIER_CAUSE_BYTES - 1 ? item->size : TIER_CAUSE_BYTES - 1;
  for (size_t i = 0; i < n; i++)
    text[i] = (unsigned char)item->text[i] < ' ' || item->text[i] == 0x7f ? '?' : item->text[i];
  text[n] = '\0';
}

static void count(struct tier_link *link, const struct tier_call *call,
                  const struct fleet_reply *reply, uint64_t now_ns) {
  const struct fleet_op *op = call->op;
  fc_histogram_add(&link->latencies[call->class], now_ns - call->submitted_ns);
  if (op == NULL)
    return;
  if (op->kind == FLEET_OP_READ || op->kind == FLEET_OP_LEASE) {
    link->counts.reads++;
    if (reply->status == FLEET_OK || reply->status == FLEET_NONE)
      *(reply->size > 0 ? &link->counts.hits : &link->counts.misses) += 1;
  } else if (op->kind == FLEET_OP_PUBLISH || op->kind == FLEET_OP_OVERWRITE ||
             op->script == &fleet_script_replace) {
    link->counts.writes++;
  }
}

/* The call is a copy: it has left the ring. */
static void finish_call(struct tier_link *link, const struct tier_call *call,
                        const struct fleet_reply *reply, const char *failure, uint64_t now_ns) {
  if (call->unavailable)
    tier_link_failed(link, call->class, call->permit, BREAKER_ERROR, failure, now_ns);
  else
    tier_link_succeeded(link, call->class, call->permit, now_ns);
  count(link, call, reply, now_ns);
  if (call->op != NULL)
    tier_link_finish(link, call->op, reply, now_ns);
}

/* Submits an op again after a redirection or an unknown script. Returns false if it may not be. */
static bool resend(struct tier_link *link, const struct tier_call *call, enum reply_error error,
                   const struct resp_item *item, uint64_t now_ns) {
  struct fleet_op *op = call->op;
  struct redirect redirect;
  if (op == NULL || ++op->tries >= TIER_TRIES_MAX)
    return false;
  if (error == REPLY_MOVED || error == REPLY_ASK) {
    if (!reply_error_redirect(item->text, item->size, &redirect))
      return false;
    link->counts.redirects++;
    op->server = NULL;
    tier_link_succeeded(link, call->class, call->permit, now_ns);
    tier_io_redirect(link->tier, link, op, &redirect, error == REPLY_ASK, now_ns);
    return true;
  }
  if (error == REPLY_TRY_AGAIN || error == REPLY_NO_SCRIPT) {
    uint32_t flags = error == REPLY_NO_SCRIPT ? call->flags | TIER_OP_EVAL : call->flags;
    tier_link_succeeded(link, call->class, call->permit, now_ns);
    if (tier_link_submit(link, op, flags))
      return true;
    const struct fleet_reply down = {.status = FLEET_DOWN, .text = link->causes[op->class]};
    tier_link_finish(link, op, &down, now_ns);
    return true;
  }
  return false;
}

static void take_error(struct tier_link *link, const struct tier_call *call,
                       const struct resp_item *item, uint64_t now_ns) {
  char text[TIER_CAUSE_BYTES];
  enum reply_error error = reply_error_kind(item->text, item->size);
  copy_error(text, item);
  if (resend(link, call, error, item, now_ns))
    return;
  if (error == REPLY_UNAUTHORIZED) /* the password may have changed */
    tier_link_break(link, BREAKER_LOST, text);
  if (link->n_addresses > 1 && strncmp(text, "READONLY ", 9) == 0) { /* another one is primary */
    link->other_address = true;
    tier_link_break(link, BREAKER_LOST, text);
  }
  const struct fleet_reply reply = {
      .status = error == REPLY_WRONG_TYPE ? FLEET_WRONG : FLEET_REFUSED, .text = text};
  finish_call(link, call, &reply, text, now_ns);
}

static void take_value(struct tier_link *link, const struct tier_call *call,
                       const struct resp_reply *reply, uint64_t now_ns) {
  struct tier_answer answer;
  const char *refused = link->refused;
  if (call->op == NULL) { /* cancelled: the result is for the breaker alone */
    finish_call(link, call, &(struct fleet_reply){.status = FLEET_NONE}, refused, now_ns);
    return;
  }
  tier_answer_init(&answer, call->op, reply);
  answer.reply.granted = call->granted;
  if (call->unavailable && answer.reply.size == 0) {
    answer.reply.status = FLEET_REFUSED;
    answer.reply.text = refused;
  }
  finish_call(link, call, &answer.reply, refused, now_ns);
  tier_answer_deinit(&answer);
}

static bool is_token(const struct fleet_op *op, const struct resp_item *item) {
  return op != NULL && item->type == RESP_TEXT && item->size == op->token.size &&
         memcmp(item->text, op->token.data, item->size) == 0;
}

/* Takes a reply that is followed by another to the same op: to ASKING, to SET of a lease, or the
 * token of a lease. */
static void take_first(struct tier_link *link, struct tier_call *call,
                       const struct resp_item *item) {
  bool asking = (call->flags & TIER_OP_ASKING) != 0 && call->replied % 2 == 1;
  if (asking)
    return; /* if it failed, the next one fails too, and says why */
  if (item->type == RESP_ERROR) {
    enum reply_error error = reply_error_kind(item->text, item->size);
    if (error == REPLY_UNAVAILABLE || error == REPLY_UNAUTHORIZED)
      call->unavailable = true;
    copy_error(link->refused, item);
  } else if (item->type == RESP_STATUS || is_token(call->op, item)) {
    call->granted = true;
  }
}

static void take_op_reply(struct tier_link *link, struct tier_call *call,
                          const struct resp_reply *reply, uint64_t now_ns) {
  const struct resp_item *item = &reply->items[0];
  if (++call->replied < call->replies) {
    take_first(link, call, item);
    return;
  }
  struct tier_call copy = *call;
  tier_calls_pop(&link->calls);
  if (item->type == RESP_ERROR) {
    enum reply_error error = reply_error_kind(item->text, item->size);
    copy.unavailable = error == REPLY_UNAVAILABLE || error == REPLY_UNAUTHORIZED;
    take_error(link, &copy, item, now_ns);
  } else {
    take_value(link, &copy, reply, now_ns);
  }
}

/* A redirection proves that the server works. */
static void take_probe(struct tier_link *link, enum fleet_op_class class,
                       const struct resp_item *item, uint64_t now_ns) {
  char text[TIER_CAUSE_BYTES] = "";
  enum reply_error error = REPLY_REFUSED;
  if (item->type == RESP_ERROR) {
    error = reply_error_kind(item->text, item->size);
    copy_error(text, item);
  }
  if (error == REPLY_UNAUTHORIZED)
    tier_link_break(link, BREAKER_LOST, text);
  if (error == REPLY_UNAUTHORIZED || error == REPLY_UNAVAILABLE)
    tier_link_failed(link, class, 0, BREAKER_ERROR, text, now_ns);
  else
    tier_link_succeeded(link, class, 0, now_ns);
}

/* A server that cannot read a command replies before all of it is written. */
static bool is_early(const struct tier_link *link, const struct tier_call *call) {
  return link->writing != NULL && link->calls.n == 1 && call->replied >= link->written;
}

void tier_link_reply(void *arg, const struct resp_reply *reply) {
  struct tier_link *link = arg;
  uint64_t now_ns = link->progress_ns;
  struct tier_call *call = tier_calls_first(&link->calls);
  if (link->broken)
    return;
  if (call == NULL || is_early(link, call)) {
    char text[TIER_CAUSE_BYTES] = "it replied to nothing";
    if (reply->items[0].type == RESP_ERROR)
      copy_error(text, &reply->items[0]);
    tier_link_break(link, BREAKER_LOST, text);
    return;
  }
  enum tier_call_kind kind = call->kind;
  enum fleet_op_class class = call->class;
  if (kind == CALL_OP) {
    take_op_reply(link, call, reply, now_ns);
  } else {
    tier_calls_pop(&link->calls);
    if (kind == CALL_PROBE)
      take_probe(link, class, &reply->items[0], now_ns);
    else
      tier_greeting_reply(link, kind, reply, now_ns);
  }
  tier_link_set_limit(link);
}
