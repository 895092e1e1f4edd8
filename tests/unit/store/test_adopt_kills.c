/* A process that puts, gets, clears and migrates is killed at random moments. The next one has
 * every entry whose put returned, none that a clear removed, in the order of their uses. */
#include <check.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/errors.h"
#include "tests/support/expect.h"
#include "tests/support/keys.h"
#include "tests/support/lives.h"
#include "tests/support/runner.h"
#include "tests/support/seeded_values.h"

#define KEYS 1500u
#define MAX_BYTES (24u << 20) /* no entry is evicted */
#define SPACES 2u
#define ALL UINT32_MAX

/* What the process notes in memory that is not killed. */
struct board {
  _Atomic uint64_t acts; /* that have returned */
  uint64_t uses, seeds;
  uint64_t generations[SPACES]; /* before the last clear of each; 0: none yet */
  struct {
    uint64_t seed; /* of the value; 0: none */
    uint32_t size;
    uint64_t use; /* number of the last use */
  } keys[KEYS];
  /* the act in progress */
  uint32_t flight; /* number of a key, ALL for a clear, KEYS for none */
  uint32_t cleared_space;
  uint64_t flight_seed;
  uint32_t flight_size;
};

static struct board *board;
static struct lives lives;

static uint32_t space_of(uint32_t n) {
  return n % SPACES;
}

static uint32_t random_size(void) {
  return random_below(40) == 0 ? random_below(300000) : random_log_uniform(13);
}

/* ---- the process that is killed ---- */

static void put(struct life *life, struct namespace **spaces, uint32_t n) {
  struct fc_key key = key_number(n);
  bool overwrites = board->keys[n].seed != 0 && random_below(2) == 0;
  board->flight_seed = ++board->seeds;
  board->flight_size = overwrites ? board->keys[n].size : random_size();
  atomic_signal_fence(memory_order_seq_cst);
  board->flight = n;
  atomic_signal_fence(memory_order_seq_cst);
  if (lives_put(life, spaces[space_of(n)], &key, board->flight_seed, board->flight_size) !=
      FC_STORED)
    _exit(3);
  board->keys[n].seed = board->flight_seed;
  board->keys[n].size = board->flight_size;
  board->keys[n].use = ++board->uses;
}

static void get(struct life *life, struct namespace **spaces, uint32_t n) {
  struct fc_key key = key_number(n);
  struct entry *entry = store_peek(&life->store, spaces[space_of(n)], &key);
  if ((entry != NULL) != (board->keys[n].seed != 0))
    _exit(4);
  if (entry == NULL)
    return;
  if (!lives_has_value(entry, board->keys[n].seed, board->keys[n].size))
    _exit(5);
  board->flight_seed = board->keys[n].seed;
  board->flight_size = board->keys[n].size;
  atomic_signal_fence(memory_order_seq_cst);
  board->flight = n;
  atomic_signal_fence(memory_order_seq_cst);
  store_use(&life->store, entry, 1);
  board->keys[n].use = ++board->uses;
}

static void clear(struct life *life, struct namespace **spaces) {
  struct store_clear job;
  struct store_select select = {.ns = spaces[random_below(SPACES)]};
  board->cleared_space = select.ns == spaces[0] ? 0 : 1;
  board->flight = ALL;
  uint64_t generation = life->store.saved->generation;
  atomic_signal_fence(memory_order_seq_cst);
  if (!store_clear_start(&life->store, &job, &select))
    _exit(6);
  while (!store_clear_step(&life->store, &job, 100))
    ;
  for (uint32_t n = 0; n < KEYS; n++)
    if (space_of(n) == board->cleared_space)
      board->keys[n].seed = 0;
  board->generations[board->cleared_space] = generation;
}

static void act(struct life *life, struct namespace **spaces) {
  uint32_t what = random_below(1000), n = random_below(KEYS);
  if (what == 0)
    clear(life, spaces);
  else if (what < 450)
    put(life, spaces, n);
  else
    get(life, spaces, n);
  if (what % 4 == 0)
    (void)store_background_step(&life->store);
  atomic_signal_fence(memory_order_seq_cst);
  board->flight = KEYS;
  atomic_fetch_add(&board->acts, 1);
}

static void run(struct life *life, uint64_t seed) {
  struct namespace *spaces[SPACES];
  random_seed(seed);
  lives_start(&lives, life);
  spaces[0] = lives_namespace(life, "even");
  spaces[1] = lives_namespace(life, "odd");
  for (;;)
    act(life, spaces);
}

/* ---- the process that checks ---- */

static void check_key(struct life *life, struct namespace *ns, uint32_t n) {
  struct fc_key key = key_number(n);
  const struct entry *entry = store_peek(&life->store, ns, &key);
  bool in_flight = board->flight == n;
  bool may_be_cleared = board->flight == ALL && board->cleared_space == space_of(n);
  if (in_flight) { /* the old value, the new one, or none */
    EXPECT(entry == NULL || lives_has_value(entry, board->flight_seed, board->flight_size) ||
           lives_has_value(entry, board->keys[n].seed, board->keys[n].size));
    return;
  }
  if (board->keys[n].seed == 0) {
    EXPECT(entry == NULL);
    return;
  }
  EXPECT(entry != NULL || may_be_cleared);
  EXPECT(entry == NULL || lives_has_value(entry, board->keys[n].seed, board->keys[n].size));
}

