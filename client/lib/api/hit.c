/* Hits that the library serves itself, from the region. */
#include "client/lib/api/handle.h"
#include "proto/errors.h"

static int ping(struct link *link) {
  struct fc_reply reply;
  uint32_t id = link_begin(link, FC_PING);
  (void)fc_encode_simple(&link->request, FC_PING, id); /* the exchange looks at `failed` */
  return link_exchange(link, id, NULL, 0, &reply);
}

/* The ring was full or revoked, or had nobody to read it. A daemon takes what is in a client's ring
 * before it handles that client's next request: so once that is answered there is room, and a
 * larger ring besides, where there is one. Or there is a new connection, with a ring of its own. */
static bool make_room(struct link *link) {
  uint64_t connections = link->connections;
  uint32_t want_slots;
  if (!link_ready(link))
    return false;
  if (link->connections != connections)
    return true;
  if (link_has_rings(link) && plane_wants_ring(&link->plane, &want_slots))
    return link_exchange_ring(link, want_slots) == 0;
  return ping(link) == 0;
}

/* The daemon no longer looks at this ring before it evicts: the hit that is in it now counts as one
 * that was a message, and is followed by one. Where none can be sent the daemon finds it by itself,
 * a moment later. */
static void wake_daemon(struct link *link) {
  if (link_ready(link))
    (void)ping(link);
}

/* A second try is for a client that was stopped in the first one, until its ring was revoked. */
static bool record_with_room(struct link *link, const struct fc_ring_hit *record) {
  struct plane *plane = &link->plane;
  if (!make_room(link))
    return false;
  if (plane_record(plane, record))
    return true;
  return (plane_ring_state(plane) & FC_RING_REVOKED) != 0 && make_room(link) &&
         plane_record(plane, record);
}

/* False where that takes a message, and there is to be none: nothing is counted then. */
static bool record_hit(struct fcache *cache, const struct fc_ring_hit *record, unsigned flags) {
  struct plane *plane = &cache->link.plane;
  bool counts = (record->flags & FC_RING_UNRECORDED) == 0, is_local = (flags & FCACHE_LOCAL) != 0;
  uint32_t state = plane_ring_state(plane);
  if (state != 0 && is_local)
    return false;
  bool recorded = plane_record(plane, record);
  if (!recorded && is_local)
    return false;
  cache->counters.region_hits += counts;
  if (!recorded && !record_with_room(&cache->link, record) && counts)
    plane_count_unrecorded(plane);
  if (recorded && (state & FC_RING_ASLEEP) != 0)
    wake_daemon(&cache->link);
  return true;
}

/* There was no region to be had at the welcome, or none that could be mapped. */
static void seek_region(struct link *link, unsigned flags, uint64_t now_ns) {
  if (link->region && (flags & FCACHE_LOCAL) == 0 && link->state == LINK_UP &&
      link_has_rings(link) && plane_is_to_seek(&link->plane, now_ns) && link_ready(link))
    (void)link_exchange_ring(link, 0); /* where it fails, the lookup goes by what is left */
}

int handle_hit(struct fcache *cache, const struct fc_key *key, unsigned flags,
               struct fcache_value *value, uint64_t *now_ns) {
  struct fc_ring_hit record;
  /* A callback within this call may have forked: the child has no region to read. */
  (void)link_leave_parent(&cache->link);
  if (cache->link.plane.region.base == NULL)
    seek_region(&cache->link, flags, *now_ns);
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
