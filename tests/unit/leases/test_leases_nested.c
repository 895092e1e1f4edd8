/* Computations that need further keys from other threads of their process and from helper
 * processes. Whatever the schedule, some process can go on, at once or after a grace, although no
 * requested term or wait ends. Time passes only where nothing else can happen. The loop's index is
 * the seed. */
#include <check.h>

#include "tests/support/leases_twin.h"
#include "tests/support/runner.h"
#include "tests/support/sanitizer.h"

#define SEEDS (SANITIZER_SLOW ? 5 : 20)
#define STEPS 20000u
#define DEPTH 4u /* threads of a process, each with a connection */
#define FOR_EVER UINT64_MAX

/* A process, as a stack of computations that each wait for the next; the top one is active. */
struct stack {
  uint32_t keys[DEPTH];
  uint32_t depth;
  bool waits;      /* the top one has no lease and no value yet */
  uint32_t helped; /* process whose computation it helps; TWIN_PROCESSES: none */
  uint32_t works;  /* the helper that the top computation waits for; TWIN_PROCESSES: none */
};

struct world {
  struct twin *twin;
  uint64_t random, now_ns;
  uint32_t ids;
  struct stack stacks[TWIN_PROCESSES];
  uint32_t waits, refused, handed, graces_ended; /* how often each was seen */
};

static uint32_t below(struct world *world, uint32_t n) {
  world->random ^= world->random << 13;
  world->random ^= world->random >> 7;
  world->random ^= world->random << 17;
  return (uint32_t)((world->random >> 11) % n);
}

static uint32_t client_of(uint32_t process, uint32_t depth) {
  return process * DEPTH + depth;
}

static bool is_own(const struct world *world, uint32_t process, uint32_t key) {
  uint32_t owner = twin_owner(world->twin, key);
  return owner != NO_CLIENT && owner / DEPTH == process;
}

/* Another thread of the process requests a key that the process does not compute. */
static void nest(struct world *world, uint32_t process) {
  struct stack *stack = &world->stacks[process];
  uint32_t key = below(world, 8);
  if (stack->depth == DEPTH || is_own(world, process, key))
    return;
  struct twin_request request = {.client = client_of(process, stack->depth),
                                 .key = key,
                                 .wants = below(world, 8) != 0,
                                 .term_ns = FOR_EVER,
                                 .wait_ns = FOR_EVER,
                                 .id = ++world->ids};
  bool owned = twin_owner(world->twin, key) != NO_CLIENT;
  enum lease_answer answer = twin_acquire(world->twin, &request, world->now_ns);
  stack->keys[stack->depth++] = key;
  stack->waits = answer == LEASE_WAITS;
  world->waits += answer == LEASE_WAITS;
  world->refused += owned && answer == LEASE_NONE;
}

/* Ends the helper's work if its stack is empty, so that the helped process continues. */
static void return_to_helped(struct world *world, uint32_t process) {
  struct stack *stack = &world->stacks[process];
  if (stack->depth > 0 || stack->helped == TWIN_PROCESSES)
    return;
  world->stacks[stack->helped].works = TWIN_PROCESSES;
  stack->helped = TWIN_PROCESSES;
}

static void finish(struct world *world, uint32_t process) {
  struct stack *stack = &world->stacks[process];
  uint32_t depth = --stack->depth, key = stack->keys[depth];
  if (below(world, 4) == 0)
    (void)twin_give_up_all(world->twin, client_of(process, depth), world->now_ns);
  else
    twin_put(world->twin, key, world->now_ns);
  return_to_helped(world, process);
}

static void read_due(struct world *world) {
  struct twin_ended ended;
  for (uint32_t client; (client = twin_next_due(world->twin)) != NO_CLIENT;) {
    uint32_t process = client / DEPTH;
    struct stack *stack = &world->stacks[process];
    while (twin_pop_due(world->twin, client, &ended)) {
      ck_assert(stack->waits && stack->keys[stack->depth - 1] == ended.key);
      stack->waits = false;
      world->handed += ended.end == LEASE_END_GRANTED;
      if (ended.end == LEASE_END_PUT)
        stack->depth--;
      return_to_helped(world, process);
    }
  }
}

/* The last process helps the first one, and the last but one helps the last. */
static uint32_t helper_of(uint32_t process) {
  return process == 0 ? TWIN_PROCESSES - 1
                      : (process == TWIN_PROCESSES - 1 ? TWIN_PROCESSES - 2 : TWIN_PROCESSES);
}

