#include "tests/support/state_world.h"

#include <check.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/errors.h"
#include "tests/support/expect.h"
#include "tests/support/seeded_values.h"

struct state_world state;

static char dir[] = "/tmp/fcached-test-snapshot-XXXXXX";
static unsigned clears_written; /* calls of config.clears_written */

static void on_clears_written(void *arg) {
  ck_assert_ptr_eq(arg, &clears_written);
  clears_written++;
}

struct snapshot_config state_config(void) {
  return (struct snapshot_config){.dir = dir,
                                  .interval_ms = 1000,
                                  .clears_written = on_clears_written,
                                  .arg = &clears_written,
                                  .cache = {.store = &world.store,
                                            .namespaces = &world.table,
                                            .totals = state.totals,
                                            .n_totals = STATE_TOTALS,
                                            .cache_id = &state.cache_id,
                                            .boots = state.boots,
                                            .n_boots = &state.n_boots}};
}

static void open_folder(void) {
  struct error_text error;
  struct snapshot_config settings = state_config();
  if (snapshot_open(&state.snapshot, &settings, &error) < 0)
    ck_abort_msg("%s", error.text);
}

void state_start(uint64_t id) {
  world_open(state.max_bytes, 1 << 20, 8);
  state.cache_id = id;
  state.n_boots = 1;
  state.boots[0] = id + 1000;
  memset(state.totals, 0, sizeof state.totals);
  open_folder();
  ck_assert_int_eq(snapshot_restore(&state.snapshot), 0);
  store_check(&world.store);
  ck_assert_int_eq(uv_loop_init(&state.loop), 0);
  ck_assert_int_eq(snapshot_run(&state.snapshot, &state.loop, NULL), 0);
}

void state_end(bool clean) {
  snapshot_close(&state.snapshot);
  ck_assert_int_eq(uv_run(&state.loop, UV_RUN_DEFAULT), 0);
  ck_assert_int_eq(uv_loop_close(&state.loop), 0);
  if (clean)
    ck_assert_int_eq(snapshot_at_stop(&state.snapshot), 0);
  snapshot_deinit(&state.snapshot);
  while (world.store.active_clears != NULL)
    (void)store_clear_step(&world.store, world.store.active_clears, UINT64_MAX);
  world_close();
}

void state_restart(bool clean) {
  state_end(clean);
  state_start(state.cache_id + 1);
  world.ns = namespace_table_find(&world.table, fc_str_of("ns"));
  world.other = namespace_table_find(&world.table, fc_str_of("other"));
}

void state_set_up(void) {
  memcpy(dir + sizeof dir - 7, "XXXXXX", 6); /* without a process for each test, it was used */
  ck_assert_ptr_nonnull(mkdtemp(dir));
  state.max_bytes = 64 << 20;
  state_start(1);
  world.ns = world_namespace("ns");
  world.other = world_namespace("other");
  world.ns->counters.hits = world.other->counters.hits = 1; /* a start keeps them without entries */
}

void state_tear_down(void) {
  char command[100];
  state_end(false);
  (void)snprintf(command, sizeof command, "rm -rf %s", dir);
  ck_assert_int_eq(system(command), 0);
}

void state_begin_snapshot(void) {
  struct error_text error;
  ck_assert_int_eq(snapshot_start(&state.snapshot, &error), 0);
}

void state_await_snapshot(void) {
  while (state.snapshot.running != 0)
    (void)uv_run(&state.loop, UV_RUN_ONCE);
}

void state_take_snapshot(void) {
  state_begin_snapshot();
  state_await_snapshot();
  ck_assert_str_eq(state.snapshot.error.text, "");
}

void state_await_clear(uint64_t ticket) {
  while (snapshot_clear_state(&state.snapshot, ticket) == SNAPSHOT_CLEAR_WAIT) {
    unsigned before = clears_written;
    (void)uv_run(&state.loop, UV_RUN_ONCE);
    if (clears_written == before &&
        snapshot_clear_state(&state.snapshot, ticket) != SNAPSHOT_CLEAR_WAIT)
      ck_abort_msg("the state of a clear changed without a call of clears_written");
  }
  ck_assert_int_eq(snapshot_clear_state(&state.snapshot, ticket), SNAPSHOT_CLEAR_DONE);
}

static struct store_clear clear_in_use;

void state_clear(struct namespace *ns, const char *view, const char *op) {
  struct store_select select = {.ns = ns, .view = fc_str_of(view), .op = fc_str_of(op)};
  ck_assert(store_clear_start(&world.store, &clear_in_use, &select));
  struct fc_str name = ns == NULL ? (struct fc_str){0} : ns->name;
  state_await_clear(snapshot_clear(&state.snapshot, name, select.view, select.op));
}

void state_finish_clear(void) {
  while (!store_clear_step(&world.store, &clear_in_use, UINT64_MAX))
    ;
}

uint32_t state_size_of(uint32_t n) {
  return n % 100 == 7 ? 300000 : n % 7 == 0 ? 5000 + n : n % 200;
}

void state_put_many(uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    struct fc_key key = key_number(i);
    struct store_put_info info = {.origin = i, .compute_ns = i + 1, .now_ns = i + 2};
    EXPECT_EQUAL(store_put(&world.store, i % 3 == 0 ? world.other : world.ns, &key,
                           seeded_bytes(i + 1, state_size_of(i)), state_size_of(i), &info),
                 FC_STORED);
  }
}

void state_check_many(uint32_t n) {
  for (uint32_t i = 0; i < n; i++) {
    const struct entry *entry = world_peek(i % 3 == 0 ? world.other : world.ns, i);
    EXPECT(entry != NULL);
    private_store_check_value(entry, seeded_bytes(i + 1, state_size_of(i)), state_size_of(i));
    EXPECT(entry_compute_ns(entry) == i + 1 && entry_origin(entry) == i);
  }
}

void state_path(const char *name, char path[STATE_PATH_SIZE]) {
  (void)snprintf(path, STATE_PATH_SIZE, "%s/%s", dir, name);
}

bool state_exists(const char *name) {
  char path[STATE_PATH_SIZE];
  state_path(name, path);
  return access(path, F_OK) == 0;
}

void state_limit_files(rlim_t bytes) {
  struct rlimit limit = {bytes, RLIM_INFINITY};
  (void)signal(SIGXFSZ, SIG_IGN);
  ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}
