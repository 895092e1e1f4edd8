/* good_client.h - a well-behaved client. Its hits must go on whatever other clients do, or the test
 * fails. */
#ifndef FC_TESTS_GOOD_CLIENT_H
#define FC_TESTS_GOOD_CLIENT_H

#include <stdint.h>

#include "fcache.h"

struct good_client {
  struct fcache *cache;
  struct fcache_value value;
  uint64_t hits;
};

/* Connects, in the namespace "good", and puts some values. */
void good_client_open(struct good_client *good, const char *socket);
void good_client_close(struct good_client *good);

/* Gets each value several times: all must be hits from the region, over the first connection, and
 * counted by the daemon. */
void good_client_check(struct good_client *good);

#endif
