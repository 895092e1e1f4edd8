#include "daemon/leases/lease_records.h"

#include <string.h>

#include "daemon/base/check.h"

#define BITS 64u
#define COMMIT_STEP 64u /* records: 16 KiB */

void lease_records_init(struct lease_records *records, struct lease_record *all, uint32_t n,
                        lease_records_commit_fn *commit, void *commit_arg) {
  assert(n >= 2 && n <= LEASE_RECORDS_MAX);
  memset(records, 0, sizeof *records);
  records->all = all;
  records->n = n;
  records->commit = commit;
  records->commit_arg = commit_arg;
  records->lowest = 1;
  records->used[0] = 1; /* the head */
}

/* Relaxed loads and the order of the program suffice: a killed daemon has no other thread here. */
static uint32_t load(const struct lease_record *record) {
  return atomic_load_explicit(&record->in_use, memory_order_relaxed);
}

/* Release: the compiler keeps all stores to the record before this one. */
static void store(struct lease_record *record, uint32_t in_use) {
  atomic_store_explicit(&record->in_use, in_use, memory_order_release);
}

uint32_t lease_records_end(const struct lease_records *records) {
  if (records->all == NULL)
    return 0;
  uint32_t end = load(&records->all[0]);
  return end < records->n ? end : records->n;
}

/* ---- the bitmap of free records ---- */

static bool is_used(const struct lease_records *records, uint32_t number) {
  return (records->used[number / BITS] >> number % BITS & 1) != 0;
}

static void set_used(struct lease_records *records, uint32_t number, bool used) {
  uint64_t bit = UINT64_C(1) << number % BITS;
  check_eq(is_used(records, number), !used);
  records->used[number / BITS] ^= bit;
}

/* Returns the lowest free record, or records->n. */
static uint32_t find_free(struct lease_records *records) {
  uint32_t at = records->lowest;
  while (at < records->n && is_used(records, at))
    at = records->used[at / BITS] == UINT64_MAX ? (at / BITS + 1) * BITS : at + 1;
  records->lowest = at < records->n ? at : records->n;
  return records->lowest;
}

static bool make_usable(struct lease_records *records, uint32_t number) {
  if (records->commit == NULL || number < records->n_committed)
    return true;
  uint32_t n = (number / COMMIT_STEP + 1) * COMMIT_STEP;
  n = n < records->n ? n : records->n;
  if (!records->commit(records->commit_arg, n))
    return false;
  records->n_committed = n;
  return true;
}

size_t lease_records_bytes_max(uint32_t leases) {
  size_t n = leases < LEASE_RECORDS_MAX ? (size_t)leases + COMMIT_STEP : LEASE_RECORDS_MAX;
  return (n < LEASE_RECORDS_MAX ? n : LEASE_RECORDS_MAX) * sizeof(struct lease_record);
}

size_t lease_records_bytes(const struct lease_records *records) {
  return (size_t)lease_records_end(records) * sizeof(struct lease_record);
}

/* ---- records ---- */

bool lease_records_is_valid(const struct lease_records *records, uint32_t number) {
  const struct lease_record *record = &records->all[number];
  if (load(record) != 1 || (size_t)record->op_size + record->view_size > sizeof record->names)
    return false;
  struct fc_key key = lease_record_key(record);
  return fc_name_valid(key.op) && fc_name_valid(key.view) && record->pid >= 0 &&
         record->granted_ns <= record->end_ns;
}

struct fc_key lease_record_key(const struct lease_record *record) {
  struct fc_key key = {.op = {record->names, record->op_size},
                       .view = {record->names + record->op_size, record->view_size},
                       .top_k = record->top_k};
  memcpy(key.prompt.bytes, record->prompt, sizeof key.prompt.bytes);
  return key;
}

/* Copies all but `in_use`. */
static void write_record(struct lease_record *record, const struct lease_record *from) {
  const size_t skip = offsetof(struct lease_record, top_k);
  memcpy((char *)record + skip, (const char *)from + skip, sizeof *record - skip);
}

bool lease_record_set_key(struct lease_record *record, const struct fc_key *key) {
  if ((size_t)key->op.size + key->view.size > sizeof record->names)
    return false;
  record->top_k = key->top_k;
  record->op_size = (uint8_t)key->op.size;
  record->view_size = (uint8_t)key->view.size;
  memcpy(record->prompt, key->prompt.bytes, sizeof record->prompt);
  memcpy(record->names, key->op.data, key->op.size);
  memcpy(record->names + key->op.size, key->view.data, key->view.size);
  return true;
}

uint32_t lease_records_add(struct lease_records *records, const struct lease_record *content) {
  uint32_t number = find_free(records);
  if (number == records->n || !make_usable(records, number))
    return 0;
  struct lease_record *record = &records->all[number];
  set_used(records, number, true);
  if (number >= lease_records_end(records))
    store(&records->all[0], number + 1); /* before the record is in use, or it would not be read */
  write_record(record, content);
  store(record, 1);
  return number;
}

void lease_records_keep(struct lease_records *records, uint32_t number) {
  assert(number > 0 && number < lease_records_end(records));
  set_used(records, number, true);
}

void lease_records_remove(struct lease_records *records, uint32_t number) {
  if (number == 0)
    return;
  assert(number < records->n);
  store(&records->all[number], 0);
  atomic_thread_fence(memory_order_seq_cst); /* what is stored there next comes after it */
  if (is_used(records, number))
    set_used(records, number, false);
  if (number < records->lowest)
    records->lowest = number;
}
