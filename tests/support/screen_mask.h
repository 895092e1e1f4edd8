/* screen_mask.h - compares a screen with a kept text, in which numbers that vary are masked.
 *
 * In the kept text, `#` is any one character, and `~` any number of characters within its row.
 * A screen cannot be required to have one of these two. Rows that end early are as if filled up
 * with spaces. Pure functions. */
#ifndef FC_TESTS_SCREEN_MASK_H
#define FC_TESTS_SCREEN_MASK_H

#include <stdbool.h>

/* Returns whether a row (up to a newline or NUL, UTF-8) is like a kept one. */
bool screen_mask_row_matches(const char *kept, const char *row);

/* Returns whether all rows of a screen are like those of the kept text, which has as many. */
bool screen_mask_matches(const char *kept, const char *screen);

/* Returns the text of `screen` with each row of `kept` in place of one that is like it. The caller
 * frees it. NULL: out of memory. `kept` NULL: the screen itself. */
char *screen_mask_update(const char *kept, const char *screen);

#endif
