/* The end of a tier server's connection: what becomes of its ops, its breakers and its grace. */
#include <stdio.h>

#include "daemon/tier/tier_internal.h"
#include "daemon/tier/tier_link.h"

/* ---- marks ---- */

static void set_broken(struct tier_link *link, enum breaker_cause cause, const char *text,
                       bool is_lost) {
  if (link->broken)
    return;
  link->broken = true;
  link->broken_lost = is_lost;
  link->broken_cause = cause;
  (void)snprintf(link->broken_text, sizeof link->broken_text, "%s", text);
  resp_reader_stop(&link->reader);
  tier_io_schedule(link->tier);
}

void tier_link_break(struct tier_link *link, enum breaker_cause cause, const char *text) {
  set_broken(link, cause, text, false);
}

void tier_link_break_lost(struct tier_link *link, const char *text) {
  set_broken(link, BREAKER_LOST, text, true);
}

/* ---- without a grace ---- */

/* Those that are on their way, and those that wait for the connection. */
static void fail_probes(struct tier_link *link, enum breaker_cause cause, const char *text,
                        uint64_t now_ns) {
  for (enum fleet_op_class c = 0; c < FLEET_OP_CLASSES; c++)
    tier_link_failed(link, c, 0, cause, text, now_ns);
}

/* Reports it to both breakers: a server that hangs costs one deadline, not one for each class. */
static void report_failure(struct tier_link *link, enum breaker_cause cause, const char *text,
                           uint64_t now_ns) {
  for (uint32_t i = 0; i < link->calls.n; i++) {
    const struct tier_call *call = tier_calls_find(&link->calls, link->calls.first + i);
    if (call->kind == CALL_OP)
      tier_link_failed(link, call->class, call->permit, cause, text, now_ns);
  }
  fail_probes(link, cause, text, now_ns);
  for (enum fleet_op_class c = 0; c < FLEET_OP_CLASSES; c++) {
    uint64_t permit = breaker_admit(&link->breakers[c]);
    if (permit != 0)
      tier_link_failed(link, c, permit, cause, text, now_ns);
  }
}

/* Gives back the ops that are waiting now. `done` may submit others. */
static void give_back(struct tier_link *link, const struct fleet_reply *reply, uint64_t now_ns) {
  while (link->calls.n > 0) {
    struct fleet_op *op = tier_calls_first(&link->calls)->op;
    tier_calls_pop(&link->calls);
    if (op != NULL)
      tier_link_finish(link, op, reply, now_ns);
  }
  for (uint32_t n = link->n_queued; n > 0 && link->first != NULL; n--) {
    struct fleet_op *op = link->first;
    tier_link_unlink(link, op);
    breaker_abandoned(&link->breakers[op->class], op->permit);
    tier_link_finish(link, op, reply, now_ns);
  }
}

/* ---- the grace ---- */

/* A read can be executed twice, and so can a lease, whose token shows that it was granted. */
static bool is_repeatable(const struct tier_call *call) {
  static const bool kinds[FLEET_OP_KINDS] = {
      [FLEET_OP_READ] = true, [FLEET_OP_VERSION] = true, [FLEET_OP_LEASE] = true,
      [FLEET_OP_LIST] = true, [FLEET_OP_TABLE] = true,   [FLEET_OP_GET_FIELD] = true};
  return call->op != NULL && kinds[call->op->kind];
}

static void put_back_repeatable(struct tier_link *link) {
  for (uint32_t i = link->calls.n; i > 0; i--) {
    struct tier_call *call = tier_calls_find(&link->calls, link->calls.first + i - 1);
    if (!is_repeatable(call))
      continue;
    tier_link_put_back(link, call->op, call->flags | TIER_OP_AGAIN);
    call->op = NULL;
    call->permit = 0; /* stays that of the op */
  }
}

/* The calls end without a result for the breakers. `done` may submit others. */
static void end_calls(struct tier_link *link, const struct fleet_reply *reply, uint64_t now_ns) {
  while (link->calls.n > 0) {
    struct tier_call call = *tier_calls_first(&link->calls);
    tier_calls_pop(&link->calls);
    if (call.permit != 0)
      breaker_abandoned(&link->breakers[call.class], call.permit);
    if (call.op != NULL)
      tier_link_finish(link, call.op, reply, now_ns);
  }
}

