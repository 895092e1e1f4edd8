/* metrics_text.h - writes Prometheus's text format, version 0.0.4. The stream keeps the errors of
 * its writes for the caller. */
#ifndef FC_CTL_METRICS_TEXT_H
#define FC_CTL_METRICS_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct metrics_label {
  const char *name;
  const char *value; /* any bytes: those that are not UTF-8 become "?" */
};

/* Write the lines that come before the samples of a metric. `help` is one line. */
void metrics_text_counter(FILE *out, const char *name, const char *help);
void metrics_text_gauge(FILE *out, const char *name, const char *help);
void metrics_text_histogram(FILE *out, const char *name, const char *help);

/* Write one sample. */
void metrics_text_integer(FILE *out, const char *name, const struct metrics_label *labels,
                          size_t n_labels, uint64_t value);
void metrics_text_real(FILE *out, const char *name, const struct metrics_label *labels,
                       size_t n_labels, double value);

#endif
