/* text.h - text from clients on a terminal: its width, cut to fit, without control characters.
 *
 * A name may hold anything. A character that does not fit a line (fc_utf8_fits_line: control,
 * invisible and direction characters) or a byte that is not UTF-8 is shown as '?', so that a name
 * cannot control the terminal. Only lines on a terminal have a width: a pipe and a file get text in
 * full. */
#ifndef FC_CTL_TEXT_H
#define FC_CTL_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TEXT_UNLIMITED (SIZE_MAX / 2) /* columns: text is never cut */
#define TEXT_COLUMNS_MIN 40u          /* of a terminal: lines of a narrower one wrap */

/* Returns the columns of the terminal `out`, at least TEXT_COLUMNS_MIN, or TEXT_UNLIMITED if it is
 * no terminal. After text_force_columns: those. */
size_t text_columns_of(FILE *out);

/* Sets what text_columns_of returns, for --no-trunc and for tests. 0: it looks at the terminal. */
void text_force_columns(size_t columns);

/* Returns the columns of `text`: wide characters count two, combining ones none. A character that
 * the locale does not know counts one. */
size_t text_width(const char *text);

/* Prints `text` in at most `columns` (at least 1). A longer text is cut in the middle, where an
 * ellipsis is, so that both ends show. Characters that combine stay together. */
void text_cut_middle(FILE *out, const char *text, size_t columns);

/* Prints `text` in lines of at most `columns` (at least 2), each with a newline. The first is
 * behind `indent` (ASCII), the others are behind as many spaces. */
void text_wrap(FILE *out, const char *indent, const char *text, size_t columns);

/* Copies `from`, cut to `size` bytes. Returns `to`. */
char *text_clean(char *to, size_t size, const char *from);

/* Reduces the widest of the widths, one column at a time, until their sum fits `room` or each is at
 * its least. */
void text_share_columns(size_t widths[], const size_t least[], size_t n, size_t room);

#endif
