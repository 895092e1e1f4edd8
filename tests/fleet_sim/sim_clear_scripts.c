/* The scripts of clears (fleet_clear_scripts.c), without their bounds, which no simulation reaches,
 * and without deletes. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/check.h"
#include "daemon/fleet/fleet_clear_scripts.h"
#include "daemon/fleet/fleet_key.h"
#include "tests/fleet_sim/sim_memory.h"
#include "tests/fleet_sim/sim_scripts.h"

#define ID_SIZE 16u
#define SEPARATOR '\x1f'
#define MERGE_SEPARATOR '\x1e'

/* A scope: namespace, view and op. */
struct scope {
  struct fc_str parts[3];
};

static struct fc_str text_of(const char *text) {
  return (struct fc_str){text, (uint32_t)strlen(text)};
}

/* Splits at the two separators. Returns false if there are others, as in fields that are no scope.
 */
static bool split(struct fc_str field, struct scope *scope) {
  uint32_t n = 0, from = 0;
  for (uint32_t i = 0; i <= field.size; i++)
    if (i == field.size || field.data[i] == SEPARATOR) {
      if (n == 3)
        return false;
      scope->parts[n++] = (struct fc_str){field.data + from, i - from};
      from = i + 1;
    }
  return n == 3;
}

static bool covers(const struct scope *wide, const struct scope *narrow) {
  for (uint32_t i = 0; i < 3; i++)
    if (wide->parts[i].size > 0 && !fc_str_equal(wide->parts[i], narrow->parts[i]))
      return false;
  return true;
}

static void set_number(struct sim_items *hash, struct fc_str field, int64_t n) {
  char digits[24];
  int size = snprintf(digits, sizeof digits, "%" PRId64, n);
  sim_items_set(hash, field, (struct fc_str){digits, (uint32_t)size});
}

static struct fc_str field_of(const struct sim_items *hash, const char *name) {
  size_t at = sim_items_field(hash, text_of(name));
  return at == SIZE_MAX ? (struct fc_str){0} : sim_blob_str(hash->blobs[at]);
}

/* Returns the id with the tag of the latest step. */
static void set_id(struct sim_items *hash, struct fc_str id, struct fc_str tag) {
  char text[64];
  int size =
      snprintf(text, sizeof text, "%.*s:%.*s", (int)id.size, id.data, (int)tag.size, tag.data);
  check_lt(size, sizeof text);
  sim_items_set(hash, text_of("id"), (struct fc_str){text, (uint32_t)size});
}

static struct sim_items *log_of(const struct fleet_op *op, struct sim_db *db, uint64_t now_ns) {
  char name[FLEET_KEY_MAX];
  const uint32_t kept = op->key.size - (uint32_t)strlen("clears");
  int size = snprintf(name, sizeof name, "%.*slog", (int)kept, op->key.data);
  check_lt(size, sizeof name);
  return &sim_db_write(db, (struct fc_str){name, (uint32_t)size}, now_ns)->items;
}

/* Makes a step, and returns its number. */
static int64_t step(const struct fleet_op *op, struct sim_db *db, struct sim_items *hash,
                    const char *kind, struct fc_str detail, uint64_t now_ns) {
  char record[1024];
  int64_t n = sim_number(field_of(hash, "n")) + 1;
  set_number(hash, text_of("n"), n);
  set_id(hash, op->args[0], op->args[1]);
  int size = snprintf(record, sizeof record, "%s\x1f%" PRId64 "\x1f%.*s\x1f%.*s\x1f%.*s", kind, n,
                      (int)op->args[1].size, op->args[1].data, (int)op->args[2].size,
                      op->args[2].data, (int)detail.size, detail.data);
  check_lt(size, sizeof record);
  struct sim_items *log = log_of(op, db, now_ns);
  sim_items_add(log, (struct fc_str){record, (uint32_t)size});
  check_le(log->n, FLEET_LOG_MAX);
  return n;
}

static void drop_covered(struct sim_items *hash, const struct scope *wide) {
  struct scope scope;
  for (size_t i = 0; i + 1 < hash->n;)
    if (split(sim_blob_str(hash->blobs[i]), &scope) && covers(wide, &scope))
      sim_items_cut(hash, i, 2);
    else
      i += 2;
}

int64_t sim_script_clear(const struct fleet_op *op, struct sim_db *db, uint64_t now_ns) {
  struct sim_items *hash = &sim_db_write(db, op->key, now_ns)->items;
  struct fc_str id = field_of(hash, "id");
  struct scope scope;
  if (id.size < ID_SIZE || memcmp(id.data, op->args[0].data, ID_SIZE) != 0)
    return FLEET_SCRIPT_OTHER;
  check_eq(split(op->args[3], &scope), 1);
  drop_covered(hash, &scope);
  int64_t n = step(op, db, hash, "C", op->args[3], now_ns);
  set_number(hash, op->args[3], n);
  return n;
}

/* Sets each scope of a merge's table to `n`, or to its own number if that is 0. */
static void set_scopes(struct sim_items *hash, struct fc_str table, int64_t n) {
  const char *at = memchr(table.data, MERGE_SEPARATOR, table.size), *end = table.data + table.size;
  while (at != NULL) {
    const char *number = memchr(at + 1, MERGE_SEPARATOR, (size_t)(end - at - 1));
    if (number == NULL)
      return;
    struct fc_str rest = {number + 1, (uint32_t)(end - number - 1)};
    set_number(hash, (struct fc_str){at + 1, (uint32_t)(number - at - 1)},
               n == 0 ? sim_number(rest) : n);
    at = memchr(number + 1, MERGE_SEPARATOR, rest.size);
  }
}

static void raise_scopes(struct sim_items *hash, int64_t n) {
  struct scope scope;
  for (size_t i = 0; i + 1 < hash->n; i += 2)
    if (split(sim_blob_str(hash->blobs[i]), &scope))
      set_number(hash, sim_blob_str(hash->blobs[i]), n);
}

int64_t sim_script_merge(const struct fleet_op *op, struct sim_db *db, uint64_t now_ns) {
  struct sim_items *hash = &sim_db_write(db, op->key, now_ns)->items;
  struct fc_str table = op->args[5], tag = {table.data + 1, 0};
  if (!fc_str_equal(field_of(hash, "id"), op->args[3]))
    return FLEET_SCRIPT_NONE;
  while (1 + tag.size < table.size && tag.data[tag.size] != MERGE_SEPARATOR)
    tag.size++;
  int64_t number = sim_number(op->args[4]);
  if (hash->n == 0) {
    set_id(hash, op->args[0], tag);
    set_number(hash, text_of("n"), number);
    set_scopes(hash, table, 0);
    struct sim_items *log = log_of(op, db, now_ns);
    sim_items_cut(log, 0, log->n);
    return number;
  }
  if (number > sim_number(field_of(hash, "n")))
    set_number(hash, text_of("n"), number);
  int64_t n = step(op, db, hash, "H", (struct fc_str){0}, now_ns);
  raise_scopes(hash, n);
  set_scopes(hash, table, n);
  return n;
}
