#include "client/ctl/print/json_value.h"

#define DIGITS 15 /* that each decimal number of so many digits keeps in a double */

json_t *json_value_count(uint64_t number) {
  return json_integer(number > INT64_MAX ? INT64_MAX : (json_int_t)number);
}

json_t *json_value_seconds(uint64_t ns) {
  return json_real((double)ns / 1e9);
}

json_t *json_value_name(struct fc_str name) {
  return name.data ? json_stringn(name.data, name.size) : json_null();
}

json_t *json_value_pid(int64_t pid) {
  return pid > 0 ? json_integer(pid) : json_null();
}

json_t *json_value_key(const struct fc_str *name_space, const struct fc_key *key, json_t *rest) {
  char hash[FC_HASH_HEX_SIZE];
  json_t *object = json_object();
  int failed = 0;

  fc_hash_hex(&key->prompt, hash);
  /* Each call fails for NULL, and takes its value over. */
  if (name_space)
    failed |= json_object_set_new(object, "namespace", json_value_name(*name_space));
  failed |= json_object_set_new(object, "op", json_value_name(key->op));
  failed |= json_object_set_new(object, "view", json_value_name(key->view));
  failed |= json_object_set_new(object, "prompt_hash", json_string(hash));
  failed |= json_object_set_new(object, "top_k", json_value_count(key->top_k));
  failed |= json_object_update(object, rest);
  json_decref(rest);
  if (!failed)
    return object;
  json_decref(object);
  return NULL;
}

bool json_value_print(FILE *out, json_t *value, size_t flags) {
  if (!value)
    return false;
  if ((flags & JSON_REAL_PRECISION(0x1f)) == 0)
    flags |= JSON_REAL_PRECISION(DIGITS);
  (void)json_dumpf(value, out, flags | JSON_ENSURE_ASCII); /* fails with the stream */
  json_decref(value);
  return true;
}
