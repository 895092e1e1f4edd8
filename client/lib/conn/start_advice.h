/* start_advice.h - advice if no daemon was found: how to start one at the paths that were tried. */
#ifndef FC_CLIENT_START_ADVICE_H
#define FC_CLIENT_START_ADVICE_H

#include <stddef.h>

#include "client/lib/util/socket_paths.h"

#define START_ADVICE_SIZE 320u

/* Fills `text` with a clause without a point at its end, such as `start one with "fcached &"`.
 * Looks at the file system and the environment. Returns `text`. */
const char *start_advice(const struct socket_paths *paths, char text[START_ADVICE_SIZE]);

/* Fills `text` with a clause on how to get access to the socket at `path`, such as "join its group
 * fcached". Returns `text`. */
const char *start_advice_denied(const char *path, char text[START_ADVICE_SIZE]);

#endif
