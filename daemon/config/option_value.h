/* option_value.h - the value of one option: from text, to text, compared, and moved. */
#ifndef FC_DAEMON_OPTION_VALUE_H
#define FC_DAEMON_OPTION_VALUE_H

#include "daemon/base/error_text.h"
#include "daemon/config/option_table.h"
#include "daemon/config/options.h"

#define OPTION_NONE "none"

/* Sets the option of the row: see options_set. */
int option_set(struct options *options, const struct option_row *row, const char *value,
               struct error_text *error);

/* Stores a number, which is in the option's range. */
void option_set_number(struct options *options, const struct option_row *row, uint64_t number);

/* Formats the value as a file would have it: "256M", "0.25", "yes", "none", a path. A size that is
 * no multiple of a unit is in bytes. A longer path is cut. Returns `text`. */
#define OPTION_TEXT_SIZE 256u
const char *option_format(const struct options *options, const struct option_row *row,
                          char text[OPTION_TEXT_SIZE]);

/* Returns true if both have the same value of that option. */
bool option_equal(const struct options *a, const struct options *b, const struct option_row *row);

/* Exchanges the values of that option. */
void option_swap(struct options *a, struct options *b, const struct option_row *row);

#endif
