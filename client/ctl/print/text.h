/* text.h - text from clients on a terminal: its width, cut to fit, without control characters.
 *
 * A name may hold anything. A character that does not fit a line (fc_utf8_fits_line: control,
 * invisible and direction characters) or a byte that is not UTF-8 is shown as '?', so that a name
 * cannot control the terminal. */
#ifndef FC_CTL_TEXT_H
#define FC_CTL_TEXT_H

#include <stddef.h>
#include <stdio.h>

#define TEXT_COLUMNS 80u /* of a pipe, a file, and the narrowest terminal */

/* Returns the columns of the terminal `out`, at least TEXT_COLUMNS, or TEXT_COLUMNS if it is none.
 */
size_t text_columns_of(FILE *out);

/* Returns the columns of `text`: wide characters count two, combining ones none. A character that
 * the locale does not know counts one. */
size_t text_width(const char *text);

/* Prints `text` in at most `columns` (at least 1). A longer text is cut and ends with an ellipsis.
 */
void text_cut(FILE *out, const char *text, size_t columns);

/* Copies `from`, cut to `size` bytes. Returns `to`. */
char *text_clean(char *to, size_t size, const char *from);

/* Reduces the widest of the widths, one column at a time, until their sum fits `room` or each is at
 * its least. */
void text_share_columns(size_t widths[], const size_t least[], size_t n, size_t room);

#endif
