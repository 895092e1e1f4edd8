#include "crash_kinds.h"

#include <string.h>

const struct crash_kind crash_kinds[] = {
    {.name = "roomy", .rounds = 60, .args = {"--max-bytes=64m", "--max-value=1m"}},
    {.name = "tight", .rounds = 40, .evicts = true, .args = {"--max-bytes=6m", "--max-value=1m"}},
    {.name = "filed",
     .rounds = 40,
     .files = true,
     .args = {"--max-bytes=64m", "--max-value=1m", "--snapshot-interval=1"}},
    {.name = "forgetful",
     .rounds = 20,
     .files = true,
     .forgets = true,
     .args = {"--max-bytes=64m", "--max-value=1m"}},
    {.name = "cleared",
     .rounds = 10,
     .clears = true,
     .args = {"--max-bytes=64m", "--max-value=1m"}},
    {.name = "recorded",
     .rounds = 10,
     .files = true,
     .forgets = true,
     .clears = true,
     .args = {"--max-bytes=64m", "--max-value=1m"}},
    {.name = "dying",
     .rounds = 5,
     .dies_early = true,
     .args = {"--max-bytes=64m", "--max-value=1m"}},
    {.name = "resized",
     .rounds = 40,
     .resizes = true,
     .args = {"--max-bytes=64m", "--max-value=1m"}},
};
const size_t crash_kinds_n = sizeof crash_kinds / sizeof crash_kinds[0];

const struct crash_kind *crash_kind_find(const char *name) {
  for (size_t i = 0; i < crash_kinds_n; i++)
    if (strcmp(crash_kinds[i].name, name) == 0)
      return &crash_kinds[i];
  return NULL;
}
