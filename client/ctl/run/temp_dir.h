/* temp_dir.h - a private temporary folder. */
#ifndef FC_CTL_FOLDER_H
#define FC_CTL_FOLDER_H

#define FOLDER_PATH_SIZE 88u /* leaves room for a socket's name in its address */

/* Makes an empty folder (mode 0700) in the first of $XDG_RUNTIME_DIR, $TMPDIR and
 * /tmp where that works: a path that is absolute, short enough for sockets, and
 * writable. 0, or a negative errno of the last try. */
int folder_make(char path[FOLDER_PATH_SIZE]);

/* Removes the folder and the files in it; "" is allowed. Afterwards it is "". */
void folder_remove(char path[FOLDER_PATH_SIZE]);

#endif
