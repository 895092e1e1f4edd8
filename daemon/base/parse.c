#include "daemon/base/parse.h"

#include "proto/errors.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <strings.h>

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

const char *parse_number(const char *text, uint64_t *n) {
  uint64_t sum = 0;
  const char *at = text;
  for (; at != NULL && is_digit(*at); at++) {
    if (__builtin_mul_overflow(sum, 10u, &sum) ||
        __builtin_add_overflow(sum, (uint64_t)(*at - '0'), &sum))
      return NULL;
  }
  if (at == text)
    return NULL;
  *n = sum;
  return at;
}

bool parse_number_field(const char *text, uint64_t *n) {
  uint64_t number;
  const char *end = parse_number(text, &number);
  if (end == NULL || (*end != ' ' && *end != '\n' && *end != '\0'))
    return false;
  *n = number;
  return true;
}

bool parse_whole_number(const char *text, uint64_t *n) {
  uint64_t number;
  const char *end = parse_number(text, &number);
  if (end == NULL || *end != '\0')
    return false;
  *n = number;
  return true;
}

/* Returns the shift of "", "B", or one of K M G T with "", "B" or "iB" after it; else -1. */
static int unit_shift(const char *unit) {
  static const char letters[] = "kmgt";
  if (*unit == '\0' || strcasecmp(unit, "b") == 0)
    return 0;
  for (int i = 0; letters[i] != '\0'; i++) {
    if ((*unit | 0x20) != letters[i])
      continue;
    const char *rest = unit + 1;
    if (*rest == '\0' || strcasecmp(rest, "b") == 0 || strcasecmp(rest, "ib") == 0)
      return 10 * (i + 1);
  }
  return -1;
}

/* Parses ".DIGITS" as *fraction / *scale. Digits after the sixth are ignored. Returns the end, or
 * NULL where no digit follows the point. */
static const char *parse_fraction(const char *at, uint64_t *fraction, uint64_t *scale) {
  *fraction = 0;
  *scale = 1;
  if (*at != '.')
    return at;
  if (!is_digit(*++at))
    return NULL;
  for (; is_digit(*at); at++) {
    if (*scale < 1000000u) {
      *fraction = *fraction * 10 + (uint64_t)(*at - '0');
      *scale *= 10;
    }
  }
  return at;
}

int parse_size(const char *text, uint64_t *bytes) {
  uint64_t whole, fraction, scale;
  const char *at = parse_number(text, &whole);
  at = at == NULL ? NULL : parse_fraction(at, &fraction, &scale);
  int shift = at == NULL ? -1 : unit_shift(at);
  if (shift < 0 || whole > UINT64_MAX >> shift)
    return FC_EINVAL;
  *bytes = (whole << shift) + (fraction << shift) / scale; /* the fraction is below 1 << shift */
  return 0;
}

const char *format_size(uint64_t bytes, char text[FORMAT_SIZE_MAX]) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  unsigned unit = 0;
  while (unit < 6 && bytes >> (10 * (unit + 1)) != 0)
    unit++;
  uint64_t whole = bytes >> (10 * unit);
  uint64_t rest = bytes - (whole << (10 * unit));
  if (rest == 0) {
    (void)snprintf(text, FORMAT_SIZE_MAX, "%" PRIu64 " %s", whole, units[unit]); /* fits */
  } else {
    /* Below 10 already: the remainder proves to the compiler that the text fits. */
    unsigned tenths = (unsigned)(((rest >> (10 * (unit - 1))) * 10) >> 10) % 10u;
    (void)snprintf(text, FORMAT_SIZE_MAX, "%" PRIu64 ".%u %s", whole, tenths, units[unit]);
  }
  return text;
}
