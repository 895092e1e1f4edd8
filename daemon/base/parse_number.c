#include "daemon/base/parse_number.h"

#include <stddef.h>

const char *number_parse(const char *text, uint64_t *n) {
  uint64_t sum = 0;
  const char *at = text;
  for (; at != NULL && *at >= '0' && *at <= '9'; at++) {
    if (__builtin_mul_overflow(sum, 10u, &sum) ||
        __builtin_add_overflow(sum, (uint64_t)(*at - '0'), &sum))
      return NULL;
  }
  *n = sum;
  return at == text ? NULL : at;
}
