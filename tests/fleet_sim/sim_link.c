#include "tests/fleet_sim/sim_link.h"

#include <assert.h>
#include <stdlib.h>

#include "tests/fleet_sim/sim_memory.h"

static uint64_t now_of(const struct sim_link *link) {
  return link->links->tier->clock->now_ns;
}

/* ---- the timer ---- */

static uint64_t next_probe_ns(const struct sim_link *link, uint32_t class) {
  bool other = class == FLEET_WRITES && breaker_probes_for_both(&link->breakers[FLEET_READS]);
  return other ? UINT64_MAX : breaker_next_ns(&link->breakers[class]);
}

static bool waits_for_server(const struct sim_link *link) {
  return link->grace.until_ns != 0 && !link->connected;
}

static uint64_t next_of_grace_ns(const struct sim_link *link) {
  uint64_t next_ns = link->grace.until_ns;
  if (!link->connecting && link->grace.retry_ns < next_ns)
    next_ns = link->grace.retry_ns;
  for (struct sim_command *c = link->unsent_first; c != NULL; c = c->next)
    next_ns = c->deadline_ns < next_ns ? c->deadline_ns : next_ns;
  return next_ns;
}

static uint64_t next_ns(const struct sim_link *link) {
  uint64_t next_ns = link->flight_first == NULL ? UINT64_MAX : link->flight_first->deadline_ns;
  if (waits_for_server(link)) {
    uint64_t of_grace_ns = next_of_grace_ns(link);
    next_ns = of_grace_ns < next_ns ? of_grace_ns : next_ns;
  }
  for (uint32_t i = 0; i < FLEET_OP_CLASSES; i++) {
    uint64_t probe_ns = next_probe_ns(link, i);
    next_ns = probe_ns < next_ns ? probe_ns : next_ns;
  }
  return next_ns;
}

/* A timer that is early does no harm. It is not moved to a later time, which saves most moves. */
static void set_timer(struct sim_link *link) {
  uint64_t at_ns = next_ns(link), now_ns = now_of(link);
  if (at_ns == UINT64_MAX || (link->timer.entry.place != 0 && link->timer.entry.at_ns <= at_ns))
    return;
  sim_clock_set(link->links->tier->clock, &link->timer, at_ns < now_ns ? now_ns : at_ns);
}

/* ---- sending ---- */

static void add_unsent(struct sim_link *link, struct sim_command *command) {
  *(link->unsent_first == NULL ? &link->unsent_first : &link->unsent_last->next) = command;
  link->unsent_last = command;
  link->unsent++;
  if (link->is_listed)
    return;
  link->is_listed = true;
  link->next_unsent = link->links->unsent;
  link->links->unsent = link;
}

static bool submit(struct fleet_io *io, struct fleet_op *op, uint64_t now_ns) {
  struct sim_links *links = (struct sim_links *)io;
  struct sim_link *link = &links->links[sim_tier_server_of(links->tier, op->key)];
  (void)now_ns;
  uint64_t permit = breaker_admit(&link->breakers[op->class]);
  if (permit == 0)
    return false;
  struct sim_command *command = sim_command_new(op);
  command->permit = permit;
  op->server = command;
  op->sent = op->answering = false;
  add_unsent(link, command);
  return true;
}

static void cancel(struct fleet_io *io, struct fleet_op *op) {
  struct sim_command *command = op->server;
  (void)io;
  assert(command->op == op);
  command->op = NULL;
}

static void send_probe(struct sim_link *link, enum fleet_op_class class) {
  struct fleet_op op = {.kind = class == FLEET_READS ? FLEET_OP_READ : FLEET_OP_OVERWRITE,
                        .class = class,
                        .key = fc_str_of("probe"),
                        .limit = 1,
                        .deadline_ns = now_of(link) + SIM_DEADLINE_NS};
  struct sim_command *command = sim_command_new(&op);
  command->op = NULL;
  add_unsent(link, command);
}

static void send(struct sim_link *link) {
  if (waits_for_server(link))
    set_timer(link);
  if (waits_for_server(link) || link->unsent_first == NULL)
    return;
  struct sim_message *message = sim_alloc(1, sizeof *message);
  *message = (struct sim_message){
      .link = link, .life = link->life, .n = link->unsent, .first = link->unsent_first};
  for (struct sim_command *command = message->first; command != NULL; command = command->next) {
    if (command->deadline_ns < now_of(link) + SIM_DEADLINE_NS) /* it has waited for the server */
      command->deadline_ns = now_of(link) + SIM_DEADLINE_NS;
    if (command->op != NULL)
      command->op->sent = true;
    if (link->flight_first == NULL)
      link->flight_first = command;
    else
      link->flight_last->next_in_flight = command;
    link->flight_last = command;
  }
  link->unsent_first = link->unsent_last = NULL;
  link->unsent = 0;
  sim_tier_send(link->links->tier, message, link->connected ? 1 : 3);
  link->connected = true;
  set_timer(link);
}

