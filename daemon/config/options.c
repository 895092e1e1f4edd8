#include "daemon/config/options.h"

#include "daemon/config/option_table.h"
#include "proto/limits.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Returns the string of the row, or NULL if it has another type. */
static char **string_of(struct options *options, const struct option_row *row) {
  if (row->kind != OPTION_PATH && row->kind != OPTION_TEXT)
    return NULL;
  return (char **)(void *)((char *)options + row->field);
}

bool options_copy(struct options *to, const struct options *from) {
  bool complete = true;
  *to = *from;
  for (size_t i = 0; i < option_count; i++) {
    char **string = string_of(to, &option_table[i]);
    if (string == NULL || *string == NULL)
      continue;
    *string = strdup(*string);
    complete = complete && *string != NULL;
  }
  if (!complete)
    options_deinit(to);
  return complete;
}

void options_deinit(struct options *options) {
  for (size_t i = 0; i < option_count; i++) {
    char **string = string_of(options, &option_table[i]);
    if (string == NULL)
      continue;
    free(*string);
    *string = NULL;
  }
}

const char *options_tier_prefix(const struct options *options) {
  return options->tier_prefix != NULL ? options->tier_prefix : TIER_PREFIX_DEFAULT;
}

const char *options_tier_namespaces(const struct options *options) {
  return options->tier_namespaces != NULL ? options->tier_namespaces : TIER_NAMESPACES_DEFAULT;
}

uint64_t options_min_budget(uint32_t max_value) {
  return 2 * ((uint64_t)max_value + FC_FRAME_SLACK);
}
