/* rings_fixture.h - the rings of a store with one namespace and a trace, and clients with rings,
 * for unit tests. One at a time: rings_fixture_start makes it. */
#ifndef FC_TESTS_RINGS_FIXTURE_H
#define FC_TESTS_RINGS_FIXTURE_H

#include "daemon/rings/rings.h"
#include "daemon/store/namespace_table.h"
#include "tests/support/ring_builder.h"
#include "tests/support/traced.h"

#define RINGS_FIXTURE_POOL (64u << 20)

struct rings_fixture {
  struct region region;
  struct store store;
  struct namespace_table table;
  struct namespace *ns;
  struct totals totals; /* of the daemon */
  struct traced traced;
  struct rings rings;
  struct usage usage;
  struct usage_counts client_usage; /* of all clients */
  struct client_time time;          /* of all clients: they connected when the machine started */
};
extern struct rings_fixture fix;

struct ring_client {
  struct client_ring *ring;
  struct ring_builder builder;
};

/* With a pool for 4 clients, so that the base size is the largest. */
void rings_fixture_start(void);
/* Checks the rings, detaches them, and leaves nothing behind. */
void rings_fixture_end(void);
/* Starts anew, without rings, with another pool. */
void rings_fixture_resize(size_t pool_bytes, unsigned max_clients);

struct client_ring *rings_fixture_attach(const char *name, bool knows_state);

/* Maps the client's side of the ring and writes context 0: op "op", view "base". */
struct ring_client ring_client_open(struct client_ring *ring);
/* The same with a new ring, for a client that does not read the ring's state. */
struct ring_client ring_client_join(const char *name);
void ring_client_close(struct ring_client *client); /* its side. The ring stays attached */

/* Replaces the client's ring, as the dispatcher does. Returns false if there is no larger one. */
bool ring_client_grow(struct ring_client *client, uint32_t most_slots);

/* Returns the key with top_k `n`, which the trace shows. */
struct fc_key ring_client_key(uint32_t n);
/* Publishes hits on keys first, first + 1, ... */
void ring_client_hit(struct ring_client *client, uint32_t first, uint32_t n);
/* Writes a hit on key `n` that was served at `end_ns`, and does not publish it. */
void ring_client_hit_at(struct ring_client *client, uint32_t n, uint64_t end_ns);
void ring_client_hit_with_bad_flags(struct ring_client *client);

/* The trace has a line for each of the keys 1 to n of that client, in order, and no others of it.
 */
void rings_fixture_check_lines(const char *client, uint32_t n);

#endif
