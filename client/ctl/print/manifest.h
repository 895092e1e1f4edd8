/* manifest.h - a namespace's manifest as JSON: any text, by convention a flat JSON object. */
#ifndef FC_CTL_MANIFEST_H
#define FC_CTL_MANIFEST_H

#include <jansson.h>
#include <stdio.h>

#include "proto/key.h"

/* Returns the manifest as a JSON object, which is the caller's, or NULL if it is none. */
json_t *manifest_object(struct fc_str manifest);

/* Returns whether both say the same: the same JSON object, in any order of its members, or the same
 * text. One without data says nothing, and equals only another one. */
bool manifest_equal(struct fc_str a, struct fc_str b);

/* Prints a line for each member in which two manifests differ, or one for each manifest if they are
 * no objects. The names say which is which. */
void manifest_print_differences(FILE *out, const char *a_name, struct fc_str a, const char *b_name,
                                struct fc_str b);

#endif
