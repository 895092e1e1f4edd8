#include "crash_kinds.h"

const struct crash_kind crash_kinds[] = {
    {.name = "roomy", .rounds = 60, .args = {"--max-bytes=64m", "--max-value=1m"}},
    {.name = "tight", .rounds = 40, .evicts = true, .args = {"--max-bytes=6m", "--max-value=1m"}},
    {.name = "filed",
     .rounds = 40,
     .files = true,
     .args = {"--max-bytes=64m", "--max-value=1m", "--snapshot-interval=1"}},
    {.name = "resized",
     .rounds = 40,
     .resizes = true,
     .args = {"--max-bytes=64m", "--max-value=1m"}},
};
const size_t crash_kinds_n = sizeof crash_kinds / sizeof crash_kinds[0];
