/* fleet_key.h - the names of keys in the tier, format version 1.
 *
 * P is the prefix (--tier-prefix), D is 32 hex digits of a hash of namespace and key, G is the
 * clear version that applies to the key (fleet_clears.h), in decimal.
 *   P1:{D}:G:v           the value
 *   P1:{D}:G:l           the fleet lease
 *   P1:{fleet}:WHAT      what the fleet shares: "clears", "log", "manifests"
 * The text in braces is the hash tag: a cluster keeps value and lease of a key in one slot. A name
 * has no part of a prompt, and no name of the user's. Pure functions. */
#ifndef FC_DAEMON_FLEET_KEY_H
#define FC_DAEMON_FLEET_KEY_H

#include "proto/key.h"

#define FLEET_KEY_FORMAT "1"
#define FLEET_PREFIX_MAX 64u /* bytes of a prefix: none of them '{' or '}' */
#define FLEET_KEY_MAX (FLEET_PREFIX_MAX + 64u)

enum fleet_key_kind { FLEET_KEY_VALUE = 'v', FLEET_KEY_LEASE = 'l' };

/* A name, with its bytes. It has no NUL. */
struct fleet_key {
  uint32_t size;
  char text[FLEET_KEY_MAX];
};

/* Returns whether the prefix has at most FLEET_PREFIX_MAX bytes of printable ASCII without spaces
 * and braces. An empty one is valid. */
bool fleet_prefix_valid(struct fc_str prefix);

/* Returns the XXH3-128 (seed 0) of namespace, op and view, each behind its size as u32, top_k as
 * u32, and the hash of the prompt. Numbers are little-endian. */
struct fc_hash fleet_key_hash(struct fc_str name_space, const struct fc_key *key);

/* Writes the name of a value or of a lease. The prefix is valid. */
void fleet_key_set(struct fleet_key *name, struct fc_str prefix, const struct fc_hash *hash,
                   uint64_t version, enum fleet_key_kind kind);

/* Writes the name of what the fleet shares. `what` has at most 16 bytes. */
void fleet_key_set_shared(struct fleet_key *name, struct fc_str prefix, const char *what);

static inline struct fc_str fleet_key_str(const struct fleet_key *name) {
  return (struct fc_str){name->text, name->size};
}

#endif
