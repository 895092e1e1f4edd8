/* command_list.h - all commands of fcachectl, by purpose. */
#ifndef FC_CTL_COMMAND_LIST_H
#define FC_CTL_COMMAND_LIST_H

#include <stdio.h>

#include "client/ctl/command.h"

/* All commands, in the order of --help. Ends with NULL. */
extern const struct command *const command_list[];

/* Returns the command of that name, or NULL. Also finds the one that the scripts for completion
 * call, which is in no list. */
const struct command *command_list_find(const char *name);

/* Returns the name of a command, or "help", that is near to `name` (fc_nearest), or NULL. */
const char *command_list_nearest(const char *name);

/* Prints the names and summaries, under a title for each purpose. */
void command_list_print(FILE *out);

#endif
