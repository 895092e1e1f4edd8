#include "daemon/base/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *file, int line, const char *a, const char *op, const char *b,
                  uint64_t a_value, uint64_t b_value) {
  fprintf(stderr, "fcached: %s:%d: check failed: %s %s %s (%s = %" PRIu64 ", %s = %" PRIu64 ")\n",
          file, line, a, op, b, a, a_value, b, b_value);
  abort();
}