/* A value whose overwriting was interrupted is in the order until it is migrated, although its key
 * may have another value by then. */
static void check_order(const struct life *life, struct namespace **spaces) {
  uint64_t last = 0;
  for (const struct entry *entry = store_oldest(&life->store, NULL); entry != NULL;
       entry = store_newer(&life->store, NULL, entry)) {
    struct fc_key key = entry_key(entry);
    uint32_t n = key_number_of(&key, KEYS);
    if (n == board->flight || n == KEYS ||
        store_peek(&life->store, spaces[space_of(n)], &key) != entry)
      continue;
    if (board->keys[n].use <= last)
      ck_abort_msg("key %u, use %llu of %llu, is behind use %llu; stamp %llu, number %u, flight %u",
                   n, (unsigned long long)board->keys[n].use, (unsigned long long)board->uses,
                   (unsigned long long)last, (unsigned long long)entry->use_stamp, entry->number,
                   board->flight);
    last = board->keys[n].use;
  }
}

/* A result that was computed before a clear is not stored after it, whichever daemon cleared. */
static void check_stale(struct life *life, struct namespace **spaces) {
  for (uint32_t space = 0; space < SPACES; space++) {
    struct fc_key key = key_number(KEYS + space);
    struct store_put_info info = {.has_generation = true, .generation = board->generations[space]};
    if (info.generation != 0)
      EXPECT_EQUAL(store_put(&life->store, spaces[space], &key, "v", 1, &info), FC_STALE);
  }
}

/* Brings the board up to date with what the killed act did. */
static void settle(struct life *life, struct namespace **spaces) {
  for (uint32_t n = 0; n < KEYS; n++) {
    struct fc_key key = key_number(n);
    struct entry *entry = store_peek(&life->store, spaces[space_of(n)], &key);
    if (entry == NULL)
      board->keys[n].seed = 0;
    else if (board->flight == n && entry_compute_ns(entry) == board->flight_seed) {
      board->keys[n].seed = board->flight_seed;
      board->keys[n].size = board->flight_size;
    }
  }
  if (board->flight < KEYS && board->keys[board->flight].seed != 0) {
    struct fc_key key = key_number(board->flight);
    store_use(&life->store, store_peek(&life->store, spaces[space_of(board->flight)], &key), 1);
    board->keys[board->flight].use = ++board->uses;
  }
  board->flight = KEYS;
}

static void check(struct life *life) {
  struct namespace *spaces[SPACES];
  lives_begin(&lives, life);
  EXPECT_EQUAL(life->report.dropped[ADOPT_UNMAPPED], 0);
  EXPECT(life->report.dropped[ADOPT_DAMAGED] <= 1);
  spaces[0] = lives_namespace(life, "even");
  spaces[1] = lives_namespace(life, "odd");
  for (uint32_t steps = random_below(30); steps > 0; steps--)
    (void)store_background_step(&life->store);
  for (uint32_t n = 0; n < KEYS; n++)
    check_key(life, spaces[space_of(n)], n);
  check_order(life, spaces);
  check_stale(life, spaces);
  store_check(&life->store);
  settle(life, spaces);
  lives_kill(life);
}

/* Keeps descriptors of the region that the process has made its own. */
static void keep_region(const struct life *life) {
  int fds[FC_REGION_FDS_MAX];
  unsigned n = region_writer_fds(&life->region, fds);
  for (unsigned i = 0; i < n; i++)
    lives.fds[lives.n_fds++] = dup(fds[i]);
}

static void live_and_die(struct life *life, uint64_t seed) {
  lives_prepare(&lives, life);
  uint64_t before = board->acts, acts = random_log_uniform(11);
  pid_t child = fork();
  if (child == 0)
    run(life, seed);
  ck_assert_int_gt(child, 0);
  int status = 0;
  while (board->acts < before + acts && waitpid(child, &status, WNOHANG) == 0)
    usleep(random_below(200));
  (void)kill(child, SIGKILL);
  if (status == 0)
    (void)waitpid(child, &status, 0);
  ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
                "the process failed with exit status %d, signal %d", WEXITSTATUS(status),
                WIFSIGNALED(status) ? WTERMSIG(status) : 0);
  keep_region(life);
  region_writer_deinit(&life->region);
  catalog_deinit(&life->catalog);
}

START_TEST(kills_lose_and_revive_nothing) {
  enum { KILLS = 150 };
  static struct life life;
  const char *variable = getenv("FC_ADOPT_KILLS_SEED"); /* for long runs */
  uint64_t seed = variable == NULL ? 0 : strtoull(variable, NULL, 10);
  board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ck_assert_ptr_ne(board, MAP_FAILED);
  board->flight = KEYS;
  lives_open(&lives, MAX_BYTES);
  for (uint64_t i = seed * KILLS; i < (seed + 1) * KILLS; i++) {
    random_seed(i * 7 + 3);
    live_and_die(&life, i + 1);
    random_seed(i * 7 + 5);
    check(&life);
  }
  printf("%llu acts, %u kills\n", (unsigned long long)board->acts, KILLS);
  lives_close(&lives);
  (void)munmap(board, sizeof *board);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("adopt_kills");
  TCase *tcase = tcase_create("adopt_kills");
  tcase_set_timeout(tcase, 240);
  tcase_add_test(tcase, kills_lose_and_revive_nothing);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
