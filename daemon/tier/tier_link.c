#include "daemon/tier/tier_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/check.h"
#include "daemon/tier/tier_internal.h"
#include "proto/errors.h"

static const char *const class_names[FLEET_OP_CLASSES] = {"reads", "writes"};

/* ---- the queue ---- */

static void append(struct tier_link *link, struct fleet_op *op) {
  op->next = NULL;
  op->prev = link->last;
  if (link->last != NULL)
    link->last->next = op;
  else
    link->first = op;
  link->last = op;
  link->n_queued++;
}

void tier_link_unlink(struct tier_link *link, struct fleet_op *op) {
  if (op->prev != NULL)
    op->prev->next = op->next;
  else
    link->first = op->next;
  if (op->next != NULL)
    op->next->prev = op->prev;
  else
    link->last = op->prev;
  op->next = op->prev = NULL;
  link->n_queued--;
}

void tier_link_put_back(struct tier_link *link, struct fleet_op *op, uint32_t flags) {
  op->sent = op->answering = false;
  op->step = flags;
  op->prev = NULL;
  op->next = link->first;
  if (link->first != NULL)
    link->first->prev = op;
  else
    link->last = op;
  link->first = op;
  link->n_queued++;
}

bool tier_link_submit(struct tier_link *link, struct fleet_op *op, uint32_t flags) {
  uint64_t permit = breaker_admit(&link->breakers[op->class]);
  if (permit == 0)
    return false;
  op->server = link;
  op->permit = permit;
  op->step = flags;
  op->sent = op->answering = false;
  append(link, op);
  tier_io_schedule(link->tier);
  tier_io_wake_at(link->tier, op->deadline_ns);
  return true;
}

/* A command of which a part has been written cannot be taken back. */
void tier_link_cancel(struct tier_link *link, struct fleet_op *op) {
  if (!op->sent) {
    tier_link_unlink(link, op);
    breaker_abandoned(&link->breakers[op->class], op->permit);
  } else {
    struct tier_call *call = tier_calls_find(&link->calls, op->step);
    check_eq(call != NULL && call->op == op, true);
    call->op = NULL;
    if (link->writing == op) {
      link->writing = NULL;
      tier_link_break(link, BREAKER_LOST, "a write was cancelled when a part had been sent");
    }
  }
  op->server = NULL;
}

/* ---- results ---- */

void tier_link_finish(struct tier_link *link, struct fleet_op *op, const struct fleet_reply *reply,
                      uint64_t now_ns) {
  static const bool is_error[FLEET_STATUSES] = {
      [FLEET_DOWN] = true, [FLEET_REFUSED] = true, [FLEET_WRONG] = true};
  link->counts.timeouts += reply->status == FLEET_TIMEOUT;
  link->counts.errors += is_error[reply->status];
  op->server = NULL;
  op->done(op, reply, now_ns);
}

static void note_change(struct tier_link *link, enum fleet_op_class class,
                        enum breaker_state before, const char *text, uint64_t now_ns) {
  const struct breaker *breaker = &link->breakers[class];
  if (breaker->state == before)
    return;
  link->since_ns[class] = now_ns;
  if (breaker->state == BREAKER_OPEN && text != NULL)
    (void)snprintf(link->causes[class], sizeof link->causes[class], "%s", text);
  tier_io_schedule(link->tier); /* to log it, and to give back the queued ops */
}

static uint64_t next_probe_ns(const struct tier_link *link, enum fleet_op_class class) {
  bool other = class == FLEET_WRITES && breaker_probes_for_both(&link->breakers[FLEET_READS]);
  return other ? UINT64_MAX : breaker_next_ns(&link->breakers[class]);
}

/* The end of one breaker's probes may begin the other's. */
static void wake_for_probes(struct tier_link *link) {
  for (enum fleet_op_class class = 0; class < FLEET_OP_CLASSES; class ++)
    tier_io_wake_at(link->tier, next_probe_ns(link, class));
}

void tier_link_succeeded(struct tier_link *link, enum fleet_op_class class, uint64_t permit,
                         uint64_t now_ns) {
  struct breaker *breaker = &link->breakers[class];
  enum breaker_state before = breaker->state;
  if (permit != 0)
    (void)breaker_succeeded(breaker, permit, now_ns);
  else if (breaker->probing)
    (void)breaker_probe_succeeded(breaker, now_ns);
  grace_served(&link->grace);
  note_change(link, class, before, NULL, now_ns);
  wake_for_probes(link);
}

/* A permit of 0 is that of a probe. */
void tier_link_failed(struct tier_link *link, enum fleet_op_class class, uint64_t permit,
                      enum breaker_cause cause, const char *text, uint64_t now_ns) {
  struct breaker *breaker = &link->breakers[class];
  enum breaker_state before = breaker->state;
  if (permit != 0)
    (void)breaker_failed(breaker, permit, cause, now_ns);
  else if (breaker->probing)
    breaker_probe_failed(breaker, cause, now_ns);
  note_change(link, class, before, text, now_ns);
  wake_for_probes(link);
}

