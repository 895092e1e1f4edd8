#include "client/ctl/print/units.h"

#include <math.h>
#include <stdio.h>

#define PID_LARGEST (1 << 22) /* the kernel's PID_MAX_LIMIT */

/* Formats three significant digits, without decimals if `exact`. */
static void scaled(char text[UNITS_SIZE], double value, int exact, const char *unit) {
  int digits = exact || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;

  snprintf(text, UNITS_SIZE, "%.*f%s", digits, value, unit);
}

const char *units_bytes(uint64_t bytes, char text[UNITS_SIZE]) {
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

const char *units_count(uint64_t count, char text[UNITS_SIZE]) {
  static const char *const units[] = {"M", "G", "T", "P", "E"};
  double value = (double)count / 1e6;
  size_t unit = 0;

  if (count < 10000000) {
    snprintf(text, UNITS_SIZE, "%llu", (unsigned long long)count);
    return text;
  }
  while (unit + 1 < sizeof units / sizeof units[0] && value >= 999.5) {
    value /= 1000;
    unit++;
  }
  scaled(text, value, 0, units[unit]);
  return text;
}

/* Formats two units. The smaller one is cut, not rounded: "59m 59s" never becomes "59m 60s". From
 * 100 days on, the hours would exceed 7 columns. */
static void two_units(char text[UNITS_SIZE], double seconds) {
  unsigned long long whole = (unsigned long long)seconds;

  if (whole < 3600)
    snprintf(text, UNITS_SIZE, "%llum %02llus", whole / 60, whole % 60);
  else if (whole < 86400)
    snprintf(text, UNITS_SIZE, "%lluh %02llum", whole / 3600, whole / 60 % 60);
  else if (whole < 8640000)
    snprintf(text, UNITS_SIZE, "%llud %lluh", whole / 86400, whole / 3600 % 24);
  else
    snprintf(text, UNITS_SIZE, "%llud", whole / 86400);
}

const char *units_seconds(double seconds, char text[UNITS_SIZE]) {
  if (!isfinite(seconds) || seconds < 0 || seconds > 1e18)
    snprintf(text, UNITS_SIZE, "-");
  else if (seconds == 0)
    snprintf(text, UNITS_SIZE, "0 s");
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

const char *units_ns(uint64_t ns, char text[UNITS_SIZE]) {
  return units_seconds((double)ns / 1e9, text);
}

const char *units_pid(int64_t pid, char text[UNITS_SIZE]) {
  if (pid > 0 && pid <= PID_LARGEST)
    snprintf(text, UNITS_SIZE, "%d", (int)pid);
  else
    snprintf(text, UNITS_SIZE, "-");
  return text;
}

const char *units_percent(uint64_t part, uint64_t whole, char text[UNITS_SIZE]) {
  if (whole == 0)
    snprintf(text, UNITS_SIZE, "-");
  else
    snprintf(text, UNITS_SIZE, "%.2f%%", 100.0 * (double)part / (double)whole);
  return text;
}

static const char *share(const char *part_text, const char *whole_text, uint64_t part,
                         uint64_t whole, char text[UNITS_SIZE]) {
  char percent[UNITS_SIZE];

  snprintf(text, UNITS_SIZE, "%.24s / %.24s (%.32s)", part_text, whole_text,
           units_percent(part, whole, percent));
  return text;
}

const char *units_share(uint64_t part, uint64_t whole, char text[UNITS_SIZE]) {
  char a[UNITS_SIZE], b[UNITS_SIZE];

  snprintf(a, sizeof a, "%llu", (unsigned long long)part);
  snprintf(b, sizeof b, "%llu", (unsigned long long)whole);
  return share(a, b, part, whole, text);
}

const char *units_share_short(uint64_t part, uint64_t whole, char text[UNITS_SIZE]) {
  char a[UNITS_SIZE], b[UNITS_SIZE];

  return share(units_count(part, a), units_count(whole, b), part, whole, text);
}

const char *units_share_bytes(uint64_t part, uint64_t whole, char text[UNITS_SIZE]) {
  char a[UNITS_SIZE], b[UNITS_SIZE];

  return share(units_bytes(part, a), units_bytes(whole, b), part, whole, text);
}
