/* Clients that behave like the library, as small programs over one lease table: calls for one key
 * and for overlapping batches in opposite orders, calls within computations, failures, deaths,
 * clears. The client that takes the next step is random. While one has not finished, one can go on,
 * even if no time passes: there is no deadlock. In the end nothing is left. Each call goes to the
 * model too (leases_twin.h). The loop's index is the seed. Check prints it where a case fails. */
#include <check.h>
#include <stdlib.h>

#include "tests/support/leases_twin.h"
#include "tests/support/runner.h"
#include "tests/support/sanitizer.h"

#define SEEDS (SANITIZER_SLOW ? 10 : 40)

#define CLIENTS 12u
#define CALLS 40u /* of each client, those within others not counted */
#define DEPTH 3u
#define BATCH 8u
#define KEYS 16u
#define LONG_NS (1ull << 40) /* longer than any test where time does not matter */
#define STEPS_MAX (1u << 18) /* far more than any run takes */

enum state {
  WANTED,
  REQUESTED, /* its reply is deferred */
  LEASED,    /* the client has its lease */
  UNLEASED,  /* the client computes it without a lease */
  DONE,
};

/* One key of a call. */
struct part {
  uint32_t key, id;
  enum state state;
  bool computed;       /* by the computation in progress */
  uint64_t generation; /* of the reply after which the client computes */
};

enum phase { REQUESTING, COMPUTING, WAITING, LEAVING };

struct call {
  enum phase phase;
  struct part parts[BATCH];
  uint32_t n;
  uint32_t steps; /* left of the computation */
};

struct client {
  struct call calls[DEPTH]; /* each within the computation of the one before */
  uint32_t depth, calls_left;
};

/* The events that a test allows. */
struct schedule {
  struct leases_limits limits;
  bool nests, fails, dies, clears, evicts, is_slow;
};

struct world {
  struct schedule schedule;
  struct twin *twin;
  struct client clients[CLIENTS];
  bool stored[KEYS];
  uint64_t cleared[KEYS]; /* the generation of its last clear */
  uint32_t puts[KEYS];
  uint64_t random, now_ns, generation;
  uint32_t ids, ends[LEASE_END_NONE + 1];
  uint64_t expired; /* leases, at the end */
};

static uint32_t below(struct world *world, uint32_t n) {
  world->random ^= world->random << 13;
  world->random ^= world->random >> 7;
  world->random ^= world->random << 17;
  return (uint32_t)((world->random >> 11) % n);
}

static bool one_in(struct world *world, bool may, uint32_t n) {
  return may && below(world, n) == 0;
}

/* The table's number of a key: they are spread over its namespaces, views and ops. */
static uint32_t in_table(uint32_t key) {
  return key * (TWIN_KEYS / KEYS);
}

static uint32_t number_of(const struct world *world, const struct client *client) {
  return (uint32_t)(client - world->clients);
}

static bool has(const struct call *call, enum state state) {
  for (uint32_t i = 0; i < call->n; i++)
    if (call->parts[i].state == state)
      return true;
  return false;
}

/* ---- requests and replies of a client ---- */

static uint64_t some_time(struct world *world) {
  return world->schedule.is_slow ? 20 + below(world, 300) : LONG_NS;
}

/* A stored key needs no lease. */
static void request_key(struct world *world, struct client *client, struct call *call,
                        struct part *part, bool waits) {
  part->generation = world->generation;
  if (world->stored[part->key]) {
    part->state = DONE;
    return;
  }
  part->id = ++world->ids;
  struct twin_request request = {.client = number_of(world, client),
                                 .key = in_table(part->key),
                                 .wants = true,
                                 .term_ns = some_time(world),
                                 .wait_ns = waits ? some_time(world) : 0,
                                 .id = part->id};
  switch (twin_acquire(world->twin, &request, world->now_ns)) {
  case LEASE_GRANTED:
    part->state = LEASED;
    break;
  case LEASE_WAITS:
    part->state = REQUESTED;
    break;
  case LEASE_NONE: /* after a grant in the same window, the client requests it again */
    part->state = waits && has(call, LEASED) ? WANTED : UNLEASED;
    break;
  case LEASE_TAKEN:
    part->state = WANTED;
    break;
  }
}

