/* lease_workers.h - worker processes that compute keys under leases, and a board in shared memory
 * by which the test knows how far they are. A computation can be held at a gate of the board until
 * those workers wait that the test wants to wait. */
#ifndef FC_TESTS_LEASE_WORKERS_H
#define FC_TESTS_LEASE_WORKERS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fcache.h"
#include "tests/support/harness.h"

#define LEASE_SPACE "leases"
#define LEASE_OP "op"
#define LEASE_VIEW "view"
#define LEASE_WORKERS 8u
#define LEASE_KEYS 6400u
#define LEASE_MAX_VALUE 65536u /* --max-value */
#define LEASE_TIMEOUT_MS 30000u
#define LEASE_FAILS 77 /* the result of a computation that fails */
#define LEASE_STUCK 78 /* the computation was held too long: the test has failed */

struct lease_board {
  _Atomic uint32_t computes[LEASE_KEYS]; /* begun, of each key */
  _Atomic uint32_t begun;                /* all of them together */
  _Atomic uint32_t arrived;              /* workers that are ready for the next step */
  _Atomic bool open;                     /* the gate */
  _Atomic uint64_t computed_ns;          /* when the latest began */
  struct fcache_counters counters[LEASE_WORKERS];
};

extern struct daemon lease_daemon;
extern struct fcache *lease_watch; /* for stats */
extern struct lease_board *lease_board;

/* Fixtures. */
void lease_workers_start(void);
void lease_workers_stop(void);

/* In the test and in workers: wait until a count is reached, until `n` workers have arrived at the
 * `step`th step (from 1 on). Return false after LEASE_TIMEOUT_MS. */
bool lease_board_wait(const _Atomic uint32_t *count, uint32_t least);
bool lease_board_meet(uint32_t step, uint32_t n);
bool lease_board_is_open(void *unused); /* for harness_wait_until */
uint32_t lease_board_computes(void);
/* Counts a computation that begins. */
void lease_board_count(uint32_t key);

/* A computation of a key's value, which begins with the key's number. */
struct lease_pass {
  uint32_t key;
  bool held;         /* at the gate */
  uint32_t together; /* it ends when so many have begun in all */
  int rc;            /* its result */
  size_t size;       /* of its value; 0: of the number alone */
};

struct fcache_hash lease_worker_prompt(uint32_t key);
struct fcache_key lease_worker_key(uint32_t key);
bool lease_worker_is_value(const struct fcache_value *value, uint32_t key);

/* In a worker. lease_worker_compute is for fcache_cached, with a struct lease_pass. */
struct fcache *lease_worker_open(uint32_t deadline_ms);
int lease_worker_compute(void *arg, struct fcache_value *value);
/* Makes one lookup with its own handle, and stores the handle's counters unless NULL. Returns 0. */
int lease_worker_cached(struct lease_pass *pass, uint32_t deadline_ms,
                        struct fcache_counters *counters);
int lease_worker_look_up(void *pass); /* the same, for child_start */

void lease_workers_expect_ends(const pid_t *pids, size_t n);
/* Waits until there are neither leases nor waits. */
void lease_workers_expect_nothing_left(void);

#endif
