/* The promises of the circuit breaker, against servers that are ill at random times and in random
 * ways, with requests at random times. The loop's index is the seed. */
#include <check.h>

#include "daemon/fleet/breaker.h"
#include "tests/support/expect.h"
#include "tests/support/runner.h"
#include "tests/support/sanitizer.h"

#define MS UINT64_C(1000000)
#define DEADLINE_NS (50 * MS)
#define SECOND_NS (1000 * MS)
#define FLIGHTS 64u
#define SEEDS (SANITIZER_SLOW ? 4 : 20)

/* How a server treats requests and probes. */
enum health {
  WELL,
  HUNG,      /* no replies, so each request takes the deadline */
  RESETTING, /* closes each connection */
  ANSWERING, /* an error to each request */
  DECEITFUL, /* fails requests, but not probes */
  LOSSY,     /* fails one request of a hundred */
  HEALTHS,
};

struct flight {
  uint64_t permit, end_ns; /* permit 0: a free place */
  bool fails;
  enum breaker_cause cause;
};

struct world {
  struct breaker breaker;
  uint64_t random, now_ns;
  enum health health;
  uint64_t latency_ns; /* of a good reply */
  struct flight flights[FLIGHTS];
  struct flight probe;
  uint64_t admitted, timeouts; /* requests; those that took the deadline */
};

static uint64_t below(struct world *world, uint64_t n) {
  world->random ^= world->random << 13;
  world->random ^= world->random >> 7;
  world->random ^= world->random << 17;
  return (world->random >> 11) % n;
}

static struct flight take_off(struct world *world, uint64_t permit, bool probe) {
  enum health health = world->health;
  bool fails = health != WELL;
  if (health == DECEITFUL)
    fails = !probe;
  else if (health == LOSSY)
    fails = below(world, 100) == 0;
  bool hangs = fails && (health == HUNG || health == LOSSY || health == DECEITFUL);
  return (struct flight){permit, world->now_ns + (hangs ? DEADLINE_NS : world->latency_ns), fails,
                         hangs                 ? BREAKER_TIMEOUT
                         : health == RESETTING ? BREAKER_LOST
                                               : BREAKER_ERROR};
}

static void request(struct world *world) {
  for (uint32_t i = 0; i < FLIGHTS; i++)
    if (world->flights[i].permit == 0) {
      uint64_t permit = breaker_admit(&world->breaker);
      if (permit != 0)
        world->flights[i] = take_off(world, permit, false);
      world->admitted += permit != 0;
      return;
    }
}

static void land(struct world *world, struct flight *flight) {
  world->timeouts += flight->fails && flight->cause == BREAKER_TIMEOUT;
  if (flight->fails)
    (void)breaker_failed(&world->breaker, flight->permit, flight->cause, world->now_ns);
  else if (below(world, 50) == 0)
    breaker_abandoned(&world->breaker, flight->permit);
  else
    (void)breaker_succeeded(&world->breaker, flight->permit, world->now_ns);
  flight->permit = 0;
}

static void pass_millisecond(struct world *world) {
  world->now_ns += MS;
  for (uint32_t i = 0; i < FLIGHTS; i++)
    if (world->flights[i].permit != 0 && world->flights[i].end_ns <= world->now_ns)
      land(world, &world->flights[i]);
  if (world->probe.permit != 0 && world->probe.end_ns <= world->now_ns) {
    world->probe.permit = 0;
    if (world->probe.fails)
      breaker_probe_failed(&world->breaker, world->probe.cause, world->now_ns);
    else
      (void)breaker_probe_succeeded(&world->breaker, world->now_ns);
  }
  if (breaker_probe_due(&world->breaker, world->now_ns)) {
    EXPECT_EQUAL(world->probe.permit, 0); /* never two */
    world->probe = take_off(world, 1, true);
  }
}

/* `requests` each millisecond on average. */
static void run(struct world *world, uint64_t time_ns, uint32_t requests) {
  for (uint64_t end_ns = world->now_ns + time_ns; world->now_ns < end_ns;) {
    pass_millisecond(world);
    for (uint64_t n = below(world, 2 * requests + 1); n > 0; n--)
      request(world);
  }
}