static bool is_helper(uint32_t process) {
  return process >= TWIN_PROCESSES - 2;
}

static bool can_continue(const struct world *world, uint32_t process) {
  const struct stack *stack = &world->stacks[process];
  return !stack->waits && stack->works == TWIN_PROCESSES;
}

static bool is_ready(const struct world *world, uint32_t process) {
  return can_continue(world, process) &&
         (!is_helper(process) || world->stacks[process].helped != TWIN_PROCESSES);
}

static void delegate(struct world *world, uint32_t process) {
  uint32_t helper = helper_of(process);
  if (helper == TWIN_PROCESSES || world->stacks[process].depth == 0)
    return;
  world->stacks[process].works = helper;
  world->stacks[helper].helped = process;
}

static void step(struct world *world) {
  uint32_t process = below(world, TWIN_PROCESSES), dice = below(world, 8);
  if (!is_ready(world, process))
    return;
  if (dice == 0)
    delegate(world, process);
  else if (dice < 5 || world->stacks[process].depth == 0)
    nest(world, process);
  else
    finish(world, process);
  read_due(world);
}

/* Lets graces end until some process can continue. */
static void end_graces(struct world *world) {
  for (uint32_t graces = 0;; graces++) {
    for (uint32_t i = 0; i < TWIN_PROCESSES; i++)
      if (is_ready(world, i))
        return;
    uint64_t next_ns = twin_next_ns(world->twin);
    ck_assert_uint_le(graces, TWIN_PROCESSES); /* each has one wait at a time */
    ck_assert_uint_le(next_ns - world->now_ns, LEASES_GRACE_MAX_NS);
    world->now_ns = next_ns;
    world->graces_ended++;
    twin_expire(world->twin, next_ns);
    read_due(world);
  }
}

/* Each process that cannot go on waits, through others, for one that can, or for a wait that has a
 * grace. */
static void check_each_wait_ends(const struct world *world) {
  uint64_t grace_end_ns = world->now_ns + LEASES_GRACE_MAX_NS;
  for (uint32_t i = 0; i < TWIN_PROCESSES; i++) {
    uint32_t at = i;
    for (uint32_t hops = 0; !can_continue(world, at); hops++) {
      const struct stack *stack = &world->stacks[at];
      uint32_t depth = stack->depth - 1;
      ck_assert_uint_lt(hops, TWIN_PROCESSES);
      if (stack->waits && twin_until(world->twin, client_of(at, depth)) <= grace_end_ns)
        break;
      at = stack->waits ? twin_owner(world->twin, stack->keys[depth]) / DEPTH : stack->works;
    }
  }
}

START_TEST(nested_computations_some_process_runs) {
  const struct leases_limits limits = {1000, 1000, 1000, TWIN_WAITS_EACH, FOR_EVER};
  struct world world = {.twin = twin_open(&limits, UINT64_MAX),
                        .random = 88172645463325252u + (uint64_t)_i,
                        .now_ns = 1};
  ck_assert_uint_le(TWIN_PROCESSES * DEPTH, TWIN_CLIENTS);
  for (uint32_t i = 0; i < TWIN_PROCESSES; i++) {
    world.stacks[i].helped = world.stacks[i].works = TWIN_PROCESSES;
    for (uint32_t depth = 0; depth < DEPTH; depth++)
      twin_set_process(world.twin, client_of(i, depth), i);
  }
  for (uint32_t i = 0; i < TWIN_PROCESSES; i++)
    if (helper_of(i) != TWIN_PROCESSES)
      twin_set_helper(world.twin, helper_of(i), i);
  for (uint32_t i = 0; i < STEPS; i++) {
    step(&world);
    check_each_wait_ends(&world);
    end_graces(&world);
  }
  for (uint32_t i = 0; i < TWIN_CLIENTS; i++)
    twin_client_gone(world.twin, i, world.now_ns);
  twin_close(world.twin);
  /* else the random run reached too few of the cases */
  ck_assert_uint_gt(world.waits, STEPS / 100);
  ck_assert_uint_gt(world.refused, STEPS / 2000);
  ck_assert_uint_gt(world.graces_ended, STEPS / 500);
  ck_assert_uint_gt(world.handed, STEPS / 1000);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("leases_nested");
  TCase *tcase = tcase_create("leases_nested");
  tcase_set_timeout(tcase, 120);
  tcase_add_loop_test(tcase, nested_computations_some_process_runs, 0, SEEDS);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
