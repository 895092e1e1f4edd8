/* help_options.h - the options --help, --usage and --version of fcached and fcachectl. */
#ifndef FC_PROTO_CLI_HELP_OPTIONS_H
#define FC_PROTO_CLI_HELP_OPTIONS_H

#include <argp.h>

/* -h, -?, --help, --usage, -V and --version, as a child of a parser that runs with ARGP_NO_HELP.
 * The child needs no input. Also --completion SHELL, which no help lists: it prints the completion
 * script of a program without commands, for make install. Each option prints and ends the process
 * with status 0. The version comes from argp_program_version. */
extern const struct argp fc_help_argp;

/* The help_filter of such a parser: leaves out the note about the arguments of short options, which
 * every program with argp prints. */
char *fc_help_filter(int key, const char *text, void *input);

#endif
