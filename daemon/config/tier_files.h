/* tier_files.h - checks the files that options of the tier name: the password, and those of TLS.
 * Reads no contents: the connection to the tier reads them, the password each time anew. */
#ifndef FC_DAEMON_TIER_FILES_H
#define FC_DAEMON_TIER_FILES_H

#include "daemon/config/options.h"

#include <stdbool.h>

/* Called for each mistake with the option's name, the path, and what is wrong with it and what to
 * do. */
typedef void tier_file_wrong_fn(void *arg, const char *option, const char *path, const char *wrong);

/* Reports each file that is missing, not regular, empty, or that this process cannot read. Nothing
 * is wrong without a tier. */
void tier_files_check(const struct options *options, tier_file_wrong_fn *wrong, void *arg);

/* Returns true if users other than the owner and the group can read the password. */
bool tier_files_password_is_public(const struct options *options);

#endif
