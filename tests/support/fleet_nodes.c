#include "tests/support/fleet_nodes.h"

#include "tests/support/child_process.h"
#include "tests/support/library.h"

struct tier_server fleet_server;
struct daemon fleet_nodes[FLEET_NODES];
struct fcache *fleet_watches[FLEET_NODES];
struct fleet_board *fleet_board;

static const char *deadline = "20"; /* the option, in seconds */

void fleet_node_start(unsigned node) {
  fcache_close(fleet_watches[node]);
  harness_start(&fleet_nodes[node], "--tier", fleet_server.unix_url, "--tier-deadline", deadline,
                "--tier-lease", "1", NULL);
  fleet_watches[node] = library_open(fleet_nodes[node].socket, FLEET_SPACE, "watch", 0);
}

void fleet_nodes_start(void) {
  tier_server_start(&fleet_server, &(struct tier_server_config){.program = tier_any_program()});
  fleet_board = child_shared(sizeof *fleet_board);
  for (unsigned i = 0; i < FLEET_NODES; i++)
    fleet_node_start(i);
}

void fleet_nodes_start_failing(void) {
  deadline = "3";
  fleet_nodes_start();
}

void fleet_nodes_stop(void) {
  for (unsigned i = 0; i < FLEET_NODES; i++) {
    fcache_close(fleet_watches[i]);
    fleet_watches[i] = NULL;
    ck_assert_int_eq(harness_stop(&fleet_nodes[i]), 0);
  }
  tier_server_stop(&fleet_server);
}

static bool is_open(void *unused) {
  (void)unused;
  return atomic_load(&fleet_board->open);
}

bool fleet_board_compute(void) {
  atomic_fetch_add(&fleet_board->computes, 1);
  return harness_wait_until(is_open, NULL, FLEET_TIMEOUT_MS);
}

static bool has_begun(void *arg) {
  const uint32_t *n = arg;
  return atomic_load(&fleet_board->computes) >= *n;
}

void fleet_board_wait(uint32_t n) {
  ck_assert(harness_wait_until(has_begun, &n, FLEET_TIMEOUT_MS));
}