static void request_all(struct world *world, struct client *client, struct call *call, bool wait) {
  for (uint32_t i = 0; i < call->n; i++)
    if (call->parts[i].state == WANTED)
      request_key(world, client, call, &call->parts[i], wait);
}

static struct part *part_of(struct client *client, uint32_t id) {
  for (uint32_t d = 0; d < client->depth; d++)
    for (uint32_t i = 0; i < client->calls[d].n; i++)
      if (client->calls[d].parts[i].id == id)
        return &client->calls[d].parts[i];
  ck_abort_msg("a reply to nothing");
}

static bool read_reply(struct world *world, struct client *client) {
  struct twin_ended ended;
  if (!twin_pop_due(world->twin, number_of(world, client), &ended))
    return false;
  struct part *part = part_of(client, ended.id);
  ck_assert_int_eq(part->state, REQUESTED);
  part->generation = world->generation;
  world->ends[ended.end]++;
  switch (ended.end) {
  case LEASE_END_PUT:
    part->state = world->stored[part->key] ? DONE : WANTED;
    break;
  case LEASE_END_GRANTED:
    part->state = LEASED;
    break;
  case LEASE_END_AGAIN:
    part->state = WANTED;
    break;
  case LEASE_END_NONE:
    part->state = UNLEASED;
    break;
  }
  return true;
}

/* ---- steps of a client ---- */

/* Begins a call for one key, or for several in a row. Half of the clients request them in reverse
 * order. */
static void begin_call(struct world *world, struct client *client) {
  struct call *call = &client->calls[client->depth++];
  *call = (struct call){.n = below(world, 2) == 0 ? 1 : 2 + below(world, BATCH - 1)};
  uint32_t first = below(world, KEYS);
  bool down = number_of(world, client) % 2 == 0;
  for (uint32_t i = 0; i < call->n; i++)
    call->parts[i].key = (first + (down ? call->n - 1 - i : i)) % KEYS;
}

static void compute(struct world *world, struct call *call) {
  call->phase = COMPUTING;
  call->steps = one_in(world, world->schedule.is_slow, 6) ? 400 : below(world, 12);
  for (uint32_t i = 0; i < call->n; i++) {
    struct part *part = &call->parts[i];
    part->computed = part->state == LEASED || part->state == UNLEASED;
  }
}

static void put(struct world *world, struct part *part) {
  part->state = DONE;
  if (part->generation < world->cleared[part->key])
    return; /* stale: acknowledged, and not stored */
  world->stored[part->key] = true;
  world->puts[part->key]++;
  twin_put(world->twin, in_table(part->key), world->now_ns);
}

static void give_up(struct world *world, struct client *client, struct part *part, bool for_all) {
  (void)twin_give_up(world->twin, number_of(world, client), in_table(part->key), for_all,
                     world->now_ns); /* it may have lost the lease */
  part->state = DONE;
}

static void end_computation(struct world *world, struct client *client, struct call *call) {
  bool failed = one_in(world, world->schedule.fails, 6);
  for (uint32_t i = 0; i < call->n; i++) {
    struct part *part = &call->parts[i];
    bool withheld = one_in(world, world->schedule.fails, 20);
    if (!part->computed)
      continue;
    part->computed = false;
    if (failed || withheld)
      give_up(world, client, part, !failed);
    else
      put(world, part);
  }
  call->phase = failed ? LEAVING : WAITING;
}

