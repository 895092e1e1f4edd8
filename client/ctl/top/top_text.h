/* top_text.h - the screen of fcachectl top as lines of text, for a terminal of any size and for
 * --batch. Pure functions. */
#ifndef FC_CTL_TOP_TEXT_H
#define FC_CTL_TOP_TEXT_H

#include "client/ctl/top/top_model.h"
#include "client/ctl/top/top_page.h"

struct top_view {
  const struct top_model *model;
  const char *notice; /* shown in place of the line about the table; NULL: none */
  double pause_s;     /* between two refreshes */
  size_t first;       /* the row on top */
  bool paused, help;
  bool typing; /* the filter */
  bool keys;   /* the last line has the keys */
};

/* Appends the lines of a screen: at most `rows`, of at most `columns` columns. Both may be SIZE_MAX
 * or so: then all rows, in full. */
void top_page_make(struct top_page *page, const struct top_view *view, size_t columns, size_t rows);

/* Returns how many rows of the table a screen of so many rows has. */
size_t top_page_table_rows(size_t rows);

#endif
