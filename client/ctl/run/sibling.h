/* sibling.h - finds the programs that belong to this one. */
#ifndef FC_CTL_SIBLING_H
#define FC_CTL_SIBLING_H

#include <stdbool.h>

#define SIBLING_SIZE 4096

/* Finds an executable of that name beside this program, or in ../libexec/fcached from there.
 * Returns false, and "" in `path`, if there is none. */
bool sibling_find(const char *name, char path[SIBLING_SIZE]);

#endif
