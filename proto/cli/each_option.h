/* each_option.h - the options of an argp parser and its children. */
#ifndef FC_PROTO_CLI_EACH_OPTION_H
#define FC_PROTO_CLI_EACH_OPTION_H

#include <argp.h>
#include <stdbool.h>

/* Calls `each` for the options of the parser, and then for those of its children. Borrows them. */
typedef void fc_each_option_fn(void *arg, const struct argp_option *option);
void fc_each_option(const struct argp *argp, fc_each_option_fn *each, void *arg);

/* Returns whether the option's key is a letter on the command line. */
bool fc_option_has_letter(const struct argp_option *option);

#endif
