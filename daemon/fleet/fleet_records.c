#include "daemon/fleet/fleet_records.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/check.h"

/* ---- writing ---- */

static void set(struct fleet_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void set(struct fleet_text *text, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int size = vsnprintf(text->data, sizeof text->data, format, args);
  va_end(args);
  check_lt(0, size);
  check_lt(size, (int)sizeof text->data);
  text->size = (uint32_t)size;
}

#define NAME(name) (int)(name).size, (name).data == NULL ? "" : (name).data

void fleet_scope_encode(const struct fc_select *select, struct fleet_text *text) {
  set(text, "%.*s%c%.*s%c%.*s", NAME(select->name_space), FLEET_SEPARATOR, NAME(select->view),
      FLEET_SEPARATOR, NAME(select->op));
}

void fleet_delete_encode(struct fc_str name_space, const struct fc_key *key,
                         struct fleet_text *text) {
  char hex[FC_HASH_HEX_SIZE];
  fc_hash_hex(&key->prompt, hex);
  set(text, "%.*s%c%.*s%c%.*s%c%u%c%s", NAME(name_space), FLEET_SEPARATOR, NAME(key->op),
      FLEET_SEPARATOR, NAME(key->view), FLEET_SEPARATOR, key->top_k, FLEET_SEPARATOR, hex);
}

void fleet_manifest_encode(struct fc_str name_space, const struct fc_hash *hash,
                           struct fleet_text *text) {
  char hex[FC_HASH_HEX_SIZE];
  fc_hash_hex(hash, hex);
  set(text, "%.*s%c%s", NAME(name_space), FLEET_SEPARATOR, hex);
}

void fleet_hex(uint64_t number, char hex[FLEET_HEX_SIZE]) {
  (void)snprintf(hex, FLEET_HEX_SIZE, "%016llx", (unsigned long long)number);
}

/* ---- reading ---- */

/* Takes the part of *text before the separator, or all of it if there is none. */
static struct fc_str take(struct fc_str *text) {
  struct fc_str part = *text;
  const char *end = text->size == 0 ? NULL : memchr(text->data, FLEET_SEPARATOR, text->size);
  if (end == NULL) {
    text->size = 0;
    return part;
  }
  part.size = (uint32_t)(end - text->data);
  text->data += part.size + 1;
  text->size -= part.size + 1;
  return part;
}

static unsigned count_separators(struct fc_str text) {
  unsigned n = 0;
  for (uint32_t i = 0; i < text.size; i++)
    n += text.data[i] == FLEET_SEPARATOR;
  return n;
}

/* A name, or an empty part for any. */
static bool take_name_or_any(struct fc_str *text, struct fc_str *name) {
  *name = take(text);
  if (name->size == 0)
    *name = (struct fc_str){0};
  return name->size == 0 || fc_name_valid(*name);
}

static bool take_name(struct fc_str *text, struct fc_str *name) {
  return take_name_or_any(text, name) && name->size > 0;
}

static bool hex_decode(struct fc_str text, uint64_t *number) {
  uint64_t n = 0;
  if (text.size != FLEET_HEX_SIZE - 1)
    return false;
  for (uint32_t i = 0; i < text.size; i++) {
    char c = text.data[i];
    bool is_digit = c >= '0' && c <= '9', is_letter = c >= 'a' && c <= 'f';
    if (!is_digit && !is_letter)
      return false;
    n = n << 4 | (uint64_t)(is_digit ? c - '0' : c - 'a' + 10);
  }
  *number = n;
  return true;
}

bool fleet_number_decode(struct fc_str text, uint64_t *number) {
  uint64_t n = 0;
  if (text.size == 0 || text.size > 16)
    return false;
  for (uint32_t i = 0; i < text.size; i++) {
    if (text.data[i] < '0' || text.data[i] > '9')
      return false;
    n = n * 10 + (uint64_t)(text.data[i] - '0');
  }
  *number = n;
  return n <= FLEET_NUMBER_MAX;
}

bool fleet_scope_decode(struct fc_str text, struct fc_select *select) {
  return count_separators(text) == 2 && take_name_or_any(&text, &select->name_space) &&
         take_name_or_any(&text, &select->view) && take_name_or_any(&text, &select->op);
}

bool fleet_id_decode(struct fc_str text, uint64_t *id, uint64_t *tag) {
  return text.size == FLEET_ID_SIZE && text.data[16] == ':' &&
         hex_decode((struct fc_str){text.data, 16}, id) &&
         hex_decode((struct fc_str){text.data + 17, 16}, tag) && *id != 0;
}

static bool delete_decode(struct fc_str text, struct fleet_record *record) {
  uint64_t top_k;
  if (count_separators(text) != 4 || !take_name(&text, &record->select.name_space) ||
      !take_name(&text, &record->key.op) || !take_name(&text, &record->key.view) ||
      !fleet_number_decode(take(&text), &top_k) || top_k > UINT32_MAX)
    return false;
  record->key.top_k = (uint32_t)top_k;
  return text.size == FC_HASH_HEX_SIZE - 1 &&
         fc_hash_parse(text.data, text.size, &record->key.prompt);
}

static bool manifest_decode(struct fc_str text, struct fleet_record *record) {
  return count_separators(text) == 1 && take_name(&text, &record->select.name_space) &&
         fc_hash_parse(text.data, text.size, &record->key.prompt);
}

bool fleet_record_decode(struct fc_str text, struct fleet_record *record) {
  *record = (struct fleet_record){0};
  struct fc_str kind = take(&text);
  if (kind.size != 1 || !fleet_number_decode(take(&text), &record->number) || record->number == 0 ||
      !hex_decode(take(&text), &record->tag) || !hex_decode(take(&text), &record->node))
    return false;
  record->detail = text;
  switch (kind.data[0]) {
  case FLEET_RECORD_CLEAR:
    record->kind = FLEET_RECORD_CLEAR;
    return fleet_scope_decode(text, &record->select);
  case FLEET_RECORD_DELETE:
    record->kind = FLEET_RECORD_DELETE;
    return delete_decode(text, record);
  case FLEET_RECORD_MANIFEST:
    record->kind = FLEET_RECORD_MANIFEST;
    return manifest_decode(text, record);
  case FLEET_RECORD_HEAL:
    record->kind = FLEET_RECORD_HEAL;
    return true;
  default:
    record->kind = FLEET_RECORD_OTHER;
    return true;
  }
}

static bool covers_name(struct fc_str wide, struct fc_str narrow) {
  return wide.size == 0 || (narrow.size > 0 && fc_str_equal(wide, narrow));
}

bool fleet_scope_covers(const struct fc_select *wide, const struct fc_select *narrow) {
  return covers_name(wide->name_space, narrow->name_space) &&
         covers_name(wide->view, narrow->view) && covers_name(wide->op, narrow->op);
}
