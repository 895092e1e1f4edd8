/* state_world.h - the store of store_world.h with snapshots in a state directory: what a daemon
 * writes, and what the next one restores. A failure ends the test. */
#ifndef FC_TESTS_STATE_WORLD_H
#define FC_TESTS_STATE_WORLD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <uv.h>

#include "daemon/snapshot/snapshot.h"
#include "tests/support/store_world.h"

#define STATE_TOTALS 5u
#define STATE_PATH_SIZE 200u

extern struct state_world {
  struct snapshot snapshot;
  uv_loop_t loop;
  uint64_t max_bytes; /* of the next start */
  uint64_t totals[STATE_TOTALS], cache_id, boots[SNAPSHOT_BOOTS_MAX];
  uint32_t n_boots;
} state;

/* A fixture: makes the directory and starts a daemon's cache with the id 1 and the namespaces "ns"
 * and "other" (world.ns and world.other), and ends it and removes the directory. */
void state_set_up(void);
void state_tear_down(void);

/* The configuration of the snapshots. Borrows from `state`. */
struct snapshot_config state_config(void);

/* Starts a daemon's cache, empty, with the id `id`, and restores what is in the directory. It does
 * not set world.ns and world.other. */
void state_start(uint64_t id);

/* Ends it. `clean`: as at a stop, with a last snapshot. */
void state_end(bool clean);

/* Ends it and starts the next one. world.ns and world.other are NULL if nothing restored them. */
void state_restart(bool clean);

/* Begins a snapshot. Runs the loop until the snapshot has ended, well or not. Both, and it must be
 * whole. */
void state_begin_snapshot(void);
void state_await_snapshot(void);
void state_take_snapshot(void);

/* Runs the loop until the clear or delete may be acknowledged. Each change of its state must be
 * told by a call of config.clears_written. */
void state_await_clear(uint64_t ticket);

/* Begins a clear and waits until it may be acknowledged. Ends the last one in the store. */
void state_clear(struct namespace *ns, const char *view, const char *op);
void state_finish_clear(void);

/* Puts `n` values of many sizes, of which every third is in world.other. Checks that they are
 * stored. */
void state_put_many(uint32_t n);
void state_check_many(uint32_t n);
uint32_t state_size_of(uint32_t n); /* of the value of number n */

/* The path of a file in the directory, and whether there is one. */
void state_path(const char *name, char path[STATE_PATH_SIZE]);
bool state_exists(const char *name);

/* Makes each write beyond `bytes` of a file fail, or none (RLIM_INFINITY). */
void state_limit_files(rlim_t bytes);

#endif
