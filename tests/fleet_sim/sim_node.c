#include "tests/fleet_sim/sim_node.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/check.h"
#include "daemon/region/region_writer.h"
#include "daemon/store/adopt.h"
#include "tests/fleet_sim/sim_clear.h"
#include "tests/fleet_sim/sim_memory.h"

#define PREFIX "fcached:"
#define VALUE_MAX 4096u
#define FILLS 256u
#define QUEUE_BYTES (1u << 20)
#define CLOCK_SKEW_NS (50 * SIM_MS) /* of a node's wall clock, at most */
#define WALL_NS UINT64_C(1700000000000000000)

/* ---- turns ---- */

void sim_node_ready(struct sim_node *node, struct sim_worker *worker) {
  assert(!worker->is_ready);
  worker->is_ready = true;
  worker->next_ready = NULL;
  if (node->ready_first == NULL)
    node->ready_first = worker;
  else
    node->ready_last->next_ready = worker;
  node->ready_last = worker;
}

static bool continue_workers(struct sim_node *node) {
  bool any = false;
  for (struct sim_worker *worker; (worker = node->ready_first) != NULL; any = true) {
    node->ready_first = worker->next_ready;
    worker->is_ready = false;
    sim_worker_continue(worker);
  }
  for (struct lease_client *client; (client = leases_next_due(&node->leases)) != NULL; any = true)
    while (client->due_first != NULL)
      sim_worker_wait_ended(sim_worker_of_client(client));
  return any;
}

static uint64_t next_ns(const struct sim_node *node) {
  uint64_t times[] = {fleet_next_ns(&node->fleet), leases_next_ns(&node->leases),
                      fleet_clears_next_ns(&node->clears)};
  uint64_t first_ns = UINT64_MAX;
  for (size_t i = 0; i < sizeof times / sizeof *times; i++)
    first_ns = times[i] < first_ns ? times[i] : first_ns;
  return first_ns;
}

void sim_node_turn(struct sim_node *node) {
  struct sim_clock *clock = &node->sim->clock;
  uint64_t at_ns;
  do {
    if (fleet_next_ns(&node->fleet) <= clock->now_ns)
      fleet_tick(&node->fleet, clock->now_ns);
    if (leases_next_ns(&node->leases) <= clock->now_ns)
      leases_expire(&node->leases, clock->now_ns);
    if (fleet_clears_next_ns(&node->clears) <= clock->now_ns)
      fleet_clears_tick(&node->clears, clock->now_ns);
    sim_clears_turn(node);
  } while (continue_workers(node));
  sim_links_flush(&node->links);
  at_ns = next_ns(node);
  /* A timer that is early does no harm, and most moves are to later times. */
  if (at_ns != UINT64_MAX && (node->timer.entry.place == 0 || node->timer.entry.at_ns > at_ns))
    sim_clock_set(clock, &node->timer, at_ns < clock->now_ns ? clock->now_ns : at_ns);
}

static void fire(struct sim_event *event) {
  sim_node_turn((struct sim_node *)event);
}

static void turn(void *arg) {
  sim_node_turn(arg);
}

/* ---- callbacks ---- */

static void resume(void *arg, struct fleet_waiter *waiter) {
  sim_node_ready(arg, sim_worker_of_waiter(waiter));
}

static void lease_changed(void *arg, const struct lease *lease, enum lease_change change,
                          uint64_t now_ns) {
  struct sim_node *node = arg;
  fleet_lease_changed(&node->fleet, lease, change, now_ns);
}

/* ---- life ---- */

static void check_rc(int rc, const struct error_text *error) {
  if (rc == 0)
    return;
  (void)fprintf(stderr, "fleet_sim: no node: %s\n", error->text);
  exit(1);
}

static void make_store(struct sim_node *node) {
  struct error_text error = {.text = "no memory"};
  struct catalog_sizes sizes = {.areas[CATALOG_LEASES] = {256, 1}};
  uint64_t entries = node->sim->params.keys * SIM_VERSIONS, bytes = 65536 + entries * 512;
  store_catalog_sizes(&sizes);
  check_rc(region_writer_init(&node->region, bytes, VALUE_MAX, 1, false, &error), &error);
  check_rc(catalog_create(&node->catalog, &sizes, node->region.arena_size / CATALOG_CHUNK_BYTES,
                          false, &error),
           &error);
  check_rc(store_init(&node->store, &node->region, &node->catalog, bytes, VALUE_MAX,
                      node->number + 1, node->number + 1),
           &error);
  namespace_table_init(&node->namespaces, &node->store, 4);
  check_rc(namespace_table_open(&node->namespaces, fc_str_of("model"), NULL, &node->ns), &error);
}

