/* nearest.h - the known name that a mistyped word was meant to be: a command, an option, a key of
 * the configuration, a namespace. */
#ifndef FC_PROTO_NEAREST_H
#define FC_PROTO_NEAREST_H

#include <stddef.h>

/* Returns the name that needs the fewest edits to become `word`: a byte that is missing, is too
 * many or is another, or two adjacent bytes that are swapped. The first of several such names. A
 * name is near if the edits are at most a third of the bytes of the longer of the two. Without a
 * near name, returns the only one that begins with `word` (of at least two bytes), or NULL. A NULL
 * in `names` is skipped. The result is one of `names`. Allocates nothing. Its time is bounded: a
 * word of more than 255 bytes has no near name, and a longer name is near only by its beginning. */
const char *fc_nearest(const char *word, const char *const names[], size_t n);

#endif
