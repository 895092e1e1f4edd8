#include "client/ctl/print/text.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "proto/utf8.h"

/* One character of UTF-8: its bytes and its columns. A byte that is not UTF-8 is a character that
 * is not printable. */
struct glyph {
  size_t size, width;
  bool printable;
};

static struct glyph glyph_at(const char *at) {
  struct glyph glyph = {.size = 1, .width = 1};
  uint32_t code = 0;
  size_t size = fc_utf8_char((const uint8_t *)at, strnlen(at, 4), &code);
  int width;

  if (size == 0)
    return glyph;
  glyph.size = size;
  if (!fc_utf8_fits_line(code))
    return glyph;
  glyph.printable = true;
  width = wcwidth((wchar_t)code);
  if (width >= 0)
    glyph.width = (size_t)width;
  return glyph;
}

static size_t forced_columns;

void text_force_columns(size_t columns) {
  forced_columns = columns;
}

size_t text_columns_of(FILE *out) {
  struct winsize size;
  int fd = fileno(out);

  if (forced_columns > 0)
    return forced_columns;
  if (fd < 0 || !isatty(fd))
    return TEXT_UNLIMITED;
  if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
    return 80; /* a terminal that does not know its size */
  return size.ws_col > TEXT_COLUMNS_MIN ? size.ws_col : TEXT_COLUMNS_MIN;
}

size_t text_width(const char *text) {
  size_t width = 0;

  while (*text) {
    struct glyph glyph = glyph_at(text);

    width += glyph.width;
    text += glyph.size;
  }
  return width;
}

static void print_glyph(FILE *out, const char *at, const struct glyph *glyph) {
  if (glyph->printable)
    (void)fwrite(at, 1, glyph->size, out); /* main checks the stream at the end */
  else
    (void)fputc('?', out);
}

/* Prints the characters that fit `columns`, with the combining ones behind the last. Returns the
 * first that does not fit, or the end. *used gets their columns. */
static const char *print_head(FILE *out, const char *text, size_t columns, size_t *used) {
  *used = 0;
  while (*text) {
    struct glyph glyph = glyph_at(text);

    if (*used + glyph.width > columns)
      break;
    print_glyph(out, text, &glyph);
    *used += glyph.width;
    text += glyph.size;
  }
  return text;
}

/* Returns the first character from which on the text fits `columns`. No combining one. */
static const char *find_tail(const char *text, size_t columns) {
  size_t width = text_width(text);

  while (*text && (width > columns || glyph_at(text).width == 0)) {
    struct glyph glyph = glyph_at(text);

    width -= glyph.width;
    text += glyph.size;
  }
  return text;
}

void text_cut_middle(FILE *out, const char *text, size_t columns) {
  bool cut = text_width(text) > columns;
  size_t used;

  assert(columns >= 1 || *text == '\0');
  text = print_head(out, text, cut ? columns / 2 : columns, &used);
  if (!cut)
    return;
  (void)fputs("\xe2\x80\xa6", out); /* one column for the ellipsis */
  (void)print_head(out, find_tail(text, columns - 1 - used), columns, &used);
}

void text_wrap(FILE *out, const char *indent, const char *text, size_t columns) {
  int margin = (int)strlen(indent);
  size_t used;

  assert(columns >= 2); /* the widest character */
  for (bool first = true; first || *text; first = false) {
    (void)fprintf(out, "%*s", margin, first ? indent : "");
    text = print_head(out, text, columns, &used);
    (void)fputc('\n', out);
  }
}

char *text_clean(char *to, size_t size, const char *from) {
  size_t used = 0;

  while (*from) {
    struct glyph glyph = glyph_at(from);

    if (used + glyph.size >= size)
      break;
    if (glyph.printable)
      memcpy(to + used, from, glyph.size);
    else
      to[used] = '?';
    used += glyph.printable ? glyph.size : 1;
    from += glyph.size;
  }
  to[used] = '\0';
  return to;
}

void text_share_columns(size_t widths[], const size_t least[], size_t n, size_t room) {
  for (;;) {
    size_t sum = 0, widest = n;

    for (size_t i = 0; i < n; i++) {
      sum += widths[i];
      if (widths[i] > least[i] && (widest == n || widths[i] > widths[widest]))
        widest = i;
    }
    if (sum <= room || widest == n)
      return;
    widths[widest]--;
  }
}