/* Returns false if the client can only wait. */
static bool step_waiting(struct world *world, struct client *client, struct call *call) {
  if (has(call, LEASED)) { /* keys that are free by now are computed with it */
    request_all(world, client, call, false);
    compute(world, call);
  } else if (has(call, UNLEASED)) {
    compute(world, call);
  } else if (has(call, WANTED)) {
    request_all(world, client, call, true);
  } else if (has(call, REQUESTED)) {
    return false;
  } else {
    client->depth--;
  }
  return true;
}

/* Gives up each lease that the client is granted after a failure. Returns false if the client can
 * only wait. */
static bool step_leaving(struct world *world, struct client *client, struct call *call) {
  for (uint32_t i = 0; i < call->n; i++)
    if (call->parts[i].state == LEASED)
      give_up(world, client, &call->parts[i], false);
  if (has(call, REQUESTED))
    return false;
  client->depth--;
  return true;
}

static bool step_computing(struct world *world, struct client *client, struct call *call) {
  if (call->steps == 0) {
    end_computation(world, client, call);
    return true;
  }
  call->steps--;
  if (client->depth < DEPTH && one_in(world, world->schedule.nests, 5))
    begin_call(world, client);
  return true;
}

/* Takes one step. Returns false if the client can only wait, or has finished. */
static bool step_client(struct world *world, struct client *client) {
  if (client->depth == 0) {
    if (client->calls_left == 0)
      return false;
    client->calls_left--;
    begin_call(world, client);
    return true;
  }
  struct call *call = &client->calls[client->depth - 1];
  switch (call->phase) {
  case REQUESTING:
    request_all(world, client, call, call->n == 1);
    call->phase = WAITING;
    if (has(call, LEASED) || has(call, UNLEASED))
      compute(world, call);
    return true;
  case COMPUTING:
    return step_computing(world, client, call);
  case WAITING:
    return step_waiting(world, client, call);
  case LEAVING:
    return step_leaving(world, client, call);
  }
  return false;
}

/* ---- events ---- */

/* Kills the client, or ends its leases and waits while its connection lingers. */
static void die(struct world *world, struct client *client) {
  uint32_t number = number_of(world, client);
  struct twin_ended ended;
  if (below(world, 2) == 0)
    twin_client_gone(world->twin, number, world->now_ns);
  else
    (void)twin_give_up_all(world->twin, number, world->now_ns);
  ck_assert_uint_eq(twin_waits_of(world->twin, number), 0);
  while (twin_pop_due(world->twin, number, &ended))
    ; /* its replies are lost */
  client->depth = 0;
}

static void clear(struct world *world) {
  struct twin_select select = {below(world, TWIN_SPACES + 1), below(world, TWIN_VIEWS + 1),
                               below(world, TWIN_OPS + 1)};
  world->generation++;
  for (uint32_t key = 0; key < KEYS; key++) {
    if (!twin_selects(&select, in_table(key)))
      continue;
    world->stored[key] = false;
    world->cleared[key] = world->generation;
  }
  twin_clear(world->twin, &select, world->now_ns);
}

static void random_event(struct world *world) {
  const struct schedule *schedule = &world->schedule;
  world->now_ns += 1 + below(world, 3);
  if (schedule->is_slow)
    twin_expire(world->twin, world->now_ns);
  if (one_in(world, schedule->dies, 60))
    die(world, &world->clients[below(world, CLIENTS)]);
  if (one_in(world, schedule->clears, 100))
    clear(world);
  if (one_in(world, schedule->evicts, 10))
    world->stored[below(world, KEYS)] = false;
}

/* Lets one client take a step or read a reply, from a random one on. Returns false if none can. */
static bool step_any_client(struct world *world) {
  uint32_t first = below(world, CLIENTS);
  for (uint32_t i = 0; i < CLIENTS; i++) {
    struct client *client = &world->clients[(first + i) % CLIENTS];
    bool reads_first = below(world, 2) == 0; /* or the reply stays unread for a while */
    if ((reads_first && read_reply(world, client)) || step_client(world, client) ||
        read_reply(world, client))
      return true;
  }
  return false;
}

