#include "client/ctl/top/top_page.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/print/text.h"

void top_page_init(struct top_page *page) {
  *page = (struct top_page){0};
}

void top_page_deinit(struct top_page *page) {
  for (size_t i = 0; i < page->n; i++)
    free(page->at[i].text);
  free(page->at);
  *page = (struct top_page){0};
}

/* Appends a line, and takes its text over. */
static void add_line(struct top_page *page, enum top_line_kind kind, char *text) {
  size_t capacity = page->capacity ? 2 * page->capacity : 32;
  struct top_line *at = page->at;

  if (page->n == page->capacity)
    at = reallocarray(page->at, capacity, sizeof *at);
  if (at && page->n == page->capacity) {
    page->at = at;
    page->capacity = capacity;
  }
  if (!at || !text) {
    page->failed = true;
    free(text);
    return;
  }
  page->at[page->n++] = (struct top_line){kind, text};
}

bool top_line_begin(struct top_line_out *line, struct top_page *page, size_t columns) {
  *line = (struct top_line_out){.left = columns};
  line->out = open_memstream(&line->text, &line->size);
  page->failed |= line->out == NULL;
  return line->out != NULL;
}

void top_line_end(struct top_line_out *line, struct top_page *page, enum top_line_kind kind) {
  bool failed = fclose(line->out) != 0;

  if (failed) {
    free(line->text);
    line->text = NULL;
  }
  add_line(page, kind, line->text);
}

void top_line_part(struct top_line_out *line, const char *format, ...) {
  char text[512];
  const char *gap = ftell(line->out) > 0 ? "   " : "";
  va_list args;
  size_t width;

  va_start(args, format);
  (void)vsnprintf(text, sizeof text, format, args); /* may be cut */
  va_end(args);
  width = text_width(text) + strlen(gap);
  if (width > line->left && *gap)
    return;
  (void)fputs(gap, line->out); /* top_line_end checks the stream */
  text_cut_middle(line->out, text, line->left > 0 ? line->left : 1);
  line->left -= width < line->left ? width : line->left;
}

void top_page_text(struct top_page *page, enum top_line_kind kind, const char *text,
                   size_t columns) {
  struct top_line_out line;

  if (!top_line_begin(&line, page, columns))
    return;
  top_line_part(&line, "%s", text);
  top_line_end(&line, page, kind);
}
