#include "proto/name_patterns.h"

#include <assert.h>
#include <fnmatch.h>
#include <string.h>

#define NAME_SIZE_MAX 256u /* with its NUL */

struct pattern {
  bool excludes;
  char text[NAME_PATTERN_SIZE_MAX];
};

/* Takes the first pattern of a valid list. Returns the rest, or NULL behind the last. */
static const char *next_pattern(const char *list, struct pattern *pattern) {
  size_t size = strcspn(list, ",");
  const char *end = list + size;
  pattern->excludes = list[0] == '!';
  size -= pattern->excludes;
  assert(size < sizeof pattern->text);
  memcpy(pattern->text, list + pattern->excludes, size);
  pattern->text[size] = '\0';
  return *end == ',' ? end + 1 : NULL;
}

const char *name_patterns_fault(const char *patterns) {
  for (const char *at = patterns; at != NULL;) {
    size_t size = strcspn(at, ","), skipped = at[0] == '!';
    if (size == skipped)
      return "a pattern is empty: give patterns separated by single commas, or \"*\" for all, or "
             "\"none\"";
    if (size - skipped >= NAME_PATTERN_SIZE_MAX)
      return "a pattern is longer than a name can be: give at most 255 bytes";
    if (strcspn(at, " \t") < size)
      return "there is a space in it: separate the patterns by commas alone";
    at = at[size] == ',' ? at + size + 1 : NULL;
  }
  return NULL;
}

bool name_patterns_select(const char *patterns, const char *name, size_t size) {
  char text[NAME_SIZE_MAX];
  bool matched = false, any_includes = false;
  if (strcmp(patterns, NAME_PATTERNS_NONE) == 0 || size >= sizeof text)
    return false;
  memcpy(text, name, size);
  text[size] = '\0';
  for (const char *at = patterns; at != NULL;) {
    struct pattern pattern;
    at = next_pattern(at, &pattern);
    bool matches = fnmatch(pattern.text, text, 0) == 0;
    if (pattern.excludes && matches)
      return false;
    any_includes |= !pattern.excludes;
    matched |= matches;
  }
  return matched || !any_includes;
}
