#include "client/ctl/print/stats_json.h"

#include <jansson.h>
#include <math.h>

#define DIGITS 12 /* of a real: 0.1 is to read 0.1 */

static json_t *value_of(const struct figure *figure) {
  switch (figure->kind) {
  case FCACHE_STAT_TEXT:
    return json_string(figure->text); /* NULL where it is not UTF-8 */
  case FCACHE_STAT_SECONDS:
  case FCACHE_STAT_RATIO:
    return isfinite(figure->real) ? json_real(figure->real) : json_null();
  case FCACHE_STAT_COUNT:
  case FCACHE_STAT_BYTES:
  default:
    return json_integer(figure->integer > INT64_MAX ? INT64_MAX : (json_int_t)figure->integer);
  }
}

/* Takes the value over. A text that is not UTF-8 is null. */
static int set(json_t *object, const char *name, json_t *value) {
  return json_object_set_new(object, name, value ? value : json_null());
}

static json_t *object_of(const struct figure_group *group) {
  json_t *object = json_object();
  int failed = !object;

  if (group->name_space)
    failed |= set(object, "namespace", json_string(group->name_space));
  for (size_t i = 0; i < group->n; i++)
    failed |= set(object, group->figures[i].name, value_of(&group->figures[i]));
  if (failed) {
    json_decref(object);
    return NULL;
  }
  return object;
}

int stats_json_print(FILE *out, const struct figures *figures) {
  json_t *namespaces = json_array(), *all = json_object();
  int failed = !namespaces || !all;

  /* Appending and setting take what they are given over, and fail for NULL. */
  for (size_t i = 0; i < figures->n; i++)
    failed |= json_array_append_new(namespaces, object_of(&figures->namespaces[i]));
  failed |= json_object_set_new(all, "daemon", object_of(&figures->daemon));
  failed |= json_object_set_new(all, "namespaces", namespaces);
  if (!failed) {
    /* A failed write shows in the stream, which is checked at the end. */
    (void)json_dumpf(all, out, JSON_INDENT(2) | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(DIGITS));
    (void)fputc('\n', out);
  }
  json_decref(all);
  return failed ? FCACHE_ENOMEM : 0;
}
