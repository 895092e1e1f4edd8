#include "client/ctl/print/manifest.h"

#include <stdlib.h>
#include <string.h>

#include "client/ctl/print/text.h"

#define INDENT "  "
#define ROOM_MIN 24u /* at least, of a narrow terminal */
#define DIGITS 15    /* of a real number: 0.1 prints as 0.1 */

json_t *manifest_object(struct fc_str manifest) {
  json_t *object = NULL;

  if (manifest.data)
    object = json_loadb(manifest.data, manifest.size, 0, NULL);
  if (object && !json_is_object(object)) {
    json_decref(object);
    object = NULL;
  }
  return object;
}

bool manifest_equal(struct fc_str a, struct fc_str b) {
  json_t *first, *second;
  bool equal;

  if (!a.data || !b.data)
    return !a.data && !b.data;
  if (fc_str_equal(a, b))
    return true;
  first = manifest_object(a);
  second = manifest_object(b);
  equal = first && second && json_equal(first, second);
  json_decref(first);
  json_decref(second);
  return equal;
}

/* Returns the columns behind the first `used` of a line. */
static size_t room(FILE *out, size_t used) {
  size_t columns = text_columns_of(out);

  return columns > used + ROOM_MIN ? columns - used : ROOM_MIN;
}

/* Prints "    NAME: VALUE"; a string without quotes, other values as JSON, NULL as "-". */
static void print_value(FILE *out, const char *name, const json_t *value) {
  size_t columns = room(out, strlen(INDENT INDENT ": ") + strlen(name));
  char *text = NULL;

  if (value && !json_is_string(value))
    text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(DIGITS));
  (void)fprintf(out, INDENT INDENT "%s: ", name);
  if (json_is_string(value))
    text_cut_middle(out, json_string_value(value), columns);
  else
    text_cut_middle(out, text ? text : "-", columns);
  (void)fputc('\n', out);
  free(text);
}

static void print_member(FILE *out, const char *key, const char *a_name, const json_t *a,
                         const char *b_name, const json_t *b) {
  (void)fputs(INDENT, out);
  text_cut_middle(out, key, room(out, strlen(INDENT)));
  (void)fputc('\n', out);
  print_value(out, a_name, a);
  print_value(out, b_name, b);
}

static void print_text(FILE *out, const char *name, struct fc_str manifest) {
  char *text = manifest.data ? strndup(manifest.data, manifest.size) : NULL;

  (void)fprintf(out, INDENT "%s: ", name);
  text_cut_middle(out, text ? text : "no manifest", room(out, strlen(INDENT ": ") + strlen(name)));
  (void)fputc('\n', out);
  free(text);
}

void manifest_print_differences(FILE *out, const char *a_name, struct fc_str a, const char *b_name,
                                struct fc_str b) {
  json_t *first = manifest_object(a), *second = manifest_object(b), *value;
  const char *key;

  if (first && second) {
    json_object_foreach(first, key, value) {
      const json_t *other = json_object_get(second, key);

      if (!other || !json_equal(value, other))
        print_member(out, key, a_name, value, b_name, other);
    }
    json_object_foreach(second, key, value) if (!json_object_get(first, key))
        print_member(out, key, a_name, NULL, b_name, value);
  } else {
    print_text(out, a_name, a);
    print_text(out, b_name, b);
  }
  json_decref(first);
  json_decref(second);
}
