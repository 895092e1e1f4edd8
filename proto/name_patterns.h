/* name_patterns.h - a list of patterns that selects names: "gpt2-*,llama-*,!*-private".
 *
 * The patterns are those of fnmatch(3), separated by commas. One that begins with "!" excludes. A
 * name is selected if a pattern matches it, or all patterns exclude, and none that excludes matches
 * it. The word "none" alone selects no name. Plain text: nothing to free. */
#ifndef FC_PROTO_NAME_PATTERNS_H
#define FC_PROTO_NAME_PATTERNS_H

#include <stdbool.h>
#include <stddef.h>

#define NAME_PATTERNS_NONE "none"
#define NAME_PATTERN_SIZE_MAX 256u /* of one pattern without its "!", with its NUL */

/* Returns NULL if the list is valid, else what is wrong with it: a static text that continues
 * "FILE:LINE: KEY: ". */
const char *name_patterns_fault(const char *patterns);

/* Returns true if the list, which is valid, selects the name of `size` bytes. A NUL in the name
 * ends it. */
bool name_patterns_select(const char *patterns, const char *name, size_t size);

#endif
