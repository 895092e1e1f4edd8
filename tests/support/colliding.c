#include "colliding.h"

#include <check.h>
#include <string.h>

/* Words 0 and 3 of XXH3's default secret, little-endian. */
#define SECRET_0 UINT64_C(0xbe4ba423396cfeb8)
#define SECRET_3 UINT64_C(0x1f67b3b7a4a44072)

static void put_word(uint8_t *to, uint64_t word, unsigned bytes) {
  for (unsigned i = 0; i < bytes; i++)
    to[i] = (uint8_t)(word >> (8 * i));
}

static struct fc_key make(uint64_t seed, const char *op, const char *view, uint32_t i) {
  struct fc_key key = {.op = fc_str_of(op), .view = fc_str_of(view)};
  uint64_t names = fc_key_digest_names(seed, key.op, key.view);
  uint64_t last = SECRET_3 - names;
  put_word(key.prompt.bytes, SECRET_0 + names, 8);
  put_word(key.prompt.bytes + 8, i, 4);
  put_word(key.prompt.bytes + 12, last, 4);
  key.top_k = (uint32_t)(last >> 32);
  return key;
}

struct fc_key colliding_key(uint64_t seed, const char *op, const char *view, uint32_t i) {
  struct fc_key first = make(seed, op, view, 0), key = make(seed, op, view, i);
  ck_assert_uint_eq(fc_key_digest(seed, &key), fc_key_digest(seed, &first));
  return key;
}
