#include "daemon/config/options.h"

#include "proto/limits.h"

#include <stdlib.h>

void options_deinit(struct options *options) {
  char **paths[] = {&options->socket, &options->trace, &options->trace_dir, &options->state};
  for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
    free(*paths[i]);
    *paths[i] = NULL;
  }
}

uint64_t options_min_budget(uint32_t max_value) {
  return 2 * ((uint64_t)max_value + FC_FRAME_SLACK);
}
