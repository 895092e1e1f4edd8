/* tier_scripts.h - the hashes by which servers know scripts. Computed once for each script. */
#ifndef FC_DAEMON_TIER_SCRIPTS_H
#define FC_DAEMON_TIER_SCRIPTS_H

#include <stddef.h>

#include "daemon/fleet/fleet_io.h"

#define TIER_SCRIPTS_MAX 16u
#define TIER_SCRIPT_HASH_SIZE 41u /* 40 hex digits of SHA1, and a NUL */

/* Zero at the start. Nothing to free. */
struct tier_scripts {
  size_t n;
  struct {
    const struct fleet_script *script;
    char hash[TIER_SCRIPT_HASH_SIZE];
  } list[TIER_SCRIPTS_MAX];
};

/* Returns the hash of the script, valid until the next call; "" if OpenSSL has no SHA1. No server
 * knows that hash, so the script is sent each time. */
const char *tier_scripts_hash(struct tier_scripts *scripts, const struct fleet_script *script);

#endif
