/* usage_error.h - the error about a wrong command line. */
#ifndef FC_PROTO_CLI_USAGE_ERROR_H
#define FC_PROTO_CLI_USAGE_ERROR_H

/* Prints "PROGRAM: TEXT. See PROGRAM --help" on stderr, one line in which '?' replaces what could
 * control a terminal, and ends the process with argp_err_exit_status. `program` may be a path. The
 * text has no point at its end. */
void fc_usage_error(const char *program, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));

#endif
