/* fleet_own.h - the keys that this node reads no more from the tier: a bitmap by the hash of key
 * and clear version.
 *
 * A key is marked if the tier has, or may have, an older value than one that this node has stored.
 * Keys share bits, so a few others are marked with it: they are computed instead of read. A clear
 * gives a key another version, and so another bit. Owns its memory. One thread. */
#ifndef FC_DAEMON_FLEET_OWN_H
#define FC_DAEMON_FLEET_OWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/key.h"

#define FLEET_OWN_BITS (1u << 20)
#define FLEET_OWN_BYTES (FLEET_OWN_BITS / 8)

struct fleet_own {
  uint64_t *words; /* owned */
  uint32_t n;      /* bits that are set */
};

/* Returns 0 or FC_ENOMEM. */
int fleet_own_init(struct fleet_own *own);
void fleet_own_deinit(struct fleet_own *own); /* idempotent */

void fleet_own_mark(struct fleet_own *own, const struct fc_hash *hash, uint64_t version);
bool fleet_own_has(const struct fleet_own *own, const struct fc_hash *hash, uint64_t version);

#endif
