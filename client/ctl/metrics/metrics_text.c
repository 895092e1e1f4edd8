#include "client/ctl/metrics/metrics_text.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "proto/utf8.h"

#define DIGITS 15 /* of a real number: 0.1 prints as 0.1 */

static void head(FILE *out, const char *name, const char *type, const char *help) {
  (void)fprintf(out, "# HELP %s ", name); /* the caller checks the stream */
  for (; *help; help++)
    (void)fputs(*help == '\\' ? "\\\\" : (const char[]){*help, '\0'}, out);
  (void)fprintf(out, "\n# TYPE %s %s\n", name, type);
}

void metrics_text_counter(FILE *out, const char *name, const char *help) {
  head(out, name, "counter", help);
}

void metrics_text_gauge(FILE *out, const char *name, const char *help) {
  head(out, name, "gauge", help);
}

void metrics_text_histogram(FILE *out, const char *name, const char *help) {
  head(out, name, "histogram", help);
}

/* Writes one character of a label's value. Returns its length. */
static size_t print_char(FILE *out, const char *at, size_t left) {
  uint32_t code = 0;
  size_t size = fc_utf8_char((const uint8_t *)at, left, &code);

  if (size == 0)
    (void)fputc('?', out);
  else if (code == '\\' || code == '"')
    (void)fprintf(out, "\\%c", (char)code);
  else if (code == '\n')
    (void)fputs("\\n", out);
  else
    (void)fwrite(at, 1, size, out);
  return size > 0 ? size : 1;
}

/* Writes the name with the labels. */
static void series(FILE *out, const char *name, const struct metrics_label *labels,
                   size_t n_labels) {
  (void)fputs(name, out);
  for (size_t i = 0; i < n_labels; i++) {
    size_t size = strlen(labels[i].value);

    (void)fprintf(out, "%s%s=\"", i == 0 ? "{" : ",", labels[i].name);
    for (size_t at = 0; at < size;)
      at += print_char(out, labels[i].value + at, size - at);
    (void)fputc('"', out);
  }
  if (n_labels > 0)
    (void)fputc('}', out);
}

void metrics_text_integer(FILE *out, const char *name, const struct metrics_label *labels,
                          size_t n_labels, uint64_t value) {
  series(out, name, labels, n_labels);
  (void)fprintf(out, " %" PRIu64 "\n", value);
}

void metrics_text_real(FILE *out, const char *name, const struct metrics_label *labels,
                       size_t n_labels, double value) {
  series(out, name, labels, n_labels);
  if (isnan(value))
    (void)fputs(" NaN\n", out);
  else if (isinf(value))
    (void)fputs(value > 0 ? " +Inf\n" : " -Inf\n", out);
  else
    (void)fprintf(out, " %.*g\n", DIGITS, value);
}
