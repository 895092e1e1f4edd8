/* slowest_report.h - prints the slowest requests and the most expensive entries: tables for people,
 * or one JSON object. */
#ifndef FC_CTL_SLOWEST_REPORT_H
#define FC_CTL_SLOWEST_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "client/ctl/print/table.h"
#include "proto/wire/message.h"

enum slowest_kind { SLOWEST_REQUESTS, SLOWEST_ENTRIES, SLOWEST_KINDS };

/* Zeroed but for its options. Between begin and end it has the items of one kind. */
struct slowest_report {
  FILE *out;
  bool json;
  bool headings; /* a line above each table */
  enum slowest_kind kind;
  uint64_t n; /* items of this kind so far */
  struct table table;
  json_t *arrays[SLOWEST_KINDS]; /* owned; NULL: not asked for */
  double period_s;
  bool failed; /* out of memory: items are missing */
};

void slowest_report_deinit(struct slowest_report *report); /* idempotent */

void slowest_report_begin(struct slowest_report *report, enum slowest_kind kind);
void slowest_report_add_request(struct slowest_report *report, const struct fc_slow_entry *request);
void slowest_report_add_entry(struct slowest_report *report, const struct fc_list_entry *entry);
/* Prints the table. `found` false after an error, which prints no text for no items. `period_ns`:
 * requests are kept for so long. */
void slowest_report_end(struct slowest_report *report, bool found, uint64_t period_ns);

/* Returns the object with all items, or NULL if out of memory. Call it once, after the last end. */
json_t *slowest_report_json(struct slowest_report *report);

#endif
