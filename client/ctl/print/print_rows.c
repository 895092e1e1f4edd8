#include "client/ctl/print/print_rows.h"

#include "client/ctl/print/render.h"

#define DIGITS 12 /* of a real: 0.1 is to read 0.1 */

/* Errors of the stream are checked at the end of the command. */

void rows_begin(struct rows *rows) {
  if (rows->json)
    (void)fputc('[', rows->out);
}

void rows_end(struct rows *rows, const char *none) {
  if (rows->json)
    (void)fputs(rows->n ? "\n]\n" : "]\n", rows->out);
  else if (rows->n == 0 && none)
    (void)fprintf(rows->out, "%s\n", none);
}

/* ---- for people ---- */

const char *rows_text(struct fc_str name, char text[FC_NAME_MAX + 1]) {
  (void)snprintf(text, FC_NAME_MAX + 1, "%.*s", (int)name.size, name.data ? name.data : "");
  return text;
}

void rows_name(FILE *out, struct fc_str name, size_t columns) {
  char text[FC_NAME_MAX + 1];

  if (columns == 0)
    return;
  render_fit(out, rows_text(name, text), columns, 1);
  (void)fputc(' ', out);
}

/* ---- for programs ---- */

void rows_object(struct rows *rows, json_t *object) {
  if (!object) {
    rows->failed = true;
    return;
  }
  (void)fputs(rows->n ? ",\n  " : "\n  ", rows->out);
  (void)json_dumpf(object, rows->out, JSON_ENSURE_ASCII | JSON_REAL_PRECISION(DIGITS));
  json_decref(object);
  rows->n++;
}

json_t *rows_integer(uint64_t number) {
  return json_integer(number > INT64_MAX ? INT64_MAX : (json_int_t)number);
}

json_t *rows_seconds(uint64_t ns) {
  return json_real((double)ns / 1e9);
}

json_t *rows_string(struct fc_str name) {
  return name.data ? json_stringn(name.data, name.size) : json_null();
}

json_t *rows_pid(int64_t pid) {
  return pid > 0 ? json_integer(pid) : json_null();
}

json_t *rows_with_key(const struct fc_str *name_space, const struct fc_key *key, json_t *rest) {
  char hash[FC_HASH_HEX_SIZE];
  json_t *object = json_object();
  int failed = 0;

  fc_hash_hex(&key->prompt, hash);
  /* Each fails where it is given NULL, and takes over what it sets. */
  if (name_space)
    failed |= json_object_set_new(object, "namespace", rows_string(*name_space));
  failed |= json_object_set_new(object, "op", rows_string(key->op));
  failed |= json_object_set_new(object, "view", rows_string(key->view));
  failed |= json_object_set_new(object, "prompt_hash", json_string(hash));
  failed |= json_object_set_new(object, "top_k", rows_integer(key->top_k));
  failed |= json_object_update(object, rest);
  json_decref(rest);
  if (!failed)
    return object;
  json_decref(object);
  return NULL;
}
