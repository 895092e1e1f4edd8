#include "tests/fleet_sim/sim.h"

#include <stdlib.h>

#include "tests/fleet_sim/sim_clear.h"
#include "tests/fleet_sim/sim_memory.h"
#include "tests/fleet_sim/sim_node.h"

#define SETTLE_NS (2 * SIM_SECOND) /* after the last worker: queues and clears */

struct sim_params sim_params_usual(uint32_t nodes) {
  return (struct sim_params){
      .seed = 1,
      .nodes = nodes,
      .workers = 2,
      .keys = 50,
      .servers = 1 + (nodes - 1) / 1000,
      .network =
          {.latency_ns = 100000, .sigma = 0.5, .slow = 1000, .slow_x = 20, .service_ns = 10000},
      .start_ns = SIM_SECOND,
      .think_ns = 500 * SIM_MS,
      .compute_ns = 100 * SIM_MS,
      .compute_sigma = 0.5,
      .limit_ns = 300 * SIM_SECOND,
  };
}

/* ---- what happens during the run ---- */

struct change {
  struct sim_event event; /* first */
  struct sim *sim;
};

/* The server that all nodes need: it has the clears. */
static uint32_t failing_server(const struct sim_tier *tier) {
  return sim_tier_server_of(tier, fc_str_of("{fleet}"));
}

static void stop_server(struct sim_event *event) {
  struct sim_tier *tier = &((struct change *)event)->sim->tier;
  sim_tier_stop(tier, failing_server(tier));
}

static void fail_over(struct sim_event *event) {
  struct sim_tier *tier = &((struct change *)event)->sim->tier;
  sim_tier_fail_over(tier, failing_server(tier));
}

static void clear(struct sim_event *event) {
  sim_node_clear(((struct change *)event)->sim->nodes[0]);
}

static void set_change(struct sim *sim, struct change *change, uint64_t at_ns,
                       void (*fire)(struct sim_event *event)) {
  *change = (struct change){.event = {.fire = fire}, .sim = sim};
  if (at_ns != 0)
    sim_clock_set(&sim->clock, &change->event, SIM_START_NS + at_ns);
}

/* ---- the run ---- */

static void make(struct sim *sim, const struct sim_params *params) {
  *sim = (struct sim){.params = *params, .random = {params->seed}};
  sim_tier_init(&sim->tier, &sim->clock, &sim->random, &params->network, params->servers);
  if (params->fail_at_ns != 0)
    sim->tier.servers[failing_server(&sim->tier)].db.lag_ns = params->lag_ns;
  sim->tasks = sim_alloc((size_t)SIM_VERSIONS * params->keys, sizeof *sim->tasks);
  sim->order = sim_alloc(params->keys, sizeof *sim->order);
  for (uint32_t i = 0; i < params->keys; i++)
    sim->order[i] = i;
  sim_random_shuffle(&sim->random, sim->order, params->keys);
  sim->nodes = sim_alloc(params->nodes, sizeof(struct sim_node *));
  for (uint32_t i = 0; i < params->nodes; i++)
    sim->nodes[i] = sim_node_new(sim, i);
  for (uint32_t i = 0; i < params->nodes; i++)
    sim_node_start(sim->nodes[i]);
}

/* What the tier did before is not counted. */
static void begin_measure(struct sim_event *event) {
  struct sim_tier *tier = &((struct change *)event)->sim->tier;
  for (uint32_t i = 0; i < tier->n; i++) {
    struct sim_server *server = &tier->servers[i];
    server->busy_ns = server->commands = server->messages = server->longest_queue_ns = 0;
  }
}

/* Up to the end of the last worker. */
static void measure(struct sim *sim) {
  struct sim_results *results = &sim->results;
  results->took_ns = sim->clock.now_ns - SIM_START_NS;
  results->unfinished = sim->busy;
  for (uint32_t i = 0; i < sim->params.servers; i++) {
    const struct sim_server *server = &sim->tier.servers[i];
    double part = (double)server->busy_ns / (double)results->took_ns;
    results->commands += server->commands;
    results->messages += server->messages;
    if (part > results->busiest)
      results->busiest = part;
    if (server->longest_queue_ns > results->longest_queue_ns)
      results->longest_queue_ns = server->longest_queue_ns;
  }
}

static void end(struct sim *sim) {
  for (uint32_t i = 0; i < sim->params.nodes; i++)
    sim_node_stop(sim->nodes[i]);
  while (sim_clock_step(&sim->clock, UINT64_MAX)) /* the messages that are under way */
    ;
  sim->results.events = sim->clock.events;
  for (uint32_t i = 0; i < sim->params.nodes; i++)
    sim_node_free(sim->nodes[i]);
  sim_tier_deinit(&sim->tier);
  sim_clock_deinit(&sim->clock);
  free(sim->nodes);
  free(sim->order);
  free(sim->tasks);
}

void sim_run(const struct sim_params *params, struct sim_results *results) {
  struct change changes[4], *start = &changes[3];
  struct sim *sim = sim_alloc(1, sizeof *sim);
  make(sim, params);
  set_change(sim, &changes[0], params->fail_at_ns, stop_server);
  set_change(sim, &changes[1],
             params->fail_at_ns == 0 ? 0 : params->fail_at_ns + params->fail_over_ns, fail_over);
  set_change(sim, &changes[2], params->clear_at_ns, clear);
  *start = (struct change){.event = {.fire = begin_measure}, .sim = sim};
  sim_clock_set(&sim->clock, &start->event, SIM_START_NS);
  while (sim->busy > 0 && sim_clock_step(&sim->clock, params->limit_ns))
    ;
  measure(sim);
  uint64_t settled_ns = sim->clock.now_ns + SETTLE_NS;
  while (sim_clock_step(&sim->clock, settled_ns))
    ;
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++)
    sim_clock_unset(&sim->clock, &changes[i].event);
  end(sim);
  *results = sim->results;
  free(sim);
}
