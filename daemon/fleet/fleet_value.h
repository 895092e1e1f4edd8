/* fleet_value.h - a value in the tier: a head of 64 bytes, then the bytes that were put.
 *
 *   0  magic "fcT1"              32  node u64, which put it
 *   4  flags u32 (1: tombstone)  40  clear version u64, as in the key's name
 *   8  size of the value u64     48  checksum u64
 *  16  compute_ns u64            56  deleted u64: of a tombstone, the clear version of its delete
 *  24  stamp u64                 64  the value
 *
 * Little-endian. The checksum is XXH3-64 (seed 0) over the head with checksum 0 and the key's hash.
 * If there is a value, it is XXH3-64 over the value, with that as its seed. So a value that was
 * cut, changed, or stored under another key is detected. A tombstone has no value: the key was
 * deleted, and no computation that began before may be published.
 *
 * The stamp is the time of the put: wall clock in ns, but never below the last one that the node
 * has seen or made (fleet.h). The later stamp is the newer value. Pure functions. */
#ifndef FC_DAEMON_FLEET_VALUE_H
#define FC_DAEMON_FLEET_VALUE_H

#include "proto/key.h"

#define FLEET_VALUE_MAGIC "fcT1"
#define FLEET_VALUE_HEAD 64u
#define FLEET_VALUE_STAMP_AT 24u /* fleet_scripts.h reads it there */

struct fleet_value {
  const uint8_t *data; /* borrowed; NULL: a tombstone, or none */
  uint64_t size;
  uint64_t compute_ns, stamp, node;
  uint64_t version; /* clear version */
  uint64_t deleted; /* 0: no tombstone */
};

enum fleet_value_state {
  FLEET_VALUE_GOOD,
  FLEET_VALUE_TOMBSTONE,
  FLEET_VALUE_TOO_BIG, /* it is larger than `max_value`, and was not read to its end */
  FLEET_VALUE_BAD,     /* no head, another key's, another version's, cut, or changed */
};

/* Encodes the head of a value, or of a tombstone if value->deleted is not 0. `hash` is that of the
 * key (fleet_key_hash). */
void fleet_value_encode_head(const struct fleet_value *value, const struct fc_hash *hash,
                             uint8_t head[FLEET_VALUE_HEAD]);

/* Decodes what a read of at most FLEET_VALUE_HEAD + max_value + 1 bytes returned. `value` borrows
 * `data`. It is complete if the result is GOOD or TOMBSTONE. */
enum fleet_value_state fleet_value_decode(const void *data, size_t size, const struct fc_hash *hash,
                                          uint64_t version, uint64_t max_value,
                                          struct fleet_value *value);

#endif