static void make_fleet(struct sim_node *node) {
  struct error_text error = {.text = "no memory for its fleet"};
  struct fleet_config config = {
      .store = &node->store,
      .leases = &node->leases,
      .namespaces = &node->namespaces,
      .client = &node->others,
      .io = &node->links.io,
      .clears = &node->clears,
      .prefix = fc_str_of(PREFIX),
      .node = node->number + 1,
      .seed = sim_random_next(&node->sim->random),
      .reads = true,
      .writes = true,
      .lease_ns = 3 * SIM_SECOND,
      .queue_bytes = QUEUE_BYTES,
      .max_fills = FILLS,
      .options = {.deadline_ns = SIM_DEADLINE_NS, .queue_age_ns = 10 * SIM_SECOND},
      .resume = resume,
      .arg = node,
  };
  uint64_t skew_ns = sim_random_below(&node->sim->random, 2 * CLOCK_SKEW_NS);
  check_rc(fleet_init(&node->fleet, &config), &error);
  sim_clears_init(node, config.prefix, config.options.deadline_ns);
  fleet_set_wall(&node->fleet, 0, WALL_NS + skew_ns);
  node->leases.on_change = lease_changed;
  node->leases.on_change_arg = node;
}

struct sim_node *sim_node_new(struct sim *sim, uint32_t number) {
  struct sim_node *node = sim_alloc(1, sizeof *node);
  struct leases_limits limits = leases_limits_of(4096, 3600000);
  node->timer.fire = fire;
  node->sim = sim;
  node->number = number;
  node->others.remote = true;
  make_store(node);
  leases_init(&node->leases, &limits, &node->counters);
  sim_links_init(&node->links, &sim->tier, sim_random_next(&sim->random), turn, node);
  make_fleet(node);
  node->workers = sim_alloc(sim->params.workers, sizeof *node->workers);
  for (uint32_t i = 0; i < sim->params.workers; i++)
    sim_worker_init(&node->workers[i], node, sim->params.together ? sim->order : NULL);
  return node;
}

void sim_node_start(struct sim_node *node) {
  for (uint32_t i = 0; i < node->sim->params.workers; i++)
    sim_worker_start(&node->workers[i]);
  sim_clock_set(&node->sim->clock, &node->timer,
                sim_random_below(&node->sim->random, SIM_START_NS / 2));
}

void sim_node_stop(struct sim_node *node) {
  struct sim *sim = node->sim;
  const struct fleet_counts *counts = &node->fleet.counts;
  uint64_t now_ns = sim->clock.now_ns;
  sim->results.timeouts += node->links.timeouts;
  sim->results.openings += node->links.openings;
  sim->results.dropped += counts->dropped_full + counts->dropped_age + counts->dropped_stop;
  fleet_check(&node->fleet);
  leases_check(&node->leases);
  for (uint32_t i = 0; i < sim->params.workers; i++) {
    fleet_leave(&node->fleet, &node->workers[i].waiter);
    leases_client_gone(&node->leases, &node->workers[i].client, now_ns);
  }
  leases_client_gone(&node->leases, &node->others, now_ns);
  fleet_deinit(&node->fleet);
  if (node->step != NULL)
    fleet_step_end(&node->clears, node->step);
  fleet_clears_deinit(&node->clears);
  sim_links_stop(&node->links);
  sim_clock_unset(&sim->clock, &node->timer);
}

void sim_node_free(struct sim_node *node) {
  for (uint32_t i = 0; i < node->sim->params.workers; i++)
    sim_worker_deinit(&node->workers[i]);
  free(node->workers);
  sim_links_deinit(&node->links);
  leases_deinit(&node->leases);
  namespace_table_close(&node->namespaces, node->ns);
  namespace_table_deinit(&node->namespaces);
  store_deinit(&node->store);
  region_writer_deinit(&node->region);
  catalog_deinit(&node->catalog);
  free(node);
}
