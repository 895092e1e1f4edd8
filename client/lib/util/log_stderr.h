/* log_stderr.h - one line to the people who run the program: to its log callback, or on
 * stderr without ever holding the program up (a full pipe) or ending it (SIGPIPE). */
#ifndef FC_CLIENT_SAY_H
#define FC_CLIENT_SAY_H

#include "fcache.h"

/* `line` is without a newline. `log` NULL: stderr; where that takes nothing, the line is lost. */
void say(fcache_log_fn *log, void *log_arg, const char *line);

#endif
