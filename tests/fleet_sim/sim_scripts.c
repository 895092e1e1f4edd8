#include "tests/fleet_sim/sim_scripts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/fleet/fleet_clear_scripts.h"
#include "daemon/fleet/fleet_scripts.h"
#include "daemon/fleet/fleet_value.h"

int64_t sim_number(struct fc_str text) {
  char digits[24] = {0};
  memcpy(digits, text.data, text.size < sizeof digits ? text.size : sizeof digits - 1);
  return strtoll(digits, NULL, 10);
}

static uint64_t expiry(struct fc_str time_ms, uint64_t now_ns) {
  int64_t ms = sim_number(time_ms);
  return ms == 0 ? 0 : now_ns + (uint64_t)ms * 1000000;
}

static struct sim_blob *blob_of(struct fc_str text) {
  return sim_blob_new(text.data, text.size);
}

static int64_t renew(const struct fleet_op *op, struct sim_db *db, uint64_t now_ns) {
  struct sim_key *key = sim_db_find(db, op->key, now_ns);
  bool missing = key == NULL;
  if (!missing && !fc_str_equal(sim_blob_str(key->value), op->args[0]))
    return FLEET_LOST;
  sim_key_set(sim_db_write(db, op->key, now_ns), blob_of(op->args[0]), expiry(op->args[1], now_ns));
  return missing ? FLEET_RETAKEN : FLEET_RENEWED;
}

static int64_t release(const struct fleet_op *op, struct sim_db *db, uint64_t now_ns) {
  const struct sim_key *key = sim_db_find(db, op->key, now_ns);
  if (key == NULL || !fc_str_equal(sim_blob_str(key->value), op->args[0]))
    return 0;
  sim_key_clear(sim_db_write(db, op->key, now_ns));
  return 1;
}

/* Returns whether the stamp in the head of `old` is earlier: the highest byte is the last. */
static bool is_earlier(struct fc_str old, struct fc_str new) {
  for (uint32_t i = FLEET_VALUE_STAMP_AT + 8; i-- > FLEET_VALUE_STAMP_AT;)
    if (old.data[i] != new.data[i])
      return (uint8_t)old.data[i] < (uint8_t) new.data[i];
  return false;
}

static int64_t replace(const struct fleet_op *op, struct sim_db *db, uint64_t now_ns) {
  const struct sim_key *key = sim_db_find(db, op->key, now_ns);
  struct fc_str old = sim_blob_str(key == NULL ? NULL : key->value), seen = op->args[2];
  struct fc_str head = {old.data, old.size < FLEET_VALUE_HEAD ? old.size : FLEET_VALUE_HEAD};
  bool has_head = old.size >= FLEET_VALUE_HEAD && memcmp(old.data, FLEET_VALUE_MAGIC, 4) == 0;
  bool other = has_head && !fc_str_equal(head, seen);
  if (other && old.data[4] == 1)
    return FLEET_TOMBSTONE_FOUND;
  bool allowed = !has_head || fc_str_equal(head, seen) ||
                 (fc_str_equal(op->args[3], fc_str_of("1")) && is_earlier(old, op->args[0]));
  if (!allowed)
    return 0;
  sim_key_set(sim_db_write(db, op->key, now_ns), blob_of(op->args[0]), expiry(op->args[1], now_ns));
  return 1;
}

void sim_script_run(struct sim_command *command, struct sim_db *db, uint64_t now_ns) {
  static const struct {
    const struct fleet_script *script;
    int64_t (*run)(const struct fleet_op *op, struct sim_db *db, uint64_t now_ns);
  } scripts[] = {{&fleet_script_renew, renew},
                 {&fleet_script_release, release},
                 {&fleet_script_replace, replace},
                 {&fleet_script_clear, sim_script_clear},
                 {&fleet_script_merge, sim_script_merge}};
  for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++)
    if (scripts[i].script == command->copy.script) {
      command->number = scripts[i].run(&command->copy, db, now_ns);
      return;
    }
  (void)fprintf(stderr, "fleet_sim: sim_scripts.c lacks the script \"%s\"\n",
                command->copy.script->name);
  exit(1);
}
