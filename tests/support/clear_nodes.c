#include "tests/support/clear_nodes.h"

#include <check.h>
#include <string.h>

#define DEADLINE_NS (50 * CLEAR_MS)

struct clear_nodes clear_nodes;

/* ---- keys ---- */

static const char *const spaces[] = {"one", "two"}, *const views[] = {"base", "ft"},
                         *const ops[] = {"a", "b"};

struct fc_str clear_nodes_space(int i) {
  return i < 0 ? (struct fc_str){0} : fc_str_of(spaces[i]);
}

struct fc_key clear_nodes_key(unsigned key) {
  return (struct fc_key){.op = fc_str_of(ops[key / 2 % 2]),
                         .view = fc_str_of(views[key / 4 % 2]),
                         .top_k = key % 2,
                         .prompt = fc_hash_prompt("prompt", 6)};
}

struct fc_str clear_nodes_space_of(unsigned key) {
  return clear_nodes_space((int)(key / 8));
}

struct fc_select clear_nodes_select(int space, int view, int op) {
  struct fc_select select = {.name_space = clear_nodes_space(space)};
  if (view >= 0)
    select.view = fc_str_of(views[view]);
  if (op >= 0)
    select.op = fc_str_of(ops[op]);
  return select;
}

bool clear_nodes_selects(const struct fc_select *select, unsigned key) {
  struct fc_key parts = clear_nodes_key(key);
  return fleet_scope_covers(select,
                            &(struct fc_select){clear_nodes_space_of(key), parts.view, parts.op});
}

void clear_nodes_fill(void) {
  clear_nodes.moment++;
  for (unsigned i = 0; i < CLEAR_NODES; i++)
    for (unsigned key = 0; key < CLEAR_KEYS; key++)
      clear_nodes.nodes[i].stored[key] = clear_nodes.moment;
}

/* ---- the local cache ---- */

static void remove_selected(struct clear_node *node, const struct fc_select *select) {
  for (unsigned key = 0; key < CLEAR_KEYS; key++)
    if (clear_nodes_selects(select, key))
      node->stored[key] = 0;
}

static void remove_key(struct clear_node *node, struct fc_str name_space,
                       const struct fc_key *key) {
  struct fc_hash hash = fleet_key_hash(name_space, key);
  for (unsigned i = 0; i < CLEAR_KEYS; i++) {
    struct fc_key other = clear_nodes_key(i);
    struct fc_hash of = fleet_key_hash(clear_nodes_space_of(i), &other);
    if (memcmp(&hash, &of, sizeof hash) == 0)
      node->stored[i] = 0;
  }
}

static bool on_clear(void *arg, const struct fc_select *select, uint64_t now_ns) {
  struct clear_node *node = arg;
  ck_assert_uint_eq(now_ns, clear_nodes.now_ns);
  if (node->refusals > 0) {
    node->refusals--;
    return false;
  }
  node->cleared++;
  remove_selected(node, select);
  return true;
}

static void on_delete(void *arg, struct fc_str name_space, const struct fc_key *key,
                      uint64_t now_ns) {
  struct clear_node *node = arg;
  ck_assert_uint_eq(now_ns, clear_nodes.now_ns);
  node->deleted++;
  remove_key(node, name_space, key);
}

static uint64_t on_stamp(void *arg, uint64_t now_ns) {
  (void)arg;
  return now_ns;
}

static void on_difference(void *arg, struct fc_str name_space, uint64_t from) {
  struct clear_node *node = arg;
  (void)name_space;
  (void)from;
  node->differed++;
}

static void on_refreshed(void *arg, bool ok, uint64_t now_ns) {
  struct clear_node *node = arg;
  ck_assert_uint_eq(now_ns, clear_nodes.now_ns);
  node->refreshed += ok;
  node->failed += !ok;
}

/* ---- nodes ---- */

struct clear_node *clear_nodes_at(unsigned i) {
  return &clear_nodes.nodes[i];
}

void clear_nodes_start_one(struct clear_node *node) {
  node->is_up = true;
  redis_io_init(&node->io, &clear_nodes.server);
  node->clears = (struct fleet_clears){.refreshed = on_refreshed, .refreshed_arg = node};
  fleet_clears_init(&node->clears,
                    &(struct fleet_clears_config){.io = &node->io.io,
                                                  .saved = &node->saved,
                                                  .prefix = fc_str_of("fcached:"),
                                                  .node = 1 + (uint64_t)(node - clear_nodes.nodes),
                                                  .seed = ++clear_nodes.seed,
                                                  .deadline_ns = DEADLINE_NS,
                                                  .writes = true,
                                                  .clear = on_clear,
                                                  .delete = on_delete,
                                                  .stamp = on_stamp,
                                                  .manifest_differs = on_difference,
                                                  .arg = node});
}

