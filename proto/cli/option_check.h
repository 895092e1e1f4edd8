/* option_check.h - errors of fcached and fcachectl about options, with the name that was meant.
 * argp's own have no suggestion. libfcache does not contain this file. */
#ifndef FC_PROTO_CLI_OPTION_CHECK_H
#define FC_PROTO_CLI_OPTION_CHECK_H

#include <argp.h>
#include <stdbool.h>

/* Checks the options in argv before argp_parse does: each exists, has an argument if it needs one,
 * and has none if it takes none. The first that is wrong ends the process with
 * argp_err_exit_status, after a line on stderr. argv[0] is the program's name for that line.
 * `in_order`: options end at the first word that is none, as ARGP_IN_ORDER says. Does not change
 * argv. */
void fc_option_check(const struct argp *argp, int argc, char **argv, bool in_order);

#endif
