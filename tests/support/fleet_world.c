#include "tests/support/fleet_world.h"

#include <check.h>
#include <string.h>

#include "daemon/fleet/fleet_value.h"
#include "tests/support/keys.h"
#include "tests/support/private_store.h"

#define SPACE "space"
#define PREFIX "t:"
#define FIRST_NS (1000 * WORLD_MS) /* the clock at the start */

struct world the_world;

struct fc_key world_key(uint32_t number) {
  return key_number(number);
}

static uint64_t digest_of(const struct world_node *node, const struct fc_key *key) {
  return fc_key_digest(node->ns->seed ^ 77, key);
}

static struct fleet_key name_of(uint32_t number, uint64_t version, enum fleet_key_kind kind) {
  struct fc_key key = world_key(number);
  struct fc_hash hash = fleet_key_hash(fc_str_of(SPACE), &key);
  struct fleet_key name;
  fleet_key_set(&name, fc_str_of(PREFIX), &hash, version, kind);
  return name;
}

struct fleet_key world_name(const struct world_node *node, uint32_t number,
                            enum fleet_key_kind kind) {
  struct fc_key key = world_key(number);
  return name_of(number, fleet_clears_version_of(&node->clears, fc_str_of(SPACE), &key), kind);
}

/* ---- nodes ---- */

static void resume(void *arg, struct fleet_waiter *waiter) {
  (void)arg;
  struct world_worker *worker =
      (struct world_worker *)((char *)waiter - offsetof(struct world_worker, waiter));
  ck_assert_int_eq(worker->state, WORKER_PARKED);
  worker->is_resumed = true;
}

static void on_change(void *arg, const struct lease *lease, enum lease_change change,
                      uint64_t now_ns) {
  fleet_lease_changed(arg, lease, change, now_ns);
}

static void start_store(struct world_node *node) {
  const struct leases_limits wide = {1000, 1000, 1000, 1000, UINT64_MAX};
  private_store_init(&node->store, &node->region, 16u << 20, WORLD_MAX_VALUE, 5);
  namespace_table_init(&node->namespaces, &node->store, 16);
  ck_assert_int_eq(namespace_table_open(&node->namespaces, fc_str_of(SPACE), NULL, &node->ns), 0);
  leases_init(&node->leases, &wide, &node->counters);
  node->leases.on_change = on_change;
  node->leases.on_change_arg = &node->fleet;
  node->client.remote = true;
}

static void start_node(struct world *world, uint32_t number,
                       void (*tune)(uint32_t node, struct fleet_config *config)) {
  struct world_node *node = &world->nodes[number];
  node->world = world;
  start_store(node);
  fake_io_init(&node->io, &world->tier, WORLD_LATENCY_NS);
  node->io.random += number;
  struct fleet_config config = {
      .store = &node->store,
      .leases = &node->leases,
      .namespaces = &node->namespaces,
      .client = &node->client,
      .io = &node->io.io,
      .clears = &node->clears,
      .prefix = fc_str_of(PREFIX),
      .node = 100 + number,
      .seed = 200 + number,
      .reads = true,
      .writes = true,
      .lease_ns = WORLD_LEASE_NS,
      .queue_bytes = 1u << 20,
      .max_fills = 64,
      .options = {.deadline_ns = WORLD_DEADLINE_NS, .queue_age_ns = 10000 * WORLD_MS},
      .resume = resume,
      .arg = node};
  if (tune != NULL)
    tune(number, &config);
  ck_assert_int_eq(fleet_init(&node->fleet, &config), 0);
  fleet_set_wall(&node->fleet, world->now_ns, world->now_ns + 1000000 * WORLD_MS);
  for (uint32_t i = 0; i < WORLD_WORKERS; i++)
    node->workers[i].node = node;
}

void world_start(uint32_t n, void (*tune)(uint32_t node, struct fleet_config *config)) {
  ck_assert_uint_le(n, WORLD_NODES_MAX);
  memset(&the_world, 0, sizeof the_world);
  the_world.n = n;
  the_world.now_ns = FIRST_NS;
  fake_tier_init(&the_world.tier);
  for (uint32_t i = 0; i < n; i++)
    start_node(&the_world, i, tune);
}