void tier_link_log_state(struct tier_link *link, uint64_t now_ns) {
  char names[32] = "";
  bool stopped[FLEET_OP_CLASSES], more = false, less = false;
  const char *cause = "";
  for (size_t i = 0; i < FLEET_OP_CLASSES; i++) {
    stopped[i] = link->breakers[i].state != BREAKER_CLOSED;
    more = more || (stopped[i] && !link->stopped[i]);
    less = less || (!stopped[i] && link->stopped[i]);
  }
  if (!more && !less)
    return;
  for (size_t i = 0; i < FLEET_OP_CLASSES; i++) {
    if (stopped[i] == link->stopped[i] || (less && stopped[i]))
      continue;
    (void)snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s",
                   names[0] != '\0' ? " and " : "", class_names[i]);
    cause = link->causes[i];
  }
  if (less)
    log_line(link->tier->config.log, LOG_LEVEL_INFO, "tier server %s: %s again, after %.1f s",
             link->name, names, (double)(now_ns - link->stopped_ns) / 1e9);
  else
    log_line(link->tier->config.log, LOG_LEVEL_WARNING,
             "tier server %s: no %s until it recovers: %s", link->name, names, cause);
  if (more)
    link->stopped_ns = now_ns;
  memcpy(link->stopped, stopped, sizeof stopped);
}

/* ---- the connection ---- */

void tier_link_close(struct tier_link *link) {
  tier_stream_close(link->stream);
  link->stream = NULL;
  resp_reader_deinit(&link->reader);
  link->state = LINK_DOWN;
  link->broken = link->paused = link->resume = false;
  link->greetings = 0;
  link->writing = NULL;
  link->slots_wanted = link->connect_wanted = link->move_wanted = false;
  for (size_t i = 0; i < FLEET_OP_CLASSES; i++)
    link->probe_wanted[i] = false;
  tier_io_release_large(link->tier, link);
}

void tier_link_rest(struct tier_link *link) {
  check_eq(link->calls.n + link->n_queued, 0);
  tier_link_close(link);
  grace_end(&link->grace);
}

bool tier_link_is_seed(const struct tier_link *link) {
  return link->addresses != &link->own;
}

/* ---- turns and deadlines ---- */

static struct fleet_op *find_stopped(const struct tier_link *link) {
  struct fleet_op *op = link->first;
  while (op != NULL && link->breakers[op->class].state != BREAKER_OPEN)
    op = op->next;
  return op;
}

/* Gives back the queued ops whose breaker has opened since. `done` may submit and cancel others,
 * but none of a class that is stopped. */
static void give_back_stopped(struct tier_link *link, uint64_t now_ns) {
  for (struct fleet_op *op = find_stopped(link); op != NULL; op = find_stopped(link)) {
    const struct fleet_reply reply = {.status = FLEET_DOWN, .text = link->causes[op->class]};
    tier_link_unlink(link, op);
    tier_link_finish(link, op, &reply, now_ns);
  }
}

/* The pause is no fault of the server: it gets the time again. */
static void resume(struct tier_link *link, uint64_t now_ns) {
  link->paused = link->resume = false;
  for (uint32_t i = 0; i < link->calls.n; i++)
    tier_calls_find(&link->calls, link->calls.first + i)->end_ns += now_ns - link->paused_ns;
  link->progress_ns = now_ns;
  tier_stream_resume(link->stream);
}

static bool is_wanted(const struct tier_link *link) {
  return link->first != NULL || link->grace.until_ns != 0 || link->connect_wanted ||
         link->slots_wanted || link->probe_wanted[FLEET_READS] || link->probe_wanted[FLEET_WRITES];
}

/* The server at this address is a replica. The queue waits for the next address. */
static void move(struct tier_link *link) {
  bool probes[FLEET_OP_CLASSES];
  memcpy(probes, link->probe_wanted, sizeof probes);
  tier_link_close(link);
  memcpy(link->probe_wanted, probes, sizeof probes);
  link->address = (link->address + 1) % link->n_addresses;
  link->connect_wanted = true;
}

void tier_link_turn(struct tier_link *link, uint64_t now_ns) {
  if (link->move_wanted)
    move(link);
  if (link->resume)
    resume(link, now_ns);
  if (link->broken)
    tier_link_fail_broken(link, now_ns);
  give_back_stopped(link, now_ns);
  if (link->state == LINK_DOWN && is_wanted(link) && link->grace.retry_ns <= now_ns)
    tier_link_connect(link, now_ns);
  if (link->state == LINK_READY)
    tier_link_send(link, now_ns);
  tier_link_log_state(link, now_ns);
}

/* An op is due if its reply does not come: nothing came since its deadline, and nothing within a
 * deadline. While another server's large reply is received, nothing is expected. */
