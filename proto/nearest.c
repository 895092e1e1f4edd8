#include "proto/nearest.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define BYTES_MAX 255u
#define PREFIX_MIN 2u

/* Three rows of the table of distances. */
struct rows {
  uint16_t row[3][BYTES_MAX + 1];
};

static uint16_t min(uint16_t a, uint16_t b) {
  return a < b ? a : b;
}

/* Returns the restricted Damerau-Levenshtein distance: no byte is edited twice. */
static size_t distance(struct rows *rows, const char *a, size_t a_size, const char *b,
                       size_t b_size) {
  for (size_t j = 0; j <= b_size; j++)
    rows->row[0][j] = (uint16_t)j;
  for (size_t i = 1; i <= a_size; i++) {
    uint16_t *now = rows->row[i % 3];
    const uint16_t *above = rows->row[(i - 1) % 3], *above2 = rows->row[(i + 1) % 3];

    now[0] = (uint16_t)i;
    for (size_t j = 1; j <= b_size; j++) {
      uint16_t change = (uint16_t)(above[j - 1] + (a[i - 1] != b[j - 1]));
      uint16_t gap = (uint16_t)(min(above[j], now[j - 1]) + 1);

      now[j] = min(change, gap);
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        now[j] = min(now[j], (uint16_t)(above2[j - 2] + 1)); /* swapped */
    }
  }
  return rows->row[a_size % 3][b_size];
}

/* Returns the only name that begins with the word, or NULL. */
static const char *completion(const char *word, size_t size, const char *const names[], size_t n) {
  const char *found = NULL;

  for (size_t i = 0; i < n && size >= PREFIX_MIN; i++) {
    if (!names[i] || strncmp(names[i], word, size) != 0)
      continue;
    if (found)
      return NULL;
    found = names[i];
  }
  return found;
}

const char *fc_nearest(const char *word, const char *const names[], size_t n) {
  size_t size = strnlen(word, BYTES_MAX + 1), least = SIZE_MAX;
  const char *nearest = NULL;
  struct rows rows;

  if (size > BYTES_MAX)
    return NULL;
  for (size_t i = 0; i < n; i++) {
    size_t name_size = names[i] ? strnlen(names[i], BYTES_MAX + 1) : BYTES_MAX + 1, edits;

    if (name_size > BYTES_MAX)
      continue;
    edits = distance(&rows, word, size, names[i], name_size);
    if (edits < least && 3 * edits <= (size > name_size ? size : name_size)) {
      least = edits;
      nearest = names[i];
    }
  }
  return nearest ? nearest : completion(word, size, names, n);
}