static void stop_node(struct world_node *node) {
  struct world *world = node->world;
  fleet_stop(&node->fleet, world->now_ns);
  for (uint32_t i = 0; i < WORLD_WORKERS; i++)
    worker_die(&node->workers[i]);
  leases_client_gone(&node->leases, &node->client, world->now_ns);
  for (int i = 0; i < 1000 && !fleet_is_idle(&node->fleet); i++)
    world_run(world, 20 * WORLD_MS);
  ck_assert(fleet_is_idle(&node->fleet));
}

static void free_node(struct world_node *node) {
  fleet_deinit(&node->fleet);
  fleet_deinit(&node->fleet); /* idempotent */
  fake_io_deinit(&node->io);
  leases_deinit(&node->leases);
  ck_assert_uint_eq(node->ns->clients, 1); /* no fill has left its hold */
  store_clear_all(&node->store, &(struct store_select){0});
  namespace_table_close(&node->namespaces, node->ns);
  namespace_table_deinit(&node->namespaces);
  private_store_deinit(&node->store, &node->region);
}

void world_end_faults(struct world *world) {
  for (uint32_t i = 0; i < world->n; i++) {
    struct fake_io *io = &world->nodes[i].io;
    io->is_down = io->refuses_writes = false;
    io->lost_requests = io->lost_replies = io->jitter = 0;
    io->latency_ns = WORLD_LATENCY_NS;
  }
}

void world_stop(void) {
  world_end_faults(&the_world);
  for (uint32_t i = 0; i < the_world.n; i++)
    stop_node(&the_world.nodes[i]);
  for (uint32_t i = 0; i < the_world.n; i++)
    free_node(&the_world.nodes[i]);
  fake_tier_deinit(&the_world.tier);
}

void world_set_up(void) {
  world_start(2, NULL);
}

void world_restart(void (*tune)(uint32_t node, struct fleet_config *config)) {
  world_stop();
  world_start(2, tune);
}

/* ---- workers ---- */

static void set_state(struct world_worker *worker, enum worker_state state) {
  worker->state = state;
  worker->since_ns = worker->node->world->now_ns;
  if (state == WORKER_COMPUTES || state == WORKER_COMPUTES_ALONE)
    worker->generation = worker->node->store.saved->generation;
}

/* Ends the get with a hit if the value is stored. */
static bool look(struct world_worker *worker) {
  struct world_node *node = worker->node;
  struct fc_key key = world_key(worker->key);
  const struct entry *entry = store_peek(&node->store, node->ns, &key);
  if (entry == NULL)
    return false;
  struct iovec pieces[FC_REGION_PIECES_MAX];
  size_t n = entry_value(entry, pieces);
  if (n > 0 && pieces[0].iov_len < sizeof worker->value) {
    memcpy(worker->value, pieces[0].iov_base, pieces[0].iov_len);
    worker->value[pieces[0].iov_len] = '\0';
  }
  worker->hits++;
  set_state(worker, WORKER_IDLE);
  return true;
}

static void acquire(struct world_worker *worker) {
  static const enum worker_state states[] = {[LEASE_NONE] = WORKER_COMPUTES_ALONE,
                                             [LEASE_GRANTED] = WORKER_COMPUTES,
                                             [LEASE_TAKEN] = WORKER_COMPUTES_ALONE,
                                             [LEASE_WAITS] = WORKER_WAITS};
  struct world_node *node = worker->node;
  struct fc_key key = world_key(worker->key);
  struct lease_request request = {.ns = node->ns,
                                  .digest = digest_of(node, &key),
                                  .key = &key,
                                  .wants = true,
                                  .term_ns = 100000 * WORLD_MS,
                                  .wait_ns = 50000 * WORLD_MS};
  set_state(worker,
            states[leases_acquire(&node->leases, &worker->leases, &request, node->world->now_ns)]);
}

void worker_get(struct world_worker *worker, uint32_t number) {
  struct world_node *node = worker->node;
  struct fc_key key = world_key(number);
  ck_assert_int_eq(worker->state, WORKER_IDLE);
  worker->key = number;
  if (look(worker))
    return;
  enum fleet_answer answer = fleet_miss(&node->fleet, &worker->waiter, node->ns,
                                        digest_of(node, &key), &key, node->world->now_ns);
  if (answer == FLEET_WAITS)
    set_state(worker, WORKER_PARKED);
  else if (answer == FLEET_GO_ON)
    acquire(worker);
  else
    ck_assert(look(worker));
}