void sim_links_flush(struct sim_links *links) {
  for (struct sim_link *link; (link = links->unsent) != NULL;) {
    links->unsent = link->next_unsent;
    link->is_listed = false;
    send(link);
  }
}

/* ---- results ---- */

static void report_probe(struct sim_link *link, enum fleet_op_class class, bool good,
                         enum breaker_cause cause) {
  if (good)
    (void)breaker_probe_succeeded(&link->breakers[class], now_of(link));
  else
    breaker_probe_failed(&link->breakers[class], cause, now_of(link));
}

/* Ends a command, which is in flight no more. */
static void end(struct sim_link *link, struct sim_command *command,
                const struct fleet_reply *reply) {
  struct breaker *breaker = &link->breakers[command->class];
  uint64_t now_ns = now_of(link);
  struct fleet_op *op = command->op;
  bool good = reply->status == FLEET_OK || reply->status == FLEET_NONE;
  enum breaker_cause cause = reply->status == FLEET_TIMEOUT ? BREAKER_TIMEOUT : BREAKER_LOST;
  command->op = NULL;
  if (good)
    grace_served(&link->grace);
  if (command->permit == 0)
    report_probe(link, command->class, good, cause);
  else if (good)
    (void)breaker_succeeded(breaker, command->permit, now_ns);
  else
    link->links->openings += breaker_failed(breaker, command->permit, cause, now_ns);
  link->links->timeouts += reply->status == FLEET_TIMEOUT && op != NULL;
  if (op != NULL)
    op->done(op, reply, now_ns);
}

static struct sim_command *land(struct sim_link *link) {
  struct sim_command *command = link->flight_first;
  link->flight_first = command->next_in_flight;
  command->next_in_flight = NULL;
  return command;
}

/* ---- lost connections ---- */

/* The connection is that of all classes, so a server that hangs costs one deadline for all. */
static void stop_all(struct sim_link *link, enum breaker_cause cause) {
  for (uint32_t i = 0; i < FLEET_OP_CLASSES; i++) {
    uint64_t permit = breaker_admit(&link->breakers[i]);
    if (permit != 0)
      link->links->openings += breaker_failed(&link->breakers[i], permit, cause, now_of(link));
  }
}

/* Ends those whose deadline is not after `until_ns`, without a result for the breakers. */
static void end_unsent(struct sim_link *link, enum fleet_status status, uint64_t until_ns) {
  const struct fleet_reply reply = {.status = status};
  struct sim_command *first = link->unsent_first;
  link->unsent_first = link->unsent_last = NULL;
  link->unsent = 0;
  for (struct sim_command *command = first, *next; command != NULL; command = next) {
    next = command->next;
    command->next = NULL;
    if (command->deadline_ns > until_ns) {
      add_unsent(link, command);
      continue;
    }
    struct fleet_op *op = command->op;
    if (command->permit != 0)
      breaker_abandoned(&link->breakers[command->class], command->permit);
    else
      report_probe(link, command->class, false, BREAKER_LOST);
    link->links->timeouts += status == FLEET_TIMEOUT && op != NULL;
    sim_command_free(command);
    if (op != NULL)
      op->done(op, &reply, now_of(link));
  }
}

/* Those that can be executed twice. */
static bool is_repeatable(const struct sim_command *command) {
  static const bool kinds[FLEET_OP_KINDS] = {
      [FLEET_OP_READ] = true, [FLEET_OP_VERSION] = true, [FLEET_OP_LEASE] = true,
      [FLEET_OP_LIST] = true, [FLEET_OP_TABLE] = true,   [FLEET_OP_GET_FIELD] = true};
  return command->op != NULL && kinds[command->copy.kind];
}

/* The message frees the old command. */
static struct sim_command *repeat(struct sim_command *old) {
  struct sim_command *command = sim_command_new(old->op);
  command->permit = old->permit;
  command->again = true;
  old->op->server = command;
  old->op->sent = false;
  old->op = NULL;
  return command;
}

/* What can be repeated goes before the unsent commands. The others end. */
static void wait_for_server(struct sim_link *link, struct sim_command *first) {
  const struct fleet_reply down = {.status = FLEET_DOWN};
  struct sim_command *unsent = link->unsent_first;
  link->unsent_first = link->unsent_last = NULL;
  link->unsent = 0;
  for (struct sim_command *command = first; command != NULL; command = command->next_in_flight)
    if (is_repeatable(command))
      add_unsent(link, repeat(command));
    else if (command->permit != 0)
      breaker_abandoned(&link->breakers[command->class], command->permit);
    else
      report_probe(link, command->class, false, BREAKER_LOST);
  for (struct sim_command *next; unsent != NULL; unsent = next) {
    next = unsent->next;
    unsent->next = NULL;
    add_unsent(link, unsent);
  }
  for (struct sim_command *command = first, *next; command != NULL; command = next) {
    struct fleet_op *op = command->op;
    next = command->next_in_flight;
    command->next_in_flight = NULL;
    command->op = NULL;
    if (op != NULL)
      op->done(op, &down, now_of(link));
  }
}

