#include "client/lib/shm/labels.h"

#include <assert.h>
#include <string.h>

/* An unused set has an empty op, which no valid key has. */
static bool labels_match(const struct labels *labels, const struct fc_key *key,
                         struct fc_str probe) {
  const uint8_t *names = labels->names;
  return labels->op_size == key->op.size && labels->view_size == key->view.size &&
         labels->probe_size == probe.size && memcmp(names, key->op.data, key->op.size) == 0 &&
         memcmp(names + key->op.size, key->view.data, key->view.size) == 0 &&
         (probe.size == 0 || memcmp(labels->probe, probe.data, probe.size) == 0);
}

static void set_names(struct labels *labels, const struct fc_key *key, struct fc_str probe) {
  labels->op_size = (uint8_t)key->op.size;
  labels->view_size = (uint8_t)key->view.size;
  labels->probe_size = (uint8_t)probe.size;
  region_reader_pack_names(labels->names, key);
  if (probe.size > 0)
    memcpy(labels->probe, probe.data, probe.size);
}

const struct labels *labels_find(struct labels_table *table, const struct fc_key *key,
                                 struct fc_str probe) {
  if (labels_match(&table->list[table->latest], key, probe))
    return &table->list[table->latest];
  for (uint8_t i = 0; i < FC_RING_CONTEXTS; i++)
    if (labels_match(&table->list[i], key, probe)) {
      table->latest = i;
      return &table->list[i];
    }
  assert(key->op.size > 0 && key->op.size <= FC_NAME_MAX && key->view.size <= FC_NAME_MAX &&
         probe.size <= FC_NAME_MAX);
  table->latest = (uint8_t)(table->last_serial % FC_RING_CONTEXTS);
  struct labels *labels = &table->list[table->latest];
  set_names(labels, key, probe);
  labels->serial = ++table->last_serial;
  labels->index = table->latest;
  labels->digest = fc_key_digest_names(table->seed, key->op, key->view);
  return labels;
}

void labels_reseed(struct labels_table *table, uint64_t seed) {
  uint64_t last_serial = table->last_serial; /* a serial is never reused for other names */
  memset(table, 0, sizeof *table);
  table->last_serial = last_serial;
  table->seed = seed;
}
