/* temp_folder.h - a private folder for the run's files. */
#ifndef DEMO_TEMP_FOLDER_H
#define DEMO_TEMP_FOLDER_H

#include <stddef.h>

/* Makes one in $TMPDIR or /tmp, for this user alone. 0, or -1 after a line on
 * stderr. */
int temp_folder_make(char *path, size_t size);

/* Removes it and the files in it; says on stderr what it could not remove. */
void temp_folder_remove(const char *path);

#endif
