/* Hits that the library serves itself, from the region. */
#include "client/lib/api/handle.h"
#include "proto/errors.h"

/* Makes room after the ring was full, revoked, or not read. A daemon reads a client's ring before
 * it handles that client's next request. So after a reply there is room; a larger ring comes with
 * the reply if there is one. A new connection has its own ring. */
static bool make_room(struct connection *connection) {
  uint64_t connections = connection->connections;
  uint32_t want_slots;
  if (!connection_ready(connection))
    return false;
  if (connection->connections != connections)
    return true;
  if (connection_has(connection, CONNECTION_RINGS) && shm_wants_ring(&connection->shm, &want_slots))
    return request_call_ring(connection, want_slots) == 0;
  return request_call_ping(connection) == 0;
}

/* Sends a message after a hit in a ring that sleeps: the daemon does not read such a ring before it
 * evicts. If none can be sent, the daemon finds the hit a moment later. */
static void wake_daemon(struct connection *connection) {
  if (connection_ready(connection))
    (void)request_call_ping(connection);
}

/* Tries twice, for a client that was stopped during the first try until its ring was revoked. */
static bool record_with_room(struct connection *connection, const struct fc_ring_hit *record) {
  struct shm *shm = &connection->shm;
  if (!make_room(connection))
    return false;
  if (shm_record_hit(shm, record))
    return true;
  return (shm_ring_state(shm) & FC_RING_REVOKED) != 0 && make_room(connection) &&
         shm_record_hit(shm, record);
}

/* Records and counts a hit. Returns false, with nothing counted, if that takes a message and
 * `flags` has FCACHE_LOCAL. */
static bool record_hit(struct fcache *cache, const struct fc_ring_hit *record, unsigned flags) {
  struct shm *shm = &cache->connection.shm;
  bool counts = (record->flags & FC_RING_UNRECORDED) == 0, is_local = (flags & FCACHE_LOCAL) != 0;
  uint32_t state = shm_ring_state(shm);
  if (state != 0 && is_local)
    return false;
  bool recorded = shm_record_hit(shm, record);
  if (!recorded && is_local)
    return false;
  cache->counters.region_hits += counts;
  if (!recorded && !record_with_room(&cache->connection, record) && counts)
    shm_count_unrecorded(shm);
  if (recorded && (state & FC_RING_ASLEEP) != 0)
    wake_daemon(&cache->connection);
  return true;
}

/* Requests the region from time to time if the welcome came without it, and at once if the daemon
 * has replaced it. */
static void request_region(struct connection *connection, unsigned flags, uint64_t now_ns) {
  if (connection->wants_region && (flags & FCACHE_LOCAL) == 0 &&
      connection->state == CONNECTION_UP && connection_has(connection, CONNECTION_RINGS) &&
      shm_region_request_due(&connection->shm, now_ns) && connection_ready(connection))
    (void)request_call_ring(connection, 0); /* on failure the lookup uses the socket */
}

int handle_hit(struct fcache *cache, const struct fc_key *key, unsigned flags,
               struct fcache_value *value, uint64_t *now_ns) {
  struct connection *connection = &cache->connection;
  struct fc_ring_hit record;
  /* A callback during this call may have forked: the child has no region. */
  (void)connection_leave_parent(connection);
  if (connection->shm.region.base == NULL)
    request_region(connection, flags, *now_ns);
  enum region_reader_result result =
      shm_get(&connection->shm, key, handle_probe(cache), value, &record);
  if (result == REGION_READER_NOMEM)
    return connection_set_error(connection, FC_ENOMEM, "out of memory for a value");
  if (result != REGION_READER_HIT)
    return FCACHE_MISS;
  record.end_ns = shm_end_ns(&connection->shm); /* before a callback may fork */
  if (shm_connection_check_due(&connection->shm) &&
      !connection_allows_hits(connection, (flags & FCACHE_LOCAL) != 0))
    return FCACHE_MISS;
  record.wall_ns = record.end_ns > *now_ns ? record.end_ns - *now_ns : 0;
  record.flags = (flags & FCACHE_UNRECORDED) != 0 ? FC_RING_UNRECORDED : 0;
  if (!record_hit(cache, &record, flags))
    return FCACHE_MISS;
  *now_ns = record.end_ns;
  return FCACHE_OK;
}
