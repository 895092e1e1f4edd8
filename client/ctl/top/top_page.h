/* top_page.h - the lines of a screen of fcachectl top. A function that runs out of memory sets
 * page->failed. */
#ifndef FC_CTL_TOP_PAGE_H
#define FC_CTL_TOP_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum top_line_kind {
  TOP_LINE_PLAIN,
  TOP_LINE_NOTICE,  /* for attention */
  TOP_LINE_HEADING, /* of the table */
  TOP_LINE_KEYS,    /* the last one: the keys, or the filter that is being typed */
};

struct top_line {
  enum top_line_kind kind;
  char *text; /* owned, printable, without a newline */
};

struct top_page {
  struct top_line *at;
  size_t n, capacity;
  bool failed; /* out of memory: lines are missing */
};

void top_page_init(struct top_page *page);
void top_page_deinit(struct top_page *page); /* idempotent */

/* A line in the making. */
struct top_line_out {
  FILE *out; /* top_line_end checks it */
  char *text;
  size_t size;
  size_t left; /* columns */
};

/* Starts a line of at most `columns`. Returns false without memory. Else top_line_end follows. */
bool top_line_begin(struct top_line_out *line, struct top_page *page, size_t columns);

/* Appends a part, behind three spaces if it is not the first, if it fits. The first is cut. */
void top_line_part(struct top_line_out *line, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Adds the line to the page. */
void top_line_end(struct top_line_out *line, struct top_page *page, enum top_line_kind kind);

/* Adds a line of one text, cut to `columns`. */
void top_page_text(struct top_page *page, enum top_line_kind kind, const char *text,
                   size_t columns);

#endif
