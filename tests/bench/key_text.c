#include "tests/bench/key_text.h"

#include "fcache.h"

#include <string.h>

/* The two digits of each byte. */
#define DIGITS(a)                                                                                  \
  a "0" a "1" a "2" a "3" a "4" a "5" a "6" a "7" a "8" a "9" a "a" a "b" a "c" a "d" a "e" a "f"
static const char pairs[] = DIGITS("0") DIGITS("1") DIGITS("2") DIGITS("3") DIGITS("4") DIGITS("5")
    DIGITS("6") DIGITS("7") DIGITS("8") DIGITS("9") DIGITS("a") DIGITS("b") DIGITS("c") DIGITS("d")
        DIGITS("e") DIGITS("f");

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
  for (size_t i = 0; i < sizeof(hash.bytes); i++)
    memcpy(to + 2 * i, pairs + (size_t)hash.bytes[i] * 2, 2);
  return to + 2 * sizeof(hash.bytes);
}