void clear_nodes_kill(struct clear_node *node) {
  if (!node->is_up)
    return;
  node->is_up = false;
  fleet_clears_deinit(&node->clears);
  redis_io_deinit(&node->io);
}

bool clear_nodes_start(void) {
  const char *program = tier_any_program();
  if (program == NULL)
    return false;
  memset(&clear_nodes, 0, sizeof clear_nodes);
  clear_nodes.now_ns = 1000000 * CLEAR_MS;
  tier_server_start(&clear_nodes.server, &(struct tier_server_config){.program = program});
  for (unsigned i = 0; i < CLEAR_NODES; i++)
    clear_nodes_start_one(&clear_nodes.nodes[i]);
  clear_nodes_run_all();
  return true;
}

void clear_nodes_stop(void) {
  for (unsigned i = 0; i < CLEAR_NODES; i++)
    clear_nodes_kill(&clear_nodes.nodes[i]);
  tier_server_stop(&clear_nodes.server);
}

void clear_nodes_run(struct clear_node *node) {
  unsigned turns = 0;
  bool more = node->is_up;
  while (more) {
    ck_assert_uint_lt(turns++, 10000);
    if (fleet_clears_next_ns(&node->clears) <= clear_nodes.now_ns)
      fleet_clears_tick(&node->clears, clear_nodes.now_ns);
    more = redis_io_step(&node->io, clear_nodes.now_ns) ||
           fleet_clears_next_ns(&node->clears) <= clear_nodes.now_ns;
  }
}

void clear_nodes_run_all(void) {
  for (unsigned i = 0; i < CLEAR_NODES; i++)
    clear_nodes_run(&clear_nodes.nodes[i]);
}

void clear_nodes_poll(void) {
  clear_nodes.now_ns += FLEET_CLEARS_POLL_NS;
  clear_nodes_run_all();
}

uint64_t clear_nodes_version(const struct clear_node *node, unsigned key) {
  struct fc_key parts = clear_nodes_key(key);
  return fleet_clears_version_of(&node->clears, clear_nodes_space_of(key), &parts);
}

static bool heard;
static void version_done(struct fleet_op *op, const struct fleet_reply *reply, uint64_t now_ns) {
  struct clear_node *node = NULL;
  for (unsigned i = 0; i < CLEAR_NODES; i++)
    if (op->key.data == clear_nodes.nodes[i].clears.hash_key.text)
      node = &clear_nodes.nodes[i];
  heard = fleet_clears_heard(&node->clears, reply, now_ns);
}

bool clear_nodes_hear(struct clear_node *node) {
  struct fleet_op op;
  fleet_clears_version_op(&node->clears, &op);
  op.done = version_done;
  op.deadline_ns = clear_nodes.now_ns + DEADLINE_NS;
  ck_assert(fleet_io_submit(&node->io.io, &op, clear_nodes.now_ns));
  while (redis_io_step(&node->io, clear_nodes.now_ns))
    ;
  return heard;
}

/* ---- steps ---- */

enum fleet_step_state clear_nodes_clear(struct clear_node *node, struct fc_select select) {
  struct fleet_step *step = fleet_clears_clear(&node->clears, &select, clear_nodes.now_ns);
  clear_nodes_run(node);
  enum fleet_step_state state = fleet_step_state(step);
  remove_selected(node, &select);
  fleet_step_end(&node->clears, step);
  return state;
}

enum fleet_step_state clear_nodes_delete(struct clear_node *node, unsigned key) {
  struct fc_key parts = clear_nodes_key(key);
  struct fleet_step *step =
      fleet_clears_delete(&node->clears, clear_nodes_space_of(key), &parts, clear_nodes.now_ns);
  clear_nodes_run(node);
  enum fleet_step_state state = fleet_step_state(step);
  node->stored[key] = 0;
  fleet_step_end(&node->clears, step);
  return state;
}

void clear_nodes_check_equal(void) {
  for (unsigned i = 1; i < CLEAR_NODES; i++) {
    ck_assert_uint_eq(clear_nodes.nodes[i].clears.newest, clear_nodes.nodes[0].clears.newest);
    for (unsigned key = 0; key < CLEAR_KEYS; key++)
      ck_assert_uint_eq(clear_nodes_version(&clear_nodes.nodes[i], key),
                        clear_nodes_version(&clear_nodes.nodes[0], key));
  }
}
