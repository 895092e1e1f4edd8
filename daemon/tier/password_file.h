/* password_file.h - reads the password of the tier from a file. The file is hostile until checked:
 * only a regular file of PASSWORD_BYTES_MAX bytes at most is read, without waiting. */
#ifndef FC_DAEMON_PASSWORD_FILE_H
#define FC_DAEMON_PASSWORD_FILE_H

#include <stddef.h>

#include "daemon/base/error_text.h"

#define PASSWORD_BYTES_MAX 1024u

/* Reads the file without the ends of lines at its end. Returns 0, or FC_EINVAL with a text that
 * names the file and never a part of the password. The caller erases `password`. */
int password_file_read(const char *path, char password[PASSWORD_BYTES_MAX], size_t *size,
                       struct error_text *error);

#endif
