#include "daemon/store/clear_log.h"

#include <stdatomic.h>
#include <string.h>

#include "daemon/base/check.h"
#include "daemon/region/catalog.h"

void clear_log_init(struct clear_log *log, uint64_t floor) {
  memset(log, 0, sizeof *log);
  log->floor = log->newest = floor;
}

static bool same(const struct fc_hash *a, const struct fc_hash *b) {
  return memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* Returns true if `record` clears everything that `other` does. */
static bool covers(const struct clear_record *record, const struct clear_record *other) {
  return (record->any_view || (!other->any_view && same(&record->view, &other->view))) &&
         (record->any_op || (!other->any_op && same(&record->op, &other->op)));
}

/* Removes records that the new one covers, so that repeated clears of a view take one record. */
static void forget_covered(struct clear_log *log, const struct clear_record *record) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < log->n; i++)
    if (!covers(record, &log->records[i]))
      log->records[kept++] = log->records[i];
  log->n = kept;
}

static bool is_complete(const struct clear_log *log, uint64_t generation) {
  if (log->changing != 0 || log->n > CLEAR_LOG_SIZE || log->newest > generation ||
      log->floor > log->newest)
    return false;
  uint64_t last = log->floor;
  for (uint32_t i = 0; i < log->n; last = log->records[i++].generation)
    if (log->records[i].generation <= last || log->records[i].generation > log->newest)
      return false;
  return true;
}

/* Adds a record, whose names are not both any. */
static void add_record(struct clear_log *log, const struct clear_record *record) {
  forget_covered(log, record);
  if (log->n == CLEAR_LOG_SIZE) {
    log->floor = log->records[0].generation;
    log->n--;
    memmove(&log->records[0], &log->records[1], log->n * sizeof log->records[0]);
  }
  log->records[log->n++] = *record;
  check_le(log->n, CLEAR_LOG_SIZE);
  check_lt(log->floor, log->records[0].generation);
}

/* Orders the stores of a change between those of `changing`. */
static void set_changing(struct clear_log *log, uint32_t changing) {
  __atomic_store_n(&log->changing, changing, __ATOMIC_RELEASE);
  atomic_signal_fence(memory_order_seq_cst); /* as catalog_barrier */
}

/* The daemon may be killed here, too. */
void clear_log_adopt(struct clear_log *log, uint64_t generation) {
  if (FC_CATALOG_MUTANT == 16)
    log->n = 0, log->floor = 0;
  if (is_complete(log, generation))
    return;
  set_changing(log, 1);
  log->n = 0;
  log->floor = log->newest = generation;
  set_changing(log, 0);
}

void clear_log_add(struct clear_log *log, uint64_t generation, struct fc_str view,
                   struct fc_str op) {
  struct clear_record record = {
      .generation = generation, .any_view = view.data == NULL, .any_op = op.data == NULL};
  check_lt(log->newest, generation);
  check_le(log->n, CLEAR_LOG_SIZE);
  if (!record.any_view)
    record.view = fc_hash_prompt(view.data, view.size);
  if (!record.any_op)
    record.op = fc_hash_prompt(op.data, op.size);
  set_changing(log, 1);
  log->newest = generation;
  if (record.any_view && record.any_op) {
    log->n = 0;
    log->floor = generation;
  } else {
    add_record(log, &record);
  }
  set_changing(log, 0);
}

bool clear_log_stale(const struct clear_log *log, uint64_t generation, const struct fc_key *key) {
  if (generation >= log->newest)
    return false;
  if (generation < log->floor)
    return true;
  struct fc_hash view = fc_hash_prompt(key->view.data, key->view.size);
  struct fc_hash op = fc_hash_prompt(key->op.data, key->op.size);
  for (uint32_t i = log->n; i > 0 && log->records[i - 1].generation > generation; i--) {
    const struct clear_record *record = &log->records[i - 1];
    if ((record->any_view || same(&record->view, &view)) &&
        (record->any_op || same(&record->op, &op)))
      return true;
  }
  return false;
}
