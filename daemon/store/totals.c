#include "daemon/store/totals.h"

void totals_begin(struct totals *totals, uint64_t now_unix_ns) {
  totals->daemons++;
  if (totals->created_unix_ns == 0)
    totals->created_unix_ns = now_unix_ns;
  if (totals->trace.written <= totals->trace.events)
    totals->trace.lost = totals->trace.events - totals->trace.written;
}

struct totals totals_since(const struct totals *now, const struct totals *before) {
  struct totals since;
  const uint64_t *a = (const uint64_t *)now, *b = (const uint64_t *)before;
  uint64_t *out = (uint64_t *)&since;
  for (size_t i = 0; i < sizeof since / sizeof *out; i++)
    out[i] = a[i] - b[i];
  since.counters.max_batch_size = now->counters.max_batch_size;
  since.next_client_id = now->next_client_id;
  since.lease_secret = now->lease_secret;
  since.last_delete = now->last_delete;
  since.tier_version = now->tier_version;
  since.created_unix_ns = now->created_unix_ns;
  return since;
}