static bool has_closed_breaker(const struct tier_link *link) {
  return link->breakers[FLEET_READS].state == BREAKER_CLOSED ||
         link->breakers[FLEET_WRITES].state == BREAKER_CLOSED;
}

/* Returns whether the server, whose connection is closed, has a grace. */
static bool begin_grace(struct tier_link *link, const char *text, uint64_t now_ns) {
  if (!has_closed_breaker(link) ||
      !grace_lost(&link->grace, link->tier->config.deadline_ns, now_ns))
    return false;
  const struct fleet_reply reply = {.status = FLEET_DOWN, .text = text};
  (void)snprintf(link->lost_text, sizeof link->lost_text, "%s", text);
  fail_probes(link, BREAKER_LOST, text, now_ns);
  put_back_repeatable(link);
  end_calls(link, &reply, now_ns);
  tier_io_wake_at(link->tier, link->grace.retry_ns); /* and then at other times of the grace */
  return true;
}

static struct fleet_op *find_late(const struct tier_link *link, uint64_t now_ns) {
  struct fleet_op *op = link->first;
  while (op != NULL && op->deadline_ns > now_ns)
    op = op->next;
  return op;
}

void tier_link_expire_grace(struct tier_link *link, uint64_t now_ns) {
  const struct fleet_reply late = {.status = FLEET_TIMEOUT, .text = link->lost_text};
  if (link->grace.until_ns <= now_ns && link->state == LINK_READY) {
    grace_end(&link->grace);
    return;
  }
  if (link->grace.until_ns <= now_ns) {
    tier_link_fail(link, BREAKER_LOST, link->lost_text, now_ns);
    return;
  }
  for (struct fleet_op *op; link->state != LINK_READY && (op = find_late(link, now_ns)) != NULL;) {
    tier_link_unlink(link, op);
    breaker_abandoned(&link->breakers[op->class], op->permit);
    tier_link_finish(link, op, &late, now_ns);
  }
}

uint64_t tier_link_next_of_grace_ns(const struct tier_link *link) {
  uint64_t next = link->grace.until_ns;
  if (link->state == LINK_DOWN && link->grace.retry_ns < next)
    next = link->grace.retry_ns;
  for (struct fleet_op *op = link->first; op != NULL && link->state != LINK_READY; op = op->next)
    next = op->deadline_ns < next ? op->deadline_ns : next;
  return next;
}

/* ---- the end of a connection ---- */

static void fail(struct tier_link *link, enum breaker_cause cause, const char *text, bool is_lost,
                 uint64_t now_ns) {
  char copy[TIER_CAUSE_BYTES]; /* the text may be the stream's */
  bool idle = link->state == LINK_READY && !link->broken && link->calls.n + link->n_queued == 0 &&
              link->grace.until_ns <= now_ns;
  (void)snprintf(copy, sizeof copy, "%s", text);
  if (link->state != LINK_READY || link->other_address)
    link->address = (link->address + 1) % link->n_addresses;
  link->other_address = false;
  tier_link_close(link);
  if (idle && cause == BREAKER_LOST) { /* servers close idle connections */
    fail_probes(link, cause, copy, now_ns);
    return;
  }
  if (is_lost && begin_grace(link, copy, now_ns))
    return;
  grace_end(&link->grace);
  report_failure(link, cause, copy, now_ns);
  tier_link_log_state(link, now_ns);
  const struct fleet_reply reply = {.status = cause == BREAKER_TIMEOUT ? FLEET_TIMEOUT : FLEET_DOWN,
                                    .text = copy};
  give_back(link, &reply, now_ns);
}

void tier_link_fail(struct tier_link *link, enum breaker_cause cause, const char *text,
                    uint64_t now_ns) {
  fail(link, cause, text, false, now_ns);
}

void tier_link_lose(struct tier_link *link, const char *text, uint64_t now_ns) {
  fail(link, BREAKER_LOST, text, true, now_ns);
}

void tier_link_fail_broken(struct tier_link *link, uint64_t now_ns) {
  fail(link, link->broken_cause, link->broken_text, link->broken_lost, now_ns);
}
