/* command_line.h - the command line of fcached. */
#ifndef FC_DAEMON_COMMAND_LINE_H
#define FC_DAEMON_COMMAND_LINE_H

#include "daemon/config/config.h"

/* Parses a command line. Prints and exits for --help, -h, help, --usage and --version (status 0)
 * and for a wrong option or value (status 2). Values that contradict each other, or a file, are
 * found by config_load. Call on the main thread. */
void command_line_parse(int argc, char **argv, struct command_line *command_line);

#endif
