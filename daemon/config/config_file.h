/* config_file.h - which configuration files there are, and their bytes. A file is hostile until
 * it is checked: it is read only if it is a regular file, and up to a bound. */
#ifndef FC_DAEMON_CONFIG_FILE_H
#define FC_DAEMON_CONFIG_FILE_H

#include "daemon/base/error_text.h"

#include <stdbool.h>
#include <stddef.h>

#define CONFIG_SYSTEM_PATH "/etc/fcached/fcached.conf"
#define CONFIG_FILE_BYTES_MAX 65536u
#define CONFIG_DROPINS_MAX 64u /* files in FILE.d */

/* Returns the first directory of a list that systemd passes in the variable `name`
 * ($STATE_DIRECTORY and others), allocated. Returns NULL if it is unset, not absolute, meant for
 * another process ($SYSTEMD_EXEC_PID), or if out of memory. */
char *config_systemd_directory(const char *name);

/* Returns the path of `name` in a directory that systemd passes, allocated. Returns NULL if there
 * is no such file, or as config_systemd_directory does. */
char *config_systemd_file(const char *variable, const char *name);

/* Returns the path of the main file without --config, allocated: fcached.conf in
 * $CONFIGURATION_DIRECTORY, else for a daemon of a user (one that listens in $XDG_RUNTIME_DIR) in
 * fcached below $XDG_CONFIG_HOME or ~/.config, else CONFIG_SYSTEM_PATH. NULL: out of memory. */
char *config_default_path(void);

/* Fills `names` with the paths of the files *.conf in the directory "PATH.d", in the byte order of
 * their names. The caller frees them. Returns their number, 0 if there is no such directory, or
 * FC_EINVAL (or FC_ENOMEM) with a text. */
int config_dropins(const char *path, char *names[CONFIG_DROPINS_MAX], struct error_text *error);

enum config_file_result { CONFIG_FILE_READ = 0, CONFIG_FILE_MISSING = 1 };

/* Reads a file into *bytes, which the caller frees. Returns CONFIG_FILE_READ, CONFIG_FILE_MISSING
 * if there is none, or FC_EINVAL (or FC_ENOMEM) with a text that names the file. */
int config_file_read(const char *path, char **bytes, size_t *size, struct error_text *error);

#endif
