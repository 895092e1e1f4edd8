#include "client/lib/admin/times.h"

#include <string.h>

#include "client/lib/admin/admin_internal.h"
#include "client/lib/conn/request.h"

/* ---- latency, slowest ---- */

int admin_latency(struct admin *admin, bool reset, uint64_t *period_ns, admin_latency_fn *fn,
                  void *arg) {
  struct fc_latency_entry row;
  struct fc_reply reply;
  int rc = admin_check_supported(admin, CONNECTION_TOOLS, "latency");
  if (rc < 0)
    return rc;
  uint32_t id = request_begin(&admin->connection, FC_LATENCY);
  (void)fc_encode_latency(&admin->connection.request, id, reset); /* request_call checks `failed` */
  rc = request_call(&admin->connection, id, NULL, 0, &reply);
  if (rc < 0)
    return rc;
  *period_ns = reply.times.period_ns;
  while (reply.times.rows.n > 0) {
    fc_latency_next(&reply.times.rows, &row);
    fn(arg, &row);
  }
  return 0;
}

int admin_slowest(struct admin *admin, uint32_t limit, bool reset, uint64_t *period_ns,
                  admin_slow_fn *fn, void *arg) {
  struct fc_slowest slowest = {.limit = limit, .reset = reset};
  struct fc_slow_entry row;
  struct fc_reply reply;
  int rc = admin_check_supported(admin, CONNECTION_TOOLS, "slowest");
  if (rc < 0)
    return rc;
  uint32_t id = request_begin(&admin->connection, FC_SLOWEST);
  (void)fc_encode_slowest(&admin->connection.request, id,
                          &slowest); /* request_call checks `failed` */
  rc = request_call(&admin->connection, id, NULL, 0, &reply);
  if (rc < 0)
    return rc;
  *period_ns = reply.times.period_ns;
  while (reply.times.rows.n > 0) {
    fc_slow_next(&reply.times.rows, &row);
    fn(arg, &row);
  }
  return 0;
}

/* ---- expensive entries ---- */

static struct fc_str copy(char *to, struct fc_str name) {
  memcpy(to, name.data, name.size); /* the decoder rejects longer names */
  return (struct fc_str){to, name.size};
}

static void store(struct admin_costly_entry *to, const struct fc_list_entry *entry) {
  to->entry = *entry;
  to->entry.name_space = copy(to->names[0], entry->name_space);
  to->entry.key.op = copy(to->names[1], entry->key.op);
  to->entry.key.view = copy(to->names[2], entry->key.view);
}

/* The names move with their entry. */
static void move(struct admin_costly_entry *to, const struct admin_costly_entry *from) {
  store(to, &from->entry);
}

/* Inserts the entry behind those that cost as much or more. The last one leaves. */
static void add(void *arg, const struct fc_list_entry *entry) {
  struct admin_costly *costly = arg;
  struct admin_costly_entry *entries = costly->entries;
  if (costly->n == costly->limit && entry->compute_ns <= entries[costly->n - 1].entry.compute_ns)
    return;
  if (costly->n < costly->limit)
    costly->n++;
  uint32_t i = costly->n - 1;
  for (; i > 0 && entries[i - 1].entry.compute_ns < entry->compute_ns; i--)
    move(&entries[i], &entries[i - 1]);
  store(&entries[i], entry);
  uint64_t least_ns = entries[costly->n - 1].entry.compute_ns;
  if (costly->n == costly->limit && least_ns < UINT64_MAX)
    costly->min_compute_ns = least_ns + 1; /* an equal one would not enter */
}

int admin_costly(struct admin *admin, const struct fc_select *select, struct admin_costly *costly) {
  struct pages pages = {.type = FC_LIST,
                        .select = *select,
                        .order = FC_ORDER_PLACE,
                        .min_compute_ns = &costly->min_compute_ns,
                        .fn.entry = add,
                        .arg = costly};
  int rc = admin_check_supported(admin, CONNECTION_TOOLS, "slowest");
  return rc < 0 ? rc : pages_list(&admin->connection, &pages);
}
