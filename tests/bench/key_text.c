#include "tests/bench/key_text.h"

#include "fcache.h"

#include <endian.h>
#include <string.h>

/* Writes the 8 digits of 4 bytes at once: a client that is as fast as possible has no table and no
 * store of a single byte. */
static char *hexadecimal_text(char *to, const uint8_t bytes[4]) {
  uint32_t word;
  memcpy(&word, bytes, sizeof(word));
  uint64_t x = le32toh(word);
  /* Each byte into two bytes, with its high digit first. */
  x = (x | x << 16) & UINT64_C(0x0000ffff0000ffff);
  x = (x | x << 8) & UINT64_C(0x00ff00ff00ff00ff);
  x = (x >> 4 & UINT64_C(0x000f000f000f000f)) | (x & UINT64_C(0x000f000f000f000f)) << 8;
  /* Digits from ten on are letters. */
  uint64_t letters = (x + UINT64_C(0x0606060606060606)) >> 4 & UINT64_C(0x0101010101010101);
  x = htole64(x + UINT64_C(0x3030303030303030) + letters * ('a' - '0' - 10));
  memcpy(to, &x, sizeof(x));
  return to + sizeof(x);
}

static char *name_text(char *to, const char *name) {
  to = stpcpy(to, name);
  *to = ':';
  return to + 1;
}

static char *decimal_text(char *to, uint32_t value) {
  char digits[10];
  size_t n = 0;
  do {
    digits[n++] = (char)('0' + value % 10);
    value /= 10;
  } while (value > 0);
  while (n > 0)
    *to++ = digits[--n];
  *to = ':';
  return to + 1;
}

char *key_text(char *to, const char *name_space, const char *op, const char *view, uint32_t top_k,
               const void *prompt, size_t prompt_bytes) {
  struct fcache_hash hash = fcache_hash(prompt, prompt_bytes);
  to = name_text(to, name_space);
  to = name_text(to, op);
  to = name_text(to, view);
  to = decimal_text(to, top_k);
  for (size_t i = 0; i < sizeof(hash.bytes); i += 4)
    to = hexadecimal_text(to, hash.bytes + i);
  return to;
}