void worker_compute(struct world_worker *worker, uint32_t number) {
  worker_get(worker, number);
  world_run(worker->node->world, 4 * WORLD_LATENCY_NS);
  ck_assert_int_eq(worker->state, WORKER_COMPUTES);
  ck_assert(world_leased(worker->node->world, number, 0));
}

int worker_put_key(struct world_worker *worker, uint32_t number, const char *value,
                   bool keep_first) {
  struct world_node *node = worker->node;
  struct fc_key key = world_key(number);
  uint64_t now_ns = node->world->now_ns, digest = digest_of(node, &key);
  bool computes = worker->state >= WORKER_COMPUTES && worker->key == number;
  struct store_put_info info = {.compute_ns = 5 * WORLD_MS,
                                .now_ns = now_ns,
                                .keep_first = keep_first,
                                .has_generation = computes,
                                .generation = worker->generation};
  int outcome = store_put(&node->store, node->ns, &key, value, (uint32_t)strlen(value), &info);
  if (outcome == FC_STORED)
    fleet_put(&node->fleet, node->ns, digest, &key, &info, value, (uint32_t)strlen(value), now_ns);
  if (outcome == FC_STORED || outcome == FC_KEPT)
    leases_put(&node->leases, node->ns, digest, &key, now_ns);
  else
    (void)leases_give_up(&node->leases, &worker->leases, node->ns, digest, &key, false, now_ns);
  return outcome;
}

int worker_put(struct world_worker *worker, const char *value) {
  ck_assert_int_ge(worker->state, WORKER_COMPUTES);
  int outcome = worker_put_key(worker, worker->key, value, true);
  set_state(worker, WORKER_IDLE);
  return outcome;
}

void worker_die(struct world_worker *worker) {
  struct world_node *node = worker->node;
  fleet_leave(&node->fleet, &worker->waiter);
  leases_client_gone(&node->leases, &worker->leases, node->world->now_ns);
  worker->is_resumed = false;
  set_state(worker, WORKER_IDLE);
}

static void end_wait(struct world_worker *worker, enum lease_end end) {
  if (end == LEASE_END_PUT && look(worker))
    return;
  if (end == LEASE_END_GRANTED)
    set_state(worker, WORKER_COMPUTES);
  else if (end == LEASE_END_NONE)
    set_state(worker, WORKER_COMPUTES_ALONE);
  else
    acquire(worker);
}

static struct world_worker *worker_of(struct lease_client *client) {
  return (struct world_worker *)((char *)client - offsetof(struct world_worker, leases));
}

static bool serve(struct world_node *node) {
  bool served = false;
  struct lease_client *client;
  while ((client = leases_next_due(&node->leases)) != NULL) {
    enum lease_end end = client->due_first->end;
    leases_due_done(&node->leases, client);
    ck_assert_ptr_null(client->due_first); /* a worker waits for one key */
    end_wait(worker_of(client), end);
    served = true;
  }
  for (uint32_t i = 0; i < WORLD_WORKERS; i++) {
    struct world_worker *worker = &node->workers[i];
    if (!worker->is_resumed)
      continue;
    worker->is_resumed = false;
    if (!look(worker))
      acquire(worker);
    served = true;
  }
  return served;
}

/* ---- time ---- */

static uint64_t node_next_ns(const struct world_node *node) {
  uint64_t io_ns = fake_io_next_ns(&node->io), fleet_ns = fleet_next_ns(&node->fleet);
  uint64_t leases_ns = leases_next_ns(&node->leases);
  uint64_t next_ns = io_ns < fleet_ns ? io_ns : fleet_ns;
  return leases_ns < next_ns ? leases_ns : next_ns;
}

static bool step_node(struct world_node *node) {
  uint64_t now_ns = node->world->now_ns;
  bool is_due = node_next_ns(node) <= now_ns;
  fake_io_step(&node->io, now_ns);
  fleet_tick(&node->fleet, now_ns);
  leases_expire(&node->leases, now_ns);
  bool served = serve(node);
  fleet_check(&node->fleet);
  return is_due || served;
}

