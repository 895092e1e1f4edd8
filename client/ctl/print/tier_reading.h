/* tier_reading.h - one reading of a daemon's tier, as fcachectl tier prints it. Owns its strings,
 * which are cut to their arrays and have no control characters. */
#ifndef FC_CTL_TIER_READING_H
#define FC_CTL_TIER_READING_H

#include <stdbool.h>
#include <stddef.h>

#include "client/lib/admin/admin_tier.h"

#define TIER_READING_TEXT_SIZE 1025u
#define TIER_READING_NAME_SIZE 300u /* an address: a host of 255 bytes and a port */

/* The strings of `is` are the arrays beside it. */
struct tier_server_reading {
  struct fc_tier_server_entry is;
  char address[TIER_READING_NAME_SIZE], role[32];
  char states[2][32], errors[2][TIER_READING_NAME_SIZE]; /* of reads, of writes */
};

/* Zeroed: no reading yet. */
struct tier_reading {
  bool has_tier;
  struct fc_tier_entry is; /* if has_tier; its strings are the arrays below */
  char url[TIER_READING_TEXT_SIZE], mode[32], prefix[TIER_READING_NAME_SIZE];
  char namespaces[TIER_READING_TEXT_SIZE], id[TIER_READING_NAME_SIZE];
  struct tier_server_reading *servers; /* owned */
  size_t n, capacity;
  bool failed; /* out of memory: servers are missing */
};

void tier_reading_deinit(struct tier_reading *reading); /* idempotent */

/* Reads the tier into an empty reading. Returns 0 or a code, as admin_tier. */
int tier_reading_fetch(struct admin *admin, struct tier_reading *reading);

/* Returns the writes that were dropped for any cause. */
uint64_t tier_reading_dropped(const struct fc_tier_entry *tier);

/* Callbacks of admin_tier. `arg` is the reading. */
void tier_reading_set_tier(void *arg, const struct fc_tier_entry *tier);
void tier_reading_add_server(void *arg, const struct fc_tier_server_entry *server);

#endif
