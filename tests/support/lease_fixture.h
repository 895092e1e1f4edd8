/* lease_fixture.h - a daemon that replies with leases (scripted_leases.h), and calls on it by the
 * number of a key. A function that cannot do its work fails the test. */
#ifndef FC_TESTS_LEASE_FIXTURE_H
#define FC_TESTS_LEASE_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "fcache.h"
#include "tests/support/client_fixture.h"
#include "tests/support/scripted_leases.h"

extern struct scripted_leases *scripted_leases;

/* A fixture: starts the daemon, and stops it. */
void lease_set_up(void);
void lease_tear_down(void);

/* Opens a handle, connected or not; or one that is connected, for short deadlines. */
struct fcache *lease_open(uint32_t deadline_ms, uint32_t wait_ms);
struct fcache *lease_open_connected(uint32_t deadline_ms, uint32_t wait_ms);

struct fcache_key client_lease_key(uint32_t key);

/* Gets a key, whose value must be the daemon's on a hit. Returns the result. */
int lease_get(struct fcache *cache, uint32_t number, unsigned flags, uint32_t wait_ms);

/* Puts "x". Returns the result. */
int client_lease_put(struct fcache *cache, uint32_t number);

/* A fcache_compute_fn that computes "mine"; its arg. */
struct lease_compute {
  unsigned calls;
  int error; /* not 0: fails with it */
};
int lease_compute(void *arg, struct fcache_value *value);

/* Calls fcache_cached, which must succeed. Returns whether it computed. */
bool lease_cached(struct fcache *cache, uint32_t number);

/* The requests that the daemon received must have exactly these types. */
void lease_check_types(const enum fc_type *types, unsigned n);
#define LEASE_CHECK_TYPES(...)                                                                     \
  lease_check_types((const enum fc_type[]){__VA_ARGS__},                                           \
                    sizeof((const enum fc_type[]){__VA_ARGS__}) / sizeof(enum fc_type))

#endif