static uint64_t due_ns(const struct tier_link *link, uint64_t deadline_ns, uint64_t end_ns) {
  uint64_t quiet_ns = link->progress_ns + link->tier->config.deadline_ns;
  uint64_t first_ns = link->paused ? UINT64_MAX : deadline_ns > quiet_ns ? deadline_ns : quiet_ns;
  return first_ns < end_ns ? first_ns : end_ns;
}

static uint64_t earliest_due_ns(const struct tier_link *link) {
  uint64_t earliest = UINT64_MAX, deadline = link->tier->config.deadline_ns;
  if (link->state == LINK_CONNECTING || link->state == LINK_GREETING)
    earliest = due_ns(link, 0, link->begun_ns + FLEET_IO_DEADLINES * deadline);
  for (uint32_t i = 0; i < link->calls.n; i++) {
    const struct tier_call *call = tier_calls_find(&link->calls, link->calls.first + i);
    uint64_t due = due_ns(link, call->deadline_ns, call->end_ns);
    earliest = due < earliest ? due : earliest;
  }
  const struct fleet_op *oldest = link->first; /* of one class, others are hardly older */
  if (oldest != NULL && oldest->end_ns < earliest)
    earliest = oldest->end_ns;
  return earliest;
}

uint64_t tier_link_next_ns(const struct tier_link *link) {
  uint64_t next = earliest_due_ns(link);
  if (link->grace.until_ns != 0) {
    uint64_t of_grace = tier_link_next_of_grace_ns(link);
    next = of_grace < next ? of_grace : next;
  }
  for (enum fleet_op_class i = 0; i < FLEET_OP_CLASSES; i++) {
    uint64_t probe = next_probe_ns(link, i);
    next = probe < next ? probe : next;
  }
  return next;
}

static void expire_connection(struct tier_link *link, uint64_t now_ns) {
  char text[TIER_CAUSE_BYTES];
  uint64_t deadline_ns = link->tier->config.deadline_ns;
  bool quiet = now_ns - link->progress_ns >= deadline_ns;
  (void)snprintf(text, sizeof text, "no %s within %g s",
                 link->state != LINK_READY ? "connection"
                 : quiet                   ? "reply"
                                           : "end of a reply",
                 (double)(quiet ? deadline_ns : FLEET_IO_DEADLINES * deadline_ns) / 1e9);
  tier_link_fail(link, BREAKER_TIMEOUT, text, now_ns);
}

void tier_link_expire(struct tier_link *link, uint64_t now_ns) {
  if (link->grace.until_ns != 0)
    tier_link_expire_grace(link, now_ns);
  if (earliest_due_ns(link) <= now_ns)
    expire_connection(link, now_ns);
  for (enum fleet_op_class i = 0; i < FLEET_OP_CLASSES; i++)
    if (next_probe_ns(link, i) <= now_ns && breaker_probe_due(&link->breakers[i], now_ns)) {
      link->probe_wanted[i] = true;
      tier_io_schedule(link->tier);
    }
}

/* ---- the life of a server ---- */

void tier_link_set_name(struct tier_link *link) {
  const struct tier_address *address = &link->addresses[link->address];
  if (address->path[0] != '\0')
    (void)snprintf(link->name, sizeof link->name, "unix:%s", address->path);
  else
    (void)snprintf(link->name, sizeof link->name,
                   strchr(address->host, ':') != NULL ? "[%s]:%u" : "%s:%u", address->host,
                   address->port);
}

struct tier_link *tier_link_new(struct tier_io *tier, const struct tier_address *addresses,
                                size_t n, const struct tier_address *own) {
  struct tier_link *link = calloc(1, sizeof *link);
  if (link == NULL)
    return NULL;
  if (host_lookup_init(&link->lookup, tier->config.loop, tier_link_found, link) < 0) {
    free(link);
    return NULL;
  }
  link->tier = tier;
  link->serial = ++tier->serials;
  if (own != NULL)
    link->own = *own;
  link->addresses = own != NULL ? &link->own : addresses;
  link->n_addresses = own != NULL ? 1 : n;
  link->role = "";
  for (size_t i = 0; i < FLEET_OP_CLASSES; i++) {
    breaker_init(&link->breakers[i], tier->config.seed + 2 * link->serial + i);
    link->since_ns[i] = uv_hrtime();
  }
  grace_init(&link->grace, tier->config.seed + link->serial);
  tier_link_set_name(link);
  return link;
}

void tier_link_free(struct tier_link *link) {
  tier_link_close(link);
  while (link->calls.n > 0) {
    struct fleet_op *op = tier_calls_first(&link->calls)->op;
    tier_calls_pop(&link->calls);
    if (op != NULL)
      op->server = NULL;
  }
  for (struct fleet_op *op = link->first; op != NULL; op = op->next)
    op->server = NULL;
  tier_calls_deinit(&link->calls);
  host_lookup_close(&link->lookup);
  free(link);
}
