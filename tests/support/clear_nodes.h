/* clear_nodes.h - nodes with clear tables on one real tier server, without daemons. A node's local
 * cache is a few keys, each with the number of the moment when its value was stored. */
#ifndef FC_TESTS_CLEAR_NODES_H
#define FC_TESTS_CLEAR_NODES_H

#include "daemon/fleet/fleet_clears.h"
#include "tests/support/redis_io.h"
#include "tests/support/tier_server.h"

#define CLEAR_NODES 3u
#define CLEAR_KEYS 16u /* 2 namespaces x 2 views x 2 ops x 2 prompts */
#define CLEAR_MS UINT64_C(1000000)

struct clear_node {
  struct redis_io io;
  struct fleet_clears clears;
  struct tier_version saved;
  bool is_up;
  uint64_t stored[CLEAR_KEYS]; /* 0: not stored */
  unsigned refusals;           /* clears that cannot start yet */
  unsigned cleared, deleted, differed;
  unsigned refreshed, failed; /* calls of `refreshed` */
};

struct clear_nodes {
  struct tier_server server;
  struct clear_node nodes[CLEAR_NODES];
  uint64_t now_ns, moment, seed;
};
extern struct clear_nodes clear_nodes;

/* Start a server and the nodes, which know nothing. Return false if there is no server. */
bool clear_nodes_start(void);
void clear_nodes_stop(void);

struct clear_node *clear_nodes_at(unsigned i);
void clear_nodes_start_one(struct clear_node *node); /* with its saved version and its cache */
void clear_nodes_kill(struct clear_node *node);      /* the cache and the saved version stay */

/* Names of the parts of a key, and what selects it: a part that is negative selects any. */
struct fc_str clear_nodes_space(int i);
struct fc_key clear_nodes_key(unsigned key);
struct fc_str clear_nodes_space_of(unsigned key);
struct fc_select clear_nodes_select(int space, int view, int op);
bool clear_nodes_selects(const struct fc_select *select, unsigned key);

/* Stores a value of each key, in all nodes. */
void clear_nodes_fill(void);

/* Executes what is due and what is submitted, of one node or of all, without moving the clock. */
void clear_nodes_run(struct clear_node *node);
void clear_nodes_run_all(void);
/* Moves the clock by a poll, and runs all. */
void clear_nodes_poll(void);

uint64_t clear_nodes_version(const struct clear_node *node, unsigned key);

/* Asks for the version, as a fill does. Returns what fleet_clears_heard said. */
bool clear_nodes_hear(struct clear_node *node);

/* Makes a step, runs the node, and ends the step, after it has applied it to the cache. Returns its
 * state. */
enum fleet_step_state clear_nodes_clear(struct clear_node *node, struct fc_select select);
enum fleet_step_state clear_nodes_delete(struct clear_node *node, unsigned key);

/* Checks that all nodes have the same versions. */
void clear_nodes_check_equal(void);

#endif
