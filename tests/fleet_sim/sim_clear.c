/* The clears of a simulated node: what daemon/requests does with them. */
#include "tests/fleet_sim/sim_clear.h"

#include <assert.h>

#include "daemon/base/check.h"
#include "tests/fleet_sim/sim_node.h"

static bool clear_here(void *arg, const struct fc_select *select, uint64_t now_ns) {
  struct sim_node *node = arg;
  struct store_select entries = {.ns = node->ns, .view = select->view, .op = select->op};
  (void)store_clear_all(&node->store, &entries); /* the number of entries */
  leases_clear(&node->leases, node->ns, select->view, select->op, now_ns);
  return true;
}

static void delete_here(void *arg, struct fc_str name_space, const struct fc_key *key,
                        uint64_t now_ns) {
  struct sim_node *node = arg;
  (void)name_space;
  (void)key;
  (void)now_ns;
  check_eq(node->number, UINT32_MAX); /* no node deletes */
}

static void stepped(void *arg) {
  ((struct sim_node *)arg)->has_stepped = true;
}

static uint64_t stamp(void *arg, uint64_t now_ns) {
  return fleet_stamp(&((struct sim_node *)arg)->fleet, now_ns);
}

void sim_clears_init(struct sim_node *node, struct fc_str prefix, uint64_t deadline_ns) {
  struct fleet_clears_config config = {.io = &node->links.io,
                                       .saved = &node->version,
                                       .prefix = prefix,
                                       .node = node->number + 1,
                                       .seed = sim_random_next(&node->sim->random),
                                       .deadline_ns = deadline_ns,
                                       .writes = true,
                                       .clear = clear_here,
                                       .delete = delete_here,
                                       .stepped = stepped,
                                       .stamp = stamp,
                                       .arg = node};
  fleet_clears_init(&node->clears, &config);
}

void sim_node_clear(struct sim_node *node) {
  struct fc_select select = {.name_space = node->ns->name};
  node->step = fleet_clears_clear(&node->clears, &select, node->sim->clock.now_ns);
  assert(node->step != NULL);
  sim_node_turn(node);
}

/* The client gets its reply. */
static void acknowledge(struct sim_node *node) {
  struct fc_select select = {.name_space = node->ns->name};
  struct sim *sim = node->sim;
  (void)clear_here(node, &select, sim->clock.now_ns); /* true */
  if (fleet_step_state(node->step) == FLEET_STEP_DONE)
    sim->cleared_ns = sim->clock.now_ns;
  fleet_step_end(&node->clears, node->step);
  node->step = NULL;
}

/* A node that knows the clear is counted once. */
static void note_clear(struct sim_node *node) {
  struct sim *sim = node->sim;
  if (node->knows_clear || fleet_clears_newest(&node->clears) == 0)
    return;
  node->knows_clear = true;
  if (sim->cleared_ns == 0)
    sim->results.learned_early++;
  else
    fc_histogram_add(&sim->results.learned, sim->clock.now_ns - sim->cleared_ns);
}

void sim_clears_turn(struct sim_node *node) {
  if (node->has_stepped && node->step != NULL && fleet_step_state(node->step) != FLEET_STEP_RUNS)
    acknowledge(node);
  node->has_stepped = false;
  if (node->sim->params.clear_at_ns != 0)
    note_clear(node);
}
