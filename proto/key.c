#include "proto/key.h"

#include <string.h>

#include "proto/limits.h"
#include "proto/utf8.h"
#include "proto/xxh3.h"

/* Returns the length of the character at `s`, or 0 if a name may not contain it. */
static size_t name_char(const uint8_t *s, size_t size) {
  uint32_t code = 0;
  size_t length = fc_utf8_char(s, size, &code);

  return fc_utf8_is_control(code) ? 0 : length;
}

/* Returns whether all 8 bytes are 20..7E. Nearly every name is plain ASCII, and every request has
 * two, so a check by words pays. */
static bool plain_word(const uint8_t *s) {
  const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
  uint64_t word;

  memcpy(&word, s, sizeof word);
  if ((word | (word + ones)) & tops) /* 80..FF have the top bit, 7F carries into it */
    return false;
  return (((word | tops) - 0x20 * ones) & tops) == tops; /* 00..1F borrow the top bit */
}

bool fc_name_valid(struct fc_str name) {
  const uint8_t *s = (const uint8_t *)name.data;
  size_t left = name.size;

  if (left < 1 || left > FC_NAME_MAX)
    return false;
  while (left) {
    size_t length = left >= 8 && plain_word(s) ? 8 : name_char(s, left);

    if (!length)
      return false;
    s += length;
    left -= length;
  }
  return true;
}

bool fc_manifest_valid(struct fc_str manifest) {
  const uint8_t *s = (const uint8_t *)manifest.data;
  size_t left = manifest.size;

  if (left < 1 || left > FC_MANIFEST_MAX)
    return false;
  while (left) {
    uint32_t code;
    size_t length = s[0] == '\0' ? 0 : fc_utf8_char(s, left, &code);

    if (!length)
      return false;
    s += length;
    left -= length;
  }
  return true;
}

struct fc_str fc_str_of(const char *text) {
  size_t size = text ? strlen(text) : 0;

  /* a cut string is still far too long for any name */
  return (struct fc_str){text, size > UINT32_MAX ? UINT32_MAX : (uint32_t)size};
}

bool fc_str_equal(struct fc_str a, struct fc_str b) {
  return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

struct fc_hash fc_hash_prompt(const void *prompt, size_t size) {
  XXH128_canonical_t canonical;
  struct fc_hash hash;

  XXH128_canonicalFromHash(&canonical, fc_xxh3_128(prompt, size));
  memcpy(hash.bytes, canonical.digest, sizeof hash.bytes);
  return hash;
}

void fc_hash_hex(const struct fc_hash *hash, char hex[FC_HASH_HEX_SIZE]) {
  static const char digits[] = "0123456789abcdef";

  for (size_t i = 0; i < FC_HASH_SIZE; i++) {
    hex[2 * i] = digits[hash->bytes[i] >> 4];
    hex[2 * i + 1] = digits[hash->bytes[i] & 15];
  }
  hex[FC_HASH_HEX_SIZE - 1] = '\0';
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  if (c >= 'A' && c <= 'F')
    return c - 'A' + 10;
  return -1;
}

bool fc_hash_parse(const char *hex, size_t size, struct fc_hash *hash) {
  struct fc_hash parsed;

  if (size != FC_HASH_HEX_SIZE - 1)
    return false;
  for (size_t i = 0; i < FC_HASH_SIZE; i++) {
    int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);

    if (high < 0 || low < 0)
      return false;
    parsed.bytes[i] = (uint8_t)(high << 4 | low);
  }
  *hash = parsed;
  return true;
}

/* Each part seeds the next, so no part is copied beside another. */
uint64_t fc_key_digest_names(uint64_t namespace_seed, struct fc_str op, struct fc_str view) {
  uint64_t digest = XXH3_64bits_withSeed(op.data, op.size, namespace_seed);

  return XXH3_64bits_withSeed(view.data, view.size, digest);
}

uint64_t fc_key_digest_finish(uint64_t names, const struct fc_hash *prompt, uint32_t top_k) {
  struct {
    uint8_t prompt[FC_HASH_SIZE];
    uint32_t top_k;
  } tail;

  memcpy(tail.prompt, prompt->bytes, sizeof tail.prompt);
  tail.top_k = top_k;
  return XXH3_64bits_withSeed(&tail, sizeof tail, names);
}

uint64_t fc_key_digest(uint64_t namespace_seed, const struct fc_key *key) {
  uint64_t names = fc_key_digest_names(namespace_seed, key->op, key->view);

  return fc_key_digest_finish(names, &key->prompt, key->top_k);
}
