#include "client/ctl/print/stats_json.h"

#include <jansson.h>
#include <math.h>

#include "client/ctl/print/json_value.h"

static json_t *value_of(const struct stats_item *item) {
  switch (item->kind) {
  case FCACHE_STAT_TEXT:
    return json_string(item->text); /* NULL if it is not UTF-8 */
  case FCACHE_STAT_SECONDS:
  case FCACHE_STAT_RATIO:
    return isfinite(item->real) ? json_real(item->real) : json_null();
  case FCACHE_STAT_COUNT:
  case FCACHE_STAT_BYTES:
  default:
    return json_integer(item->integer > INT64_MAX ? INT64_MAX : (json_int_t)item->integer);
  }
}

/* Takes the value over. A text that is not UTF-8 becomes null. */
static int set(json_t *object, const char *name, json_t *value) {
  return json_object_set_new(object, name, value ? value : json_null());
}

static json_t *object_of(const struct stats_group *group) {
  json_t *object = json_object();
  int failed = !object;

  if (group->name_space)
    failed |= set(object, "namespace", json_string(group->name_space));
  for (size_t i = 0; i < group->n; i++)
    failed |= set(object, group->items[i].name, value_of(&group->items[i]));
  if (failed) {
    json_decref(object);
    return NULL;
  }
  return object;
}

int stats_json_print(FILE *out, const struct stats_snapshot *snapshot) {
  json_t *namespaces = json_array(), *all = json_object();
  int failed = !namespaces || !all;

  /* Each call takes its value over, and fails for NULL. */
  for (size_t i = 0; i < snapshot->n; i++)
    failed |= json_array_append_new(namespaces, object_of(&snapshot->namespaces[i]));
  failed |= json_object_set_new(all, "daemon", object_of(&snapshot->daemon));
  failed |= json_object_set_new(all, "namespaces", namespaces);
  if (failed) {
    json_decref(all);
    return FCACHE_ENOMEM;
  }
  (void)json_value_print(out, all, JSON_INDENT(2));
  (void)fputc('\n', out); /* main checks the stream at the end */
  return 0;
}
