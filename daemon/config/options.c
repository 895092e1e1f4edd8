#include "daemon/config/options.h"

#include "proto/limits.h"

#include <stdlib.h>
#include <string.h>

enum { PATHS = 4 };

static void paths_of(struct options *options, char **paths[PATHS]) {
  paths[0] = &options->socket;
  paths[1] = &options->trace;
  paths[2] = &options->trace_dir;
  paths[3] = &options->state;
}

bool options_copy(struct options *to, const struct options *from) {
  char **paths[PATHS];
  bool complete = true;
  *to = *from;
  paths_of(to, paths);
  for (size_t i = 0; i < PATHS; i++) {
    char *path = *paths[i];
    *paths[i] = path == NULL ? NULL : strdup(path);
    complete = complete && (path == NULL || *paths[i] != NULL);
  }
  if (!complete)
    options_deinit(to);
  return complete;
}

void options_deinit(struct options *options) {
  char **paths[PATHS];
  paths_of(options, paths);
  for (size_t i = 0; i < PATHS; i++) {
    free(*paths[i]);
    *paths[i] = NULL;
  }
}

uint64_t options_min_budget(uint32_t max_value) {
  return 2 * ((uint64_t)max_value + FC_FRAME_SLACK);
}