static struct world make_world(int seed) {
  struct world world = {.random = 88172645463325252u + (unsigned)seed, .now_ns = SECOND_NS};
  for (int i = 0; i < 20; i++)
    (void)below(&world, 2);
  breaker_init(&world.breaker, below(&world, UINT64_MAX));
  world.latency_ns = (1 + below(&world, 40)) * MS;
  return world;
}

/* The server is well from some time on, after any past, and many requests come. */
START_TEST(well_server_closed_within_a_second) {
  struct world world = make_world(_i);
  world.latency_ns = (1 + below(&world, 10)) * MS;
  for (int round = 0; round < 40; round++) {
    for (uint64_t changes = 1 + below(&world, 8); changes > 0; changes--) {
      world.health = (enum health)below(&world, HEALTHS);
      run(&world, below(&world, 3000) * MS, 4);
    }
    world.health = WELL;
    run(&world, SECOND_NS, 8);
    EXPECT_EQUAL(world.breaker.state, BREAKER_CLOSED);
  }
  EXPECT(world.breaker.openings > 20);
}
END_TEST

/* A request that comes alone is admitted then, even if few come. */
START_TEST(well_server_few_requests_admitted_after_a_second) {
  struct world world = make_world(_i);
  for (int round = 0; round < 40; round++) {
    world.health = (enum health)below(&world, HEALTHS);
    run(&world, below(&world, 5000) * MS, 2);
    world.health = WELL;
    run(&world, SECOND_NS, 0);
    for (int i = 0; i < 20; i++) {
      uint64_t before = world.admitted;
      request(&world);
      EXPECT_EQUAL(world.admitted, before + 1);
      run(&world, DEADLINE_NS, 0);
    }
  }
}
END_TEST

/* The deadlines of the requests that are in flight at the opening are the last. */
START_TEST(hung_server_one_deadline) {
  struct world world = make_world(_i);
  run(&world, SECOND_NS, 4);
  world.health = HUNG;
  run(&world, 2 * DEADLINE_NS, 4);
  EXPECT_EQUAL(world.breaker.state, BREAKER_OPEN);
  uint64_t admitted = world.admitted, timeouts = world.timeouts;
  run(&world, 60 * SECOND_NS, 4);
  EXPECT_EQUAL(world.admitted, admitted);
  EXPECT_EQUAL(world.timeouts, timeouts);
  EXPECT(world.breaker.probes >= 100 && world.breaker.probes <= 400);
}
END_TEST

START_TEST(server_fails_all_requests_opens_twice_at_most) {
  static const enum health healths[] = {HUNG, RESETTING, ANSWERING, DECEITFUL};
  for (uint32_t i = 0; i < sizeof healths / sizeof *healths; i++) {
    struct world world = make_world(_i);
    run(&world, SECOND_NS, 4);
    world.health = healths[i];
    run(&world, 100 * SECOND_NS, 4);
    EXPECT(world.breaker.openings >= 1 && world.breaker.openings <= 2);
    EXPECT(world.breaker.openings == 1 || healths[i] == DECEITFUL);
    EXPECT(world.breaker.state != BREAKER_CLOSED);
  }
}
END_TEST

/* Losses are no reason to change the state all the time: at most eight openings in ten seconds. */
START_TEST(lossy_server_few_openings) {
  struct world world = make_world(_i);
  world.health = LOSSY;
  for (int i = 0; i < 20; i++) {
    uint64_t before = world.breaker.openings;
    run(&world, 10 * SECOND_NS, 4);
    EXPECT(world.breaker.openings - before <= 8);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("breaker_random");
  TCase *tcase = tcase_create("breaker_random");
  tcase_add_loop_test(tcase, well_server_closed_within_a_second, 0, SEEDS);
  tcase_add_loop_test(tcase, well_server_few_requests_admitted_after_a_second, 0, SEEDS);
  tcase_add_loop_test(tcase, hung_server_one_deadline, 0, SEEDS);
  tcase_add_loop_test(tcase, server_fails_all_requests_opens_twice_at_most, 0, SEEDS);
  tcase_add_loop_test(tcase, lossy_server_few_openings, 0, SEEDS);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
