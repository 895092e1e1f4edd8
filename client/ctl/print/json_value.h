/* json_value.h - the JSON values that the commands share, and their output. A function that makes a
 * value returns a new reference, or NULL without memory. */
#ifndef FC_CTL_JSON_VALUE_H
#define FC_CTL_JSON_VALUE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/key.h"

/* Cut to INT64_MAX, jansson's largest integer. */
json_t *json_value_count(uint64_t number);
json_t *json_value_seconds(uint64_t ns);
json_t *json_value_name(struct fc_str name); /* null without data */
json_t *json_value_pid(int64_t pid);         /* null if unknown */

/* {namespace (unless NULL), op, view, prompt_hash, top_k} and the members of `rest`, which it takes
 * over. NULL if `rest` is NULL. */
json_t *json_value_key(const struct fc_str *name_space, const struct fc_key *key, json_t *rest);

/* Prints the value as ASCII, so that no name controls a terminal, and releases it. `flags` are
 * jansson's, such as JSON_INDENT(2). A real number has 15 digits, unless they give another
 * precision: 0.1 prints as 0.1. Adds no newline. Leaves errors of the stream to the caller. Returns
 * false for NULL: out of memory. */
bool json_value_print(FILE *out, json_t *value, size_t flags);

#endif
