#include "tests/support/screen_mask.h"

#include <stdio.h>
#include <string.h>

static bool is_end(char byte) {
  return byte == '\0' || byte == '\n';
}

/* Returns the text behind one character of UTF-8. */
static const char *behind(const char *at) {
  do
    at++;
  while (((unsigned char)*at & 0xc0) == 0x80);
  return at;
}

static const char *next_row(const char *at) {
  at += strcspn(at, "\n");
  return *at == '\n' ? at + 1 : at;
}

/* A row that has ended goes on with spaces. */
static bool char_matches(const char *kept, const char *row) {
  if (*kept == '#')
    return true;
  return *kept == (is_end(*row) ? ' ' : *row);
}

bool screen_mask_row_matches(const char *kept, const char *row) {
  const char *star = NULL, *star_row = NULL; /* the latest `~`, and the row behind its text */

  for (;;) {
    if (*kept == '~') {
      star = ++kept;
      star_row = row;
    } else if (is_end(*kept) && (is_end(*row) || *row == ' ')) {
      if (is_end(*row))
        return true;
      row++;
    } else if (!is_end(*kept) && char_matches(kept, row)) {
      row = is_end(*row) ? row : *kept == '#' ? behind(row) : row + 1;
      kept++;
    } else if (star && !is_end(*star_row)) {
      kept = star;
      star_row = behind(star_row);
      row = star_row;
    } else {
      return false;
    }
  }
}

bool screen_mask_matches(const char *kept, const char *screen) {
  while (*kept && *screen) {
    if (!screen_mask_row_matches(kept, screen))
      return false;
    kept = next_row(kept);
    screen = next_row(screen);
  }
  return *kept == *screen;
}

char *screen_mask_update(const char *kept, const char *screen) {
  char *text = NULL;
  size_t size;
  FILE *out = open_memstream(&text, &size);

  if (!out)
    return NULL;
  for (; *screen; screen = next_row(screen)) {
    const char *row = kept && *kept && screen_mask_row_matches(kept, screen) ? kept : screen;

    (void)fprintf(out, "%.*s\n", (int)strcspn(row, "\n"), row); /* fclose checks it */
    kept = kept ? next_row(kept) : NULL;
  }
  return fclose(out) == 0 ? text : NULL;
}