static bool all_have_finished(const struct world *world) {
  for (uint32_t i = 0; i < CLIENTS; i++)
    if (world->clients[i].depth > 0 || world->clients[i].calls_left > 0)
      return false;
  return true;
}

static void run(struct world *world, const struct schedule *schedule, uint64_t seed) {
  *world = (struct world){.schedule = *schedule,
                          .twin = twin_open(&schedule->limits, UINT64_MAX),
                          .random = 88172645463325252u + seed,
                          .now_ns = 1};
  for (uint32_t i = 0; i < CLIENTS; i++)
    world->clients[i].calls_left = CALLS;
  uint32_t steps = 0;
  while (step_any_client(world)) {
    random_event(world);
    ck_assert_uint_lt(++steps, STEPS_MAX);
  }
  ck_assert_msg(all_have_finished(world), "a deadlock after %u steps", steps);
  ck_assert_uint_eq(twin_table(world->twin)->n, 0);
  ck_assert_uint_eq(twin_table(world->twin)->waits, 0);
  world->expired = twin_table(world->twin)->counters->leases_expired;
  /* else the random run reached too few of the cases */
  ck_assert_uint_gt(world->ends[LEASE_END_PUT], 0);
  twin_close(world->twin);
}

static const struct leases_limits wide = {1000, 1000, 1000, TWIN_WAITS_EACH, UINT64_MAX};
static const struct leases_limits narrow = {6, 3, 8, 3, UINT64_MAX};

/* One miss, one forward pass. */
START_TEST(plain_calls_compute_each_key_once) {
  struct world world;
  run(&world, &(struct schedule){.limits = wide}, (uint64_t)_i);
  for (uint32_t key = 0; key < KEYS; key++)
    ck_assert_uint_eq(world.puts[key], 1);
  ck_assert_uint_eq(world.ends[LEASE_END_NONE], 0);
}
END_TEST

START_TEST(nested_calls_no_deadlock) {
  struct world world;
  const struct schedule schedule = {.limits = wide, .nests = true, .evicts = true};
  run(&world, &schedule, (uint64_t)_i);
}
END_TEST

/* No time passes here, so no term can end a deadlock. */
START_TEST(failures_and_deaths_no_deadlock) {
  struct world world;
  const struct schedule schedule = {
      .limits = wide, .nests = true, .fails = true, .dies = true, .clears = true, .evicts = true};
  run(&world, &schedule, (uint64_t)_i);
  ck_assert_uint_gt(world.ends[LEASE_END_GRANTED], 0);
  ck_assert_uint_gt(world.ends[LEASE_END_AGAIN], 0);
}
END_TEST

START_TEST(narrow_limits_no_deadlock) {
  struct world world;
  const struct schedule schedule = {
      .limits = narrow, .nests = true, .fails = true, .dies = true, .evicts = true};
  run(&world, &schedule, (uint64_t)_i);
}
END_TEST

START_TEST(expiring_terms_and_waits_no_deadlock) {
  struct world world;
  const struct schedule schedule = {.limits = wide,
                                    .nests = true,
                                    .fails = true,
                                    .dies = true,
                                    .clears = true,
                                    .evicts = true,
                                    .is_slow = true};
  run(&world, &schedule, (uint64_t)_i);
  ck_assert_uint_gt(world.expired, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("leases_clients");
  TCase *tcase = tcase_create("leases_clients");
  tcase_set_timeout(tcase, 120);
  tcase_add_loop_test(tcase, plain_calls_compute_each_key_once, 0, SEEDS);
  tcase_add_loop_test(tcase, nested_calls_no_deadlock, 0, SEEDS);
  tcase_add_loop_test(tcase, failures_and_deaths_no_deadlock, 0, SEEDS);
  tcase_add_loop_test(tcase, narrow_limits_no_deadlock, 0, SEEDS);
  tcase_add_loop_test(tcase, expiring_terms_and_waits_no_deadlock, 0, SEEDS);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
