#include "daemon/fleet/fleet_key.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include <xxhash.h>

#include "daemon/base/check.h"
#include "proto/image/image_bytes.h"
#include "proto/limits.h"

/* Three names with their sizes, top_k and the prompt's hash. */
#define HASHED_MAX (3u * (4u + FC_NAME_MAX) + 4u + FC_HASH_SIZE)

bool fleet_prefix_valid(struct fc_str prefix) {
  if (prefix.size > FLEET_PREFIX_MAX)
    return false;
  for (uint32_t i = 0; i < prefix.size; i++) {
    char c = prefix.data[i];
    if (c <= ' ' || c > '~' || c == '{' || c == '}')
      return false;
  }
  return true;
}

static size_t add_name(uint8_t *to, struct fc_str name) {
  check_le(name.size, FC_NAME_MAX);
  image_put32(to, name.size);
  if (name.size > 0)
    memcpy(to + 4, name.data, name.size);
  return 4 + (size_t)name.size;
}

struct fc_hash fleet_key_hash(struct fc_str name_space, const struct fc_key *key) {
  uint8_t hashed[HASHED_MAX];
  size_t size = add_name(hashed, name_space);
  size += add_name(hashed + size, key->op);
  size += add_name(hashed + size, key->view);
  image_put32(hashed + size, key->top_k);
  memcpy(hashed + size + 4, key->prompt.bytes, FC_HASH_SIZE);
  size += 4 + FC_HASH_SIZE;
  return fc_hash_prompt(hashed, size);
}

static void set(struct fleet_key *name, int size) {
  assert(size > 0);
  check_lt(size, FLEET_KEY_MAX);
  name->size = (uint32_t)size;
}

void fleet_key_set(struct fleet_key *name, struct fc_str prefix, const struct fc_hash *hash,
                   uint64_t version, enum fleet_key_kind kind) {
  char hex[FC_HASH_HEX_SIZE];
  fc_hash_hex(hash, hex);
  set(name, snprintf(name->text, sizeof name->text, "%.*s" FLEET_KEY_FORMAT ":{%s}:%llu:%c",
                     (int)prefix.size, prefix.size > 0 ? prefix.data : "", hex,
                     (unsigned long long)version, kind));
}

void fleet_key_set_shared(struct fleet_key *name, struct fc_str prefix, const char *what) {
  check_le(strlen(what), 16);
  set(name, snprintf(name->text, sizeof name->text, "%.*s" FLEET_KEY_FORMAT ":{fleet}:%s",
                     (int)prefix.size, prefix.size > 0 ? prefix.data : "", what));
}
