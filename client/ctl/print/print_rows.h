/* print_rows.h - a listing as it is printed, item by item as they come: for people in rows under
 * a header, within RENDER_COLUMNS; for programs as a JSON array, an item a line. */
#ifndef FC_CTL_ROWS_H
#define FC_CTL_ROWS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/limits.h"
#include "proto/wire/message.h"

struct rows {
  FILE *out;
  bool json;
  bool one_namespace; /* leave its column out */
  uint64_t n;         /* items so far */
  bool failed;        /* out of memory: items are missing */
};

/* What stands before and after the items. Where there are none, people read `none` (NULL:
 * nothing). */
void rows_begin(struct rows *rows);
void rows_end(struct rows *rows, const char *none);

/* ---- for people ---- */

#define ROWS_HASH_DIGITS 8 /* of 32 */

/* A name, cut or filled to `columns`, and a space; nothing where `columns` is 0. */
void rows_name(FILE *out, struct fc_str name, size_t columns);

/* The name as a string; returns `text`. */
const char *rows_text(struct fc_str name, char text[FC_NAME_MAX + 1]);

/* ---- for programs ---- */

/* Prints an item, and frees it. NULL: it could not be made. */
void rows_object(struct rows *rows, json_t *object);

/* {namespace (unless NULL), op, view, prompt_hash, top_k}, and the members of `rest`, which it
 * takes over. NULL without memory, or where `rest` is NULL. */
json_t *rows_with_key(const struct fc_str *name_space, const struct fc_key *key, json_t *rest);

/* NULL without memory. An integer is cut to INT64_MAX, the most that jansson has. */
json_t *rows_integer(uint64_t number);
json_t *rows_seconds(uint64_t ns);
json_t *rows_string(struct fc_str name); /* null where there is none */
json_t *rows_pid(int64_t pid);           /* null where it is not known */

#endif
