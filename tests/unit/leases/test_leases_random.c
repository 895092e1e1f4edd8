/* Random calls in any order to the lease table and to its model (leases_twin.h), even such as no
 * sane client makes. The loop's index is the seed. Check prints it where a case fails. */
#include <check.h>

#include "tests/support/leases_twin.h"
#include "tests/support/runner.h"
#include "tests/support/sanitizer.h"

#define SEEDS (SANITIZER_SLOW ? 5 : 15)

#define STEPS 20000u
#define FLEET (TWIN_CLIENTS - 1) /* the remote client, in a world with one */

struct world {
  struct twin *twin;
  uint64_t random, now_ns;
  uint32_t ids;
  uint32_t answers[LEASE_WAITS + 1], ends[LEASE_END_NONE + 1]; /* how often each was seen */
  uint32_t cycles;                                             /* waits that closed one */
  uint64_t unit_ns;                                            /* of its times */
  bool lazy;                                                   /* few replies are taken */
  bool remote;                                                 /* there is a remote client */
  bool restarting;                                             /* the daemon, now and then */
  uint32_t restarts, claims; /* how often, and leases claimed after them */
};

static uint32_t below(struct world *world, uint32_t n) {
  world->random ^= world->random << 13;
  world->random ^= world->random >> 7;
  world->random ^= world->random << 17;
  return (uint32_t)((world->random >> 11) % n);
}

static uint32_t some_key(struct world *world) {
  return below(world, 1 + below(world, TWIN_KEYS)); /* two draws: some are far more popular */
}

static void acquire(struct world *world) {
  struct twin_request request = {
      .client = below(world, TWIN_CLIENTS),
      .key = some_key(world),
      .wants = below(world, 5) != 0,
      .term_ns = below(world, 20) == 0 ? 0 : (1 + below(world, 2000)) * world->unit_ns,
      .wait_ns = below(world, 4) == 0 ? 0 : (1 + below(world, 1500)) * world->unit_ns,
      .id = ++world->ids};
  if (world->remote && below(world, 4) == 0)
    request.client = FLEET;
  if (world->remote && request.client == FLEET)
    request = (struct twin_request){.client = FLEET,
                                    .key = request.key,
                                    .wants = true,
                                    .term_ns = 50000 * world->unit_ns,
                                    .id = request.id};
  world->cycles += request.wait_ns > 0 && twin_closes_cycle(world->twin, &request);
  world->answers[twin_acquire(world->twin, &request, world->now_ns)]++;
}

static void answer(struct world *world, uint32_t client, uint32_t n) {
  struct twin_ended ended;
  for (; n > 0 && twin_pop_due(world->twin, client, &ended); n--)
    world->ends[ended.end]++;
}

static void clear(struct world *world) {
  struct twin_select select = {below(world, TWIN_SPACES + 1), below(world, TWIN_VIEWS + 1),
                               below(world, TWIN_OPS + 1)};
  twin_clear(world->twin, &select, world->now_ns);
}

/* Time passes by a little, to just before or at the next expiry, or far (a late timer). */
static void pass(struct world *world) {
  uint64_t next_ns = twin_next_ns(world->twin);
  uint32_t dice = below(world, 8);
  if (dice < 4)
    world->now_ns += below(world, 20) * world->unit_ns;
  else if (dice < 7 && next_ns != UINT64_MAX && next_ns > world->now_ns + 1)
    world->now_ns = next_ns - below(world, 2);
  else
    world->now_ns += below(world, 600) * world->unit_ns;
  if (below(world, 3) != 0)
    twin_expire(world->twin, world->now_ns);
}

/* The daemon restarts, a client is back, or one that is not back dies. */
static void survive(struct world *world, uint32_t client) {
  uint32_t dice = below(world, 100);
  const struct twin *twin = world->twin;
  if (dice == 0) {
    twin_restart(world->twin, world->now_ns);
    world->restarts++;
  } else if (twin_absent_held(twin, client) > 0 && dice < 30) {
    twin_owner_gone(world->twin, client, world->now_ns);
  } else if (twin_absent_held(twin, client) > 0 && twin_has_handle(client) && dice < 60) {
    twin_client_gone(world->twin, client, world->now_ns); /* a new connection */
    world->claims += twin_absent_held(twin, client);
    twin_claim(world->twin, client, world->now_ns);
  }
}

static void step(struct world *world) {
  uint32_t dice = below(world, 1000), client = below(world, TWIN_CLIENTS);
  if (world->restarting && below(world, 10) == 0)
    survive(world, client);
  if (dice < 600)
    acquire(world);
  else if (dice < 700)
    twin_put(world->twin, some_key(world), world->now_ns);
  else if (dice < 800)
    (void)twin_give_up(world->twin, client, some_key(world), below(world, 4) == 0, world->now_ns);
  else if (dice < 815)
    (void)twin_give_up_all(world->twin, client, world->now_ns);
  else if (dice < 835)
    twin_client_gone(world->twin, client, world->now_ns);
  else if (dice < 840)
    clear(world);
  else if (dice < 850)
    twin_delete(world->twin, some_key(world), world->now_ns);
  else if (dice < 920)
    pass(world);
  else if (dice < 960 || world->lazy)
    answer(world, client, 1 + below(world, 3));
  else if ((client = twin_next_due(world->twin)) != TWIN_CLIENTS)
    answer(world, client, below(world, 3) == 0 ? below(world, 3) : UINT32_MAX);
}

/* Processes of several connections each, some of them of none that is known; with helpers, a chain
 * of them too. */
