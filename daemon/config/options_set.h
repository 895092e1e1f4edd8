/* options_set.h - all options together: their defaults, one by its name, and what contradicts. */
#ifndef FC_DAEMON_OPTIONS_SET_H
#define FC_DAEMON_OPTIONS_SET_H

#include "daemon/base/error_text.h"
#include "daemon/config/options.h"

/* Sets the defaults. */
void options_init(struct options *options);

/* Sets one option by its name ("max-bytes"), with a copy of `value` (NULL for a flag: yes). Returns
 * 0, FC_ENOMEM, or FC_EINVAL with a text that begins with the name, and gives the value and the
 * allowed ones. After an error the option is unchanged. */
int options_set(struct options *options, const char *name, const char *value,
                struct error_text *error);

/* Adapts the defaults to the given sizes: a small max_bytes lowers max_value, a large max_value
 * raises client_budget. Call after the last options_set. Returns 0, or FC_EINVAL if given sizes
 * contradict each other: the text begins with the name of the option that contradicts another. */
int options_resolve(struct options *options, struct error_text *error);

#endif
