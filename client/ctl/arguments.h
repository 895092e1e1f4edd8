/* arguments.h - checks of a command's arguments. A wrong one ends the process with CTL_USAGE. */
#ifndef FC_CTL_ARGUMENTS_H
#define FC_CTL_ARGUMENTS_H

#include <argp.h>

/* Prints one line on stderr, which ends with a hint at --help, and exits. Repeats of an argument go
 * through here, not through argp_error: control characters are replaced. */
void argument_error(const struct argp_state *state, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

/* Returns `arg` if it is a valid name of a namespace, view or op. */
const char *argument_name(struct argp_state *state, const char *option, const char *arg);

/* Sets *to to the command's only argument. `takes` says which one, for the error about a second. */
void argument_only(struct argp_state *state, const char **to, const char *arg, const char *takes);

/* Returns `arg` if it is a valid name of a namespace, as an argument without an option. */
const char *argument_namespace(struct argp_state *state, const char *arg);

/* Returns `arg` as a whole number in [min, max]. */
unsigned long argument_number(struct argp_state *state, const char *option, const char *arg,
                              unsigned long min, unsigned long max);

#endif
