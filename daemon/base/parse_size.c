#include "daemon/base/parse_size.h"

#include "proto/errors.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <strings.h>

static bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

/* "", "B", or one of K M G T and then "", "B" or "iB": the shift, or -1. */
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

int size_parse(const char *text, uint64_t *bytes) {
  uint64_t whole = 0;
  const char *at = text;
  if (!is_digit(*at))
    return FC_EINVAL;
  for (; is_digit(*at); at++) {
    if (__builtin_mul_overflow(whole, 10u, &whole) ||
        __builtin_add_overflow(whole, (uint64_t)(*at - '0'), &whole))
      return FC_EINVAL;
  }
  /* More than 6 digits of a fraction say nothing that anybody means. */
  uint64_t fraction = 0, scale = 1;
  if (*at == '.') {
    if (!is_digit(*++at))
      return FC_EINVAL;
    for (; is_digit(*at); at++) {
      if (scale < 1000000u) {
        fraction = fraction * 10 + (uint64_t)(*at - '0');
        scale *= 10;
      }
    }
  }
  int shift = unit_shift(at);
  if (shift < 0 || whole > UINT64_MAX >> shift)
    return FC_EINVAL;
  *bytes = (whole << shift) + (fraction << shift) / scale; /* the fraction is below 1 << shift */
  return 0;
}

const char *size_format(uint64_t bytes, char text[SIZE_TEXT_SIZE]) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  unsigned unit = 0;
  while (unit < 6 && bytes >> (10 * (unit + 1)) != 0)
    unit++;
  uint64_t whole = bytes >> (10 * unit);
  uint64_t rest = bytes - (whole << (10 * unit));
  if (rest == 0) {
    (void)snprintf(text, SIZE_TEXT_SIZE, "%" PRIu64 " %s", whole, units[unit]); /* fits */
  } else {
    /* below 10 by itself: the remainder tells the compiler that the text fits */
    unsigned tenths = (unsigned)(((rest >> (10 * (unit - 1))) * 10) >> 10) % 10u;
    (void)snprintf(text, SIZE_TEXT_SIZE, "%" PRIu64 ".%u %s", whole, tenths, units[unit]);
  }
  return text;
}