static void make_processes(struct world *world) {
  for (uint32_t i = 0; i < TWIN_CLIENTS; i++)
    twin_set_process(world->twin, i, below(world, TWIN_PROCESSES + 1));
  for (uint32_t i = 1; i < TWIN_PROCESSES; i++)
    if (below(world, 3) == 0)
      twin_set_helper(world->twin, i, below(world, i));
}

enum world_kind { ALONE, PROCESSES, RESTARTS, RESTARTS_OF_PROCESSES, NODES };

static void run_in(uint64_t seed, const struct leases_limits *limits, uint64_t digest_mask,
                   bool lazy, enum world_kind kind) {
  bool restarting = kind == RESTARTS || kind == RESTARTS_OF_PROCESSES || kind == NODES;
  bool processes = kind == PROCESSES || kind == RESTARTS_OF_PROCESSES || kind == NODES;
  struct world world = {.twin = twin_open(limits, digest_mask),
                        .random = 88172645463325252u + seed,
                        .now_ns = 1,
                        .unit_ns = processes ? 100000000 : 1, /* graces are of seconds */
                        .lazy = lazy,
                        .remote = kind == NODES,
                        .restarting = restarting};
  if (processes)
    make_processes(&world);
  if (world.remote)
    twin_set_remote(world.twin, FLEET);
  for (uint32_t i = 0; i < STEPS; i++)
    step(&world);
  for (uint32_t i = 0; i < TWIN_CLIENTS; i++) {
    twin_client_gone(world.twin, i, world.now_ns);
    twin_owner_gone(world.twin, i, world.now_ns);
  }
  ck_assert(!restarting || (world.restarts > 5 && world.claims > 5));
  /* else the random run reached too few of the cases */
  for (int i = 0; i <= LEASE_WAITS; i++)
    ck_assert_uint_gt(world.answers[i], STEPS / 100);
  for (int i = 0; i <= LEASE_END_NONE; i++)
    ck_assert_uint_gt(world.ends[i], STEPS / 600);
  ck_assert(processes ? world.cycles > STEPS / (world.remote ? 500 : 200) : world.cycles == 0);
  struct twin_graces graces = twin_graces(world.twin);
  ck_assert(!processes || (graces.given > STEPS / (world.remote ? 4000 : 1000) &&
                           graces.ended > 0 && graces.lifted > 0));
  ck_assert(!world.remote || (graces.remote > STEPS / 2000 && graces.renewed > STEPS / 1000));
  twin_close(world.twin);
}

static void run(uint64_t seed, const struct leases_limits *limits, uint64_t digest_mask,
                bool lazy) {
  run_in(seed, limits, digest_mask, lazy, ALONE);
}

START_TEST(random_calls_of_processes_match_model) {
  const struct leases_limits limits = {1000, 1000, 1000, TWIN_WAITS_EACH, UINT64_MAX};
  run_in((uint64_t)_i, &limits, UINT64_MAX, _i % 3 == 2, PROCESSES);
}
END_TEST

/* Another node computes many of the keys. */
START_TEST(random_calls_of_nodes_match_model) {
  const struct leases_limits limits = {40, 8, 1000, TWIN_WAITS_EACH, UINT64_MAX};
  run_in((uint64_t)_i, &limits, UINT64_MAX, false, NODES);
}
END_TEST

START_TEST(random_calls_and_restarts_match_model) {
  const struct leases_limits limits = {40, _i % 2 == 0 ? 40 : 5, 1000, TWIN_WAITS_EACH, UINT64_MAX};
  run_in((uint64_t)_i, &limits, UINT64_MAX, false, _i % 3 == 0 ? RESTARTS : RESTARTS_OF_PROCESSES);
}
END_TEST

START_TEST(random_calls_wide_limits_match_model) {
  const struct leases_limits limits = {1000, 1000, 1000, TWIN_WAITS_EACH, UINT64_MAX};
  run((uint64_t)_i, &limits, UINT64_MAX, false);
}
END_TEST

START_TEST(random_calls_narrow_limits_match_model) {
  const struct leases_limits limits = {12, 3, 20, 4, 700};
  run((uint64_t)_i, &limits, UINT64_MAX, false);
}
END_TEST

START_TEST(random_calls_colliding_digests_match_model) {
  const struct leases_limits limits = {1000, 1000, 1000, TWIN_WAITS_EACH, 900};
  run((uint64_t)_i, &limits, 3, false);
}
END_TEST

START_TEST(random_calls_lazy_clients_match_model) {
  const struct leases_limits limits = {1000, 1000, 1000, 6, UINT64_MAX};
  run((uint64_t)_i, &limits, UINT64_MAX, true);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("leases_random");
  TCase *tcase = tcase_create("leases_random");
  tcase_set_timeout(tcase, 120);
  tcase_add_loop_test(tcase, random_calls_of_processes_match_model, 0, SEEDS);
  tcase_add_loop_test(tcase, random_calls_of_nodes_match_model, 0, SEEDS);
  tcase_add_loop_test(tcase, random_calls_and_restarts_match_model, 0, SEEDS);
  tcase_add_loop_test(tcase, random_calls_wide_limits_match_model, 0, SEEDS);
  tcase_add_loop_test(tcase, random_calls_narrow_limits_match_model, 0, SEEDS);
  tcase_add_loop_test(tcase, random_calls_colliding_digests_match_model, 0, SEEDS);
  tcase_add_loop_test(tcase, random_calls_lazy_clients_match_model, 0, SEEDS);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
