/* table.h - a table for people, printed by libsmartcols.
 *
 * A table fits its terminal (text_columns_of). If its rows are too long, it makes columns smaller,
 * in this order: hashes, names in the middle, keys. In a pipe, a file and with --no-trunc nothing
 * is cut. A failed allocation sets `failed`; later calls then have no effect. */
#ifndef FC_CTL_TABLE_H
#define FC_CTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "proto/key.h"

#define TABLE_COLUMNS_MAX 12
#define TABLE_HASH_DIGITS 8

struct table_column {
  const char *header;
  enum {
    TABLE_TEXT,   /* to the left */
    TABLE_NAME,   /* to the left, cut in the middle if the line is too long */
    TABLE_COMMON, /* a name: if all rows have the same one, it moves above a table that is too wide
                   */
    TABLE_KEY,    /* cut last, and then printed in full below its row */
    TABLE_HASH,   /* hexadecimal digits: all, or the first TABLE_HASH_DIGITS */
    TABLE_NUMBER, /* to the right */
    TABLE_HIDDEN, /* takes a cell, is not printed */
  } kind;
};

struct table {
  struct libscols_table *scols;
  struct libscols_line **lines; /* the rows, in an array of a power of two */
  struct table_column columns[TABLE_COLUMNS_MAX];
  size_t n_columns, n_rows, next; /* next: the column of the next cell */
  size_t common;                  /* the column that is above the table, if hides_common */
  bool hides_common;              /* while it is printed */
  bool failed;
};

/* Starts a table without rows. Copies the columns, borrows their headers. `headings` false: no line
 * of headers. */
void table_init(struct table *table, const struct table_column *columns, size_t n, bool headings);
void table_deinit(struct table *table); /* idempotent */

/* Starts a row. Its cells follow in the columns' order. */
void table_row(struct table *table);

/* Sets the next cell of the row. The text is copied and made safe by text_clean. */
void table_cell(struct table *table, const char *text);
void table_name(struct table *table, struct fc_str name);

/* Prints `lines` (each ends with a newline) below the row. Takes the string over. NULL: out of
 * memory. */
void table_note(struct table *table, char *lines);

/* Removes the rows after the first `n`. */
void table_keep(struct table *table, size_t n);

/* Prints the table and removes its rows. An empty table prints nothing. */
void table_print(struct table *table, FILE *out);

#endif
