/* temp_dir.h - a private temporary directory. */
#ifndef FC_CTL_TEMP_DIR_H
#define FC_CTL_TEMP_DIR_H

#define TEMP_DIR_PATH_SIZE 88u /* leaves room for the file name in a socket's address */

/* Creates an empty directory (mode 0700) in the first of $XDG_RUNTIME_DIR, $TMPDIR and /tmp that is
 * an absolute path, short enough and writable. Returns 0, or the negative errno of the last try. */
int temp_dir_create(char path[TEMP_DIR_PATH_SIZE]);

/* Removes the directory and its files. The path is "" afterwards. Idempotent. */
void temp_dir_remove(char path[TEMP_DIR_PATH_SIZE]);

#endif
