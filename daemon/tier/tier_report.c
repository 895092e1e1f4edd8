/* The transport's part of the report on the tier: its servers and its memory. */
#include "daemon/tier/tier_internal.h"
#include "daemon/tier/tier_io.h"
#include "daemon/tier/tier_link.h"

static void report_breaker(const struct tier_link *link, size_t class,
                           struct tier_breaker_report *report) {
  report->state = link->breakers[class].state;
  report->since_ns = link->since_ns[class];
  report->error = link->causes[class];
}

bool tier_io_next_server(void *arg, uint64_t after, struct tier_server_report *report) {
  const struct tier_io *tier = arg;
  const struct tier_link *found = NULL;
  const struct tier_link *first = tier->links;
  if (tier->is_cluster && first->next != NULL) /* the first one is only asked for the map */
    first = first->next;
  for (const struct tier_link *s = first; s != NULL; s = s->next)
    if (s->serial > after && (found == NULL || s->serial < found->serial))
      found = s;
  if (found == NULL)
    return false;
  report->serial = found->serial;
  report->address = found->name;
  report->role = found->role;
  report->slots = found->n_slots;
  report->connected = found->state == LINK_READY;
  report->in_flight = found->calls.n + found->n_queued;
  for (size_t i = 0; i < FLEET_OP_CLASSES; i++) {
    report_breaker(found, i, &report->breakers[i]);
    report->latencies[i] = &found->latencies[i];
  }
  report->reads = found->counts.reads;
  report->hits = found->counts.hits;
  report->misses = found->counts.misses;
  report->writes = found->counts.writes;
  report->timeouts = found->counts.timeouts;
  report->errors = found->counts.errors;
  report->reconnects = found->counts.connections > 0 ? found->counts.connections - 1 : 0;
  report->redirects = found->counts.redirects;
  return true;
}

uint64_t tier_io_bytes_max(uint64_t reply_bytes, bool tls) {
  uint64_t stream =
      TIER_STREAM_SEND_BYTES + (tls ? TIER_STREAM_CIPHER_BYTES + TLS_SESSION_BYTES_MAX : 0);
  uint64_t link = sizeof(struct tier_link) + stream + TIER_CALLS_MAX * sizeof(struct tier_call) +
                  2 * (RESP_LARGE_BYTES + TIER_STREAM_READ_BYTES);
  uint64_t large = 2 * (reply_bytes > TIER_REPLY_LIST ? reply_bytes : TIER_REPLY_LIST);
  uint64_t library = TLS_LIBRARY_BYTES_MAX; /* the hashes of scripts need it too */
  if (tls)
    library += 2 * TLS_CONTEXT_BYTES_MAX; /* an old and a new one while files are loaded again */
  return sizeof(struct tier_io) + library + TIER_SERVERS_MAX * link + large;
}
