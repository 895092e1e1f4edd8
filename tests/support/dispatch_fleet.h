/* dispatch_fleet.h - the dispatch fixture with a fleet on a tier in memory, and other nodes that
 * the test plays. Keys are those of request_key, in the namespace "ns". */
#ifndef FC_TESTS_DISPATCH_FLEET_H
#define FC_TESTS_DISPATCH_FLEET_H

#include "tests/support/dispatch_fixture.h"
#include "tests/support/fake_tier.h"

#define DISPATCH_COMPUTE_NS 7000000u /* of values that another node publishes */

extern struct fleet fleet;
extern struct fake_tier fake_tier;
extern struct fake_io fake_io;

/* Fixtures, beside dispatch_set_up: call them after it, and before dispatch_tear_down. All clients
 * but the last one have said hello. No deadline passes by itself. */
void dispatch_fleet_start(void);
void dispatch_fleet_stop(void);

/* Lets the tier answer what was asked, and the fleet do what is due, until nothing is left but what
 * waits for time to pass. */
void dispatch_fleet_settle(void);
/* The same, and passes the time until the fleet polls or renews once. */
void dispatch_fleet_poll(void);
/* All that the fleet waits for has passed its deadline. */
void dispatch_fleet_be_late(void);

/* Another node publishes a value of `size` bytes of `n` for key `n`, or takes or releases its fleet
 * lease. */
void dispatch_fleet_publish(uint32_t n, uint32_t size);
void dispatch_fleet_lease(uint32_t n, bool taken);
/* Returns whether the tier has a value, or a fleet lease, for key `n`. */
bool dispatch_fleet_has(uint32_t n, enum fleet_key_kind kind);

/* Returns a get of key `n` with FC_LEASE, whose id is `n`. */
struct fc_buf dispatch_fleet_get(uint32_t n, uint32_t wait_ms);
/* The client sends that get, and is parked: nothing is settled. */
struct fc_buf dispatch_fleet_park(struct test_client *client, uint32_t n, uint32_t wait_ms);
/* The client's parked request was resumed once. Dispatches it again, and frees it. */
enum dispatch_result dispatch_fleet_resume(struct test_client *client, struct fc_buf *request);

#endif
