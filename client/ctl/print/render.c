#include "client/ctl/print/render.h"

#include <math.h>
#include <string.h>
#include <wchar.h>

#include "proto/utf8.h"

#define PID_LARGEST (1 << 22) /* the kernel's PID_MAX_LIMIT */

/* ---- numbers ---- */

/* Three digits that matter, none after the point where `exact`. */
static void scaled(char text[RENDER_SIZE], double value, int exact, const char *unit) {
  int digits = exact || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;

  snprintf(text, RENDER_SIZE, "%.*f%s", digits, value, unit);
}

const char *render_bytes(uint64_t bytes, char text[RENDER_SIZE]) {
  static const char *const units[] = {" B", " KiB", " MiB", " GiB", " TiB", " PiB", " EiB"};
  size_t unit = 0;
  uint64_t scale = 1;

  while (unit + 1 < sizeof units / sizeof units[0] && bytes / scale >= 1024) {
    scale *= 1024;
    unit++;
  }
  scaled(text, (double)bytes / (double)scale, bytes % scale == 0, units[unit]);
  return text;
}

const char *render_count(uint64_t count, char text[RENDER_SIZE]) {
  static const char *const units[] = {"M", "G", "T", "P", "E"};
  double value = (double)count / 1e6;
  size_t unit = 0;

  if (count < 10000000) {
    snprintf(text, RENDER_SIZE, "%llu", (unsigned long long)count);
    return text;
  }
  while (unit + 1 < sizeof units / sizeof units[0] && value >= 999.5) {
    value /= 1000;
    unit++;
  }
  scaled(text, value, 0, units[unit]);
  return text;
}

/* Two units, the smaller one cut, not rounded: "59m 59s" never becomes "59m 60s". The
 * hours of 100 days matter to nobody, and would take a column more. */
static void two_units(char text[RENDER_SIZE], double seconds) {
  unsigned long long whole = (unsigned long long)seconds;

  if (whole < 3600)
    snprintf(text, RENDER_SIZE, "%llum %02llus", whole / 60, whole % 60);
  else if (whole < 86400)
    snprintf(text, RENDER_SIZE, "%lluh %02llum", whole / 3600, whole / 60 % 60);
  else if (whole < 8640000)
    snprintf(text, RENDER_SIZE, "%llud %lluh", whole / 86400, whole / 3600 % 24);
  else
    snprintf(text, RENDER_SIZE, "%llud", whole / 86400);
}

const char *render_seconds(double seconds, char text[RENDER_SIZE]) {
  if (!isfinite(seconds) || seconds < 0 || seconds > 1e18)
    snprintf(text, RENDER_SIZE, "-");
  else if (seconds == 0)
    snprintf(text, RENDER_SIZE, "0 s");
  else if (seconds < 0.9995e-6)
    scaled(text, seconds * 1e9, 0, " ns");
  else if (seconds < 0.9995e-3)
    scaled(text, seconds * 1e6, 0, " us");
  else if (seconds < 0.9995)
    scaled(text, seconds * 1e3, 0, " ms");
  else if (seconds < 59.95)
    scaled(text, seconds, 0, " s");
  else
    two_units(text, seconds < 60 ? 60 : seconds);
  return text;
}

const char *render_pid(int64_t pid, char text[RENDER_SIZE]) {
  if (pid > 0 && pid <= PID_LARGEST)
    snprintf(text, RENDER_SIZE, "%d", (int)pid);
  else
    snprintf(text, RENDER_SIZE, "-");
  return text;
}

const char *render_percent(uint64_t part, uint64_t whole, char text[RENDER_SIZE]) {
  if (whole == 0)
    snprintf(text, RENDER_SIZE, "-");
  else
    snprintf(text, RENDER_SIZE, "%.2f%%", 100.0 * (double)part / (double)whole);
  return text;
}

static const char *share(const char *part_text, const char *whole_text, uint64_t part,
                         uint64_t whole, char text[RENDER_SIZE]) {
  char percent[RENDER_SIZE];

  snprintf(text, RENDER_SIZE, "%.24s / %.24s (%.32s)", part_text, whole_text,
           render_percent(part, whole, percent));
  return text;
}

const char *render_share(uint64_t part, uint64_t whole, char text[RENDER_SIZE]) {
  char a[RENDER_SIZE], b[RENDER_SIZE];

  snprintf(a, sizeof a, "%llu", (unsigned long long)part);
  snprintf(b, sizeof b, "%llu", (unsigned long long)whole);
  return share(a, b, part, whole, text);
}

const char *render_share_short(uint64_t part, uint64_t whole, char text[RENDER_SIZE]) {
  char a[RENDER_SIZE], b[RENDER_SIZE];

  return share(render_count(part, a), render_count(whole, b), part, whole, text);
}

const char *render_share_bytes(uint64_t part, uint64_t whole, char text[RENDER_SIZE]) {
  char a[RENDER_SIZE], b[RENDER_SIZE];

  return share(render_bytes(part, a), render_bytes(whole, b), part, whole, text);
}

/* ---- names ---- */

/* One character of UTF-8: its bytes and the columns that it takes. A byte that
 * does not belong there is a character of its own, and not printable. */
struct glyph {
  size_t size, width;
  int printable;
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
  glyph.printable = 1;
  width = wcwidth((wchar_t)code);
  if (width >= 0)
    glyph.width = (size_t)width;
  return glyph;
}

size_t render_width(const char *name) {
  size_t width = 0;

  while (*name) {
    struct glyph glyph = glyph_at(name);

    width += glyph.width;
    name += glyph.size;
  }
  return width;
}

void render_fit(FILE *out, const char *name, size_t columns, int pad) {
  size_t room = columns, used = 0;
  int cut = render_width(name) > columns;

  if (cut)
    room--; /* for the ellipsis */
  while (*name) {
    struct glyph glyph = glyph_at(name);

    if (used + glyph.width > room)
      break;
    if (glyph.printable)
      (void)fwrite(name, 1, glyph.size, out); /* the stream's error is checked at the end */
    else
      (void)fputc('?', out);
    used += glyph.width;
    name += glyph.size;
  }
  if (cut) {
    (void)fputs("\xe2\x80\xa6", out);
    used++;
  }
  for (; pad && used < columns; used++)
    (void)fputc(' ', out);
}

char *render_clean(char *to, size_t size, const char *from) {
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