void world_settle(struct world *world) {
  for (bool again = true; again;) {
    again = false;
    for (uint32_t i = 0; i < world->n; i++)
      again = step_node(&world->nodes[i]) || again;
    if (world->check != NULL)
      world->check(world);
  }
}

void world_run_until(struct world *world, uint64_t until_ns) {
  world_settle(world);
  while (world->now_ns < until_ns) {
    uint64_t next_ns = until_ns;
    for (uint32_t i = 0; i < world->n; i++) {
      uint64_t node_ns = node_next_ns(&world->nodes[i]);
      next_ns = node_ns < next_ns ? node_ns : next_ns;
    }
    world->now_ns = next_ns;
    world_settle(world);
  }
}

void world_run(struct world *world, uint64_t for_ns) {
  world_run_until(world, world->now_ns + for_ns);
}

/* ---- the tier and the store, from outside ---- */

void world_publish(struct world *world, uint32_t number, uint64_t version, const char *text,
                   uint64_t stamp) {
  uint8_t bytes[FLEET_VALUE_HEAD + 64];
  size_t size = strlen(text);
  struct fc_key key = world_key(number);
  struct fc_hash hash = fleet_key_hash(fc_str_of(SPACE), &key);
  struct fleet_key name = name_of(number, version, FLEET_KEY_VALUE);
  ck_assert_uint_le(size, 64);
  struct fleet_value value = {.data = (const uint8_t *)text,
                              .size = size,
                              .compute_ns = 7 * WORLD_MS,
                              .stamp = stamp,
                              .node = 9,
                              .version = version};
  fleet_value_encode_head(&value, &hash, bytes);
  memcpy(bytes + FLEET_VALUE_HEAD, text, size);
  fake_tier_set(&world->tier, fleet_key_str(&name), bytes, FLEET_VALUE_HEAD + size, 0);
}

const char *world_published(struct world *world, uint32_t number, uint64_t version) {
  static char text[WORLD_MAX_VALUE + 1];
  struct fc_key key = world_key(number);
  struct fc_hash hash = fleet_key_hash(fc_str_of(SPACE), &key);
  struct fleet_key name = name_of(number, version, FLEET_KEY_VALUE);
  struct fleet_value value;
  size_t size;
  const uint8_t *data = fake_tier_get(&world->tier, fleet_key_str(&name), world->now_ns, &size);
  if (data == NULL ||
      fleet_value_decode(data, size, &hash, version, WORLD_MAX_VALUE, &value) != FLEET_VALUE_GOOD)
    return NULL;
  memcpy(text, value.data, value.size);
  text[value.size] = '\0';
  return text;
}

bool world_leased(struct world *world, uint32_t number, uint64_t version) {
  struct fleet_key name = name_of(number, version, FLEET_KEY_LEASE);
  size_t size;
  return fake_tier_get(&world->tier, fleet_key_str(&name), world->now_ns, &size) != NULL;
}

void world_evict(struct world_node *node, uint32_t number) {
  struct fc_key key = world_key(number);
  struct entry *entry = store_peek(&node->store, node->ns, &key);
  ck_assert_ptr_nonnull(entry);
  store_erase(&node->store, entry);
}

void world_clear(struct world_node *node) {
  (void)store_clear_all(&node->store, &(struct store_select){.ns = node->ns}); /* any number */
  leases_clear(&node->leases, node->ns, (struct fc_str){0}, (struct fc_str){0},
               node->world->now_ns);
}

void world_know(struct world_node *node, uint64_t version) {
  node->clears.newest = node->clears.scopes.all = version;
}

/* The clear table only looks whether a refresh is in progress. It submits nothing here. */
void world_hear_later_version(struct world_node *node) {
  node->clears.config.io = &node->io.io;
  node->clears.refresh.at = FLEET_REFRESH_VERSION;
}

void world_refreshed(struct world_node *node, bool ok) {
  node->clears.config.io = NULL;
  node->clears.refresh.at = FLEET_REFRESH_NONE;
  node->clears.refreshed(node->clears.refreshed_arg, ok, node->world->now_ns);
}
