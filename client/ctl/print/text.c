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

size_t text_columns_of(FILE *out) {
  struct winsize size;
  int fd = fileno(out);

  if (fd >= 0 && isatty(fd) && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > TEXT_COLUMNS)
    return size.ws_col;
  return TEXT_COLUMNS;
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

void text_cut(FILE *out, const char *text, size_t columns) {
  bool cut = text_width(text) > columns;
  size_t room = cut ? columns - 1 : columns, used = 0; /* one column for the ellipsis */

  assert(columns >= 1 || *text == '\0');
  while (*text) {
    struct glyph glyph = glyph_at(text);

    if (used + glyph.width > room)
      break;
    if (glyph.printable)
      (void)fwrite(text, 1, glyph.size, out); /* main checks the stream at the end */
    else
      (void)fputc('?', out);
    used += glyph.width;
    text += glyph.size;
  }
  if (cut)
    (void)fputs("\xe2\x80\xa6", out);
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