static bool has_closed_breaker(const struct sim_link *link) {
  return link->breakers[FLEET_READS].state == BREAKER_CLOSED ||
         link->breakers[FLEET_WRITES].state == BREAKER_CLOSED;
}

/* Closes the connection. Without a grace all that is in flight ends: the first with `status`, the
 * others because they shared its connection. */
static void lose(struct sim_link *link, enum fleet_status status, bool may_wait) {
  struct sim_command *first = link->flight_first;
  link->connected = link->connecting = false;
  link->life++;
  link->there_ns = link->back_ns = 0;
  link->flight_first = link->flight_last = NULL;
  if (may_wait && has_closed_breaker(link) &&
      grace_lost(&link->grace, SIM_DEADLINE_NS, now_of(link))) {
    wait_for_server(link, first);
    return;
  }
  grace_end(&link->grace);
  stop_all(link, status == FLEET_TIMEOUT ? BREAKER_TIMEOUT : BREAKER_LOST);
  for (struct sim_command *command = first, *next; command != NULL; command = next) {
    struct fleet_reply reply = {.status = status};
    next = command->next_in_flight;
    command->next_in_flight = NULL;
    end(link, command, &reply);
    status = FLEET_DOWN;
  }
  end_unsent(link, FLEET_DOWN, UINT64_MAX);
}

/* An empty message is a handshake. */
static void connect(struct sim_link *link) {
  struct sim_message *message = sim_alloc(1, sizeof *message);
  *message = (struct sim_message){.link = link, .life = link->life};
  link->connecting = true;
  sim_tier_send(link->links->tier, message, 3);
}

static void expire_grace(struct sim_link *link) {
  uint64_t now_ns = now_of(link);
  if (link->grace.until_ns <= now_ns) {
    lose(link, FLEET_DOWN, false);
    return;
  }
  end_unsent(link, FLEET_TIMEOUT, now_ns);
  if (!link->connecting && link->grace.retry_ns <= now_ns)
    connect(link);
}

void sim_link_receive(struct sim_link *link, struct sim_message *message) {
  if (message->life != link->life) {
    sim_message_free(message);
    return;
  }
  if (message->reset) {
    lose(link, FLEET_DOWN, true);
  } else if (message->n == 0) {
    link->connected = true;
    link->connecting = false;
    send(link);
  }
  for (struct sim_command *command = message->first; command != NULL && !message->reset;
       command = command->next) {
    struct sim_command *landed = land(link);
    assert(landed == command);
    struct fleet_reply reply = sim_command_reply(landed);
    end(link, landed, &reply);
  }
  sim_message_free(message);
  set_timer(link);
  link->links->turn(link->links->arg);
}

static void fire(struct sim_event *event) {
  struct sim_link *link = (struct sim_link *)event;
  uint64_t now_ns = now_of(link);
  bool late = link->flight_first != NULL && link->flight_first->deadline_ns <= now_ns;
  if (late)
    lose(link, FLEET_TIMEOUT, false);
  bool waited = waits_for_server(link);
  if (waited)
    expire_grace(link);
  for (uint32_t i = 0; i < FLEET_OP_CLASSES; i++)
    if (next_probe_ns(link, i) <= now_ns && breaker_probe_due(&link->breakers[i], now_ns))
      send_probe(link, (enum fleet_op_class)i);
  set_timer(link);
  if (late || waited)
    link->links->turn(link->links->arg);
  sim_links_flush(link->links);
}

/* ---- life ---- */

void sim_message_free(struct sim_message *message) {
  for (struct sim_command *command = message->first, *next; command != NULL; command = next) {
    next = command->next;
    sim_command_free(command);
  }
  free(message);
}

void sim_links_init(struct sim_links *links, struct sim_tier *tier, uint64_t seed,
                    void (*turn)(void *arg), void *arg) {
  *links = (struct sim_links){.io = {.submit = submit, .cancel = cancel},
                              .tier = tier,
                              .n = tier->n,
                              .turn = turn,
                              .arg = arg};
  links->links = sim_alloc(links->n, sizeof *links->links);
  for (uint32_t i = 0; i < links->n; i++) {
    struct sim_link *link = &links->links[i];
    *link = (struct sim_link){.timer = {.fire = fire}, .links = links, .server = i};
    for (uint32_t class = 0; class < FLEET_OP_CLASSES; class ++)
      breaker_init(&link->breakers[class], seed + i * 2 + class);
    grace_init(&link->grace, seed + i);
  }
}

void sim_links_stop(struct sim_links *links) {
  sim_links_flush(links);
  for (uint32_t i = 0; i < links->n; i++) {
    struct sim_link *link = &links->links[i];
    for (struct sim_command *command = link->unsent_first, *next; command != NULL; command = next) {
      next = command->next;
      sim_command_free(command);
    }
    link->unsent_first = link->unsent_last = NULL;
    link->life++;
    sim_clock_unset(links->tier->clock, &link->timer);
  }
}

void sim_links_deinit(struct sim_links *links) {
  free(links->links);
  links->links = NULL;
  links->n = 0;
}
