/* leases_fixture.h - a lease table with two namespaces and five clients, for unit tests. One at a
 * time: leases_fixture_start makes it. */
#ifndef FC_TESTS_LEASES_FIXTURE_H
#define FC_TESTS_LEASES_FIXTURE_H

#include "daemon/leases/leases.h"

#define CLIENTS 5u
#define TERM 1000u /* of requests, in ns */
#define WAIT 5000u
#define NOW 100u

extern struct leases leases;
extern struct counters counters;
extern struct namespace space, other_space;
extern struct lease_client lease_clients[CLIENTS];

void leases_fixture_start(void);
/* Removes all clients, and checks that nothing is left. */
void leases_fixture_end(void);

/* Returns the key of prompt `prompt`. */
struct fc_key lease_key(uint8_t prompt);
/* Returns a request that wants the lease on `key` in `space`, or waits for it. */
struct lease_request lease_request(const struct fc_key *key);

/* As the leases_* of these names, for a key of `space`. lease_acquire is at NOW. */
enum lease_answer lease_acquire(struct lease_client *client, uint8_t prompt);
void lease_put(uint8_t prompt, uint64_t now_ns);
bool lease_give_up(struct lease_client *client, uint8_t prompt, bool for_all, uint64_t now_ns);

#endif
