/* Hits that the library serves itself, from the region. */
#include "client/handle.h"
#include "proto/errors.h"

/* The ring was full, or had nobody to read it. A daemon takes what is in a client's ring before it
 * handles that client's next request: so a ping, once it is answered, has made room. Or there is a
 * new connection, with a ring of its own. */
static bool make_room(struct link *link) {
  uint64_t connections = link->connections;
  struct fc_reply reply;
  if (!link_ready(link))
    return false;
  if (link->connections != connections)
    return true;
  uint32_t id = link_begin(link, FC_PING);
  (void)fc_encode_simple(&link->request, FC_PING, id); /* the exchange looks at `failed` */
  return link_exchange(link, id, NULL, 0, &reply) == 0;
}

/* False where that takes a message, and there is to be none: nothing is counted then. */
static bool record_hit(struct fcache *cache, const struct fc_ring_hit *record, unsigned flags) {
  struct plane *plane = &cache->link.plane;
  bool counts = (record->flags & FC_RING_UNRECORDED) == 0;
  bool recorded = plane_record(plane, record);
  if (!recorded && (flags & FCACHE_LOCAL) != 0)
    return false;
  cache->counters.region_hits += counts;
  if (!recorded && !(make_room(&cache->link) && plane_record(plane, record)) && counts)
    plane_count_unrecorded(plane);
  return true;
}

int handle_hit(struct fcache *cache, const struct fc_key *key, unsigned flags,
               struct fcache_value *value, uint64_t *now_ns) {
  struct fc_ring_hit record;
  /* A callback within this call may have forked: the child has no region to read. */
  (void)link_leave_parent(&cache->link);
  enum region_result result =
      plane_get(&cache->link.plane, key, handle_probe(cache), value, &record);
  if (result == REGION_NOMEM)
    return link_fault(&cache->link, FC_ENOMEM, "no memory for a value from the region");
  if (result != REGION_HIT)
    return FCACHE_MISS;
  if (plane_is_to_be_checked(&cache->link.plane) &&
      !link_serves_hits(&cache->link, (flags & FCACHE_LOCAL) != 0))
    return FCACHE_MISS;
  record.end_ns = channel_clock_ns();
  record.wall_ns = record.end_ns - *now_ns;
  record.flags = (flags & FCACHE_UNRECORDED) != 0 ? FC_RING_UNRECORDED : 0;
  if (!record_hit(cache, &record, flags))
    return FCACHE_MISS;
  *now_ns = record.end_ns;
  return FCACHE_OK;
}
