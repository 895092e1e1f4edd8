#include "tests/support/keys.h"

#include <string.h>

struct fc_key key_named(const char *op, const char *view, uint32_t n) {
  return (struct fc_key){
      .op = fc_str_of(op), .view = fc_str_of(view), .prompt = fc_hash_prompt(&n, sizeof n)};
}

struct fc_key key_number(uint32_t n) {
  return key_named("op", "base", n);
}

uint32_t key_number_of(const struct fc_key *key, uint32_t limit) {
  uint32_t n = 0;
  for (; n < limit; n++) {
    struct fc_hash prompt = fc_hash_prompt(&n, sizeof n);
    if (memcmp(prompt.bytes, key->prompt.bytes, sizeof prompt.bytes) == 0)
      break;
  }
  return n;
}

struct fcache_key public_key_number(uint32_t n) {
  return (struct fcache_key){.op = "op", .view = "base", .prompt = fcache_hash(&n, sizeof n)};
}
