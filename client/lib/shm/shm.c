#include "client/lib/shm/shm.h"

#include <string.h>

void plane_init(struct plane *plane) {
  memset(plane, 0, sizeof *plane);
  plane->lingering.fd = -1;
}

void plane_forget(struct plane *plane) {
  own_fd_close(&plane->lingering);
  plane_init(plane);
}

void plane_drop(struct plane *plane) {
  region_unmap(&plane->region);
  ring_unmap(&plane->ring);
  plane_forget(plane);
}

/* ---- the life of a connection ---- */

/* The ring's connection ends here, if it has not ended before: a daemon that lives has taken what
 * was in the ring by now, or will; one that has gone left it there. */
static void end_ring(struct plane *plane) {
  if (plane->ring.header == NULL)
    return;
  if (!own_fd_is_connected(&plane->lingering)) {
    uint64_t lost = ring_untaken(&plane->ring);
    plane->unrecorded += lost;
    plane->unreported += lost;
  }
  own_fd_close(&plane->lingering);
  ring_unmap(&plane->ring);
}

static void set_name_space(struct plane *plane, uint64_t name_space) {
  if (plane->name_space == name_space)
    return;
  plane->name_space = name_space;
  context_reseed(&plane->contexts, name_space);
  plane->context = NULL; /* its digest means nothing here */
}

/* Maps what was passed, the region if it is not there yet. False, with nothing mapped, where that
 * cannot be: hits of which the daemon is not told would spoil its order. */
static bool map_passed(struct plane *plane, const struct passed *passed) {
  bool has_region = plane->region.base != NULL;
  if (passed_is_whole(passed) &&
      (has_region || region_map_fd(&plane->region, passed->fds[0].fd, plane->boot_id)) &&
      ring_map_fd(&plane->ring, passed->fds[1].fd))
    return true;
  region_unmap(&plane->region);
  return false;
}

/* A fresh ring is there, which says what no ring has said. */
static void begin_ring(struct plane *plane) {
  plane->attended = true;
  plane->unchecked = 0;
  plane->told = plane->unreported;
  plane->unreported = 0;
  ring_set_unrecorded(&plane->ring, plane->told);
}

void plane_welcome(struct plane *plane, const struct fc_welcome *welcome,
                   const struct passed *passed) {
  end_ring(plane);
  region_unmap(&plane->region);
  if (plane->boot_id != welcome->boot_id) { /* this daemon has not seen what the last ring said */
    plane->unreported += plane->told;
    plane->told = 0;
  }
  plane->attended = plane->between_rings = false;
  plane->lacked = 0;
  plane->seek_ns = plane->seek_wait_ns = 0;
  plane->boot_id = welcome->boot_id;
  set_name_space(plane, welcome->namespace_id);
  if (welcome->namespace_id != 0 && map_passed(plane, passed))
    begin_ring(plane);
}

/* ---- another ring ---- */

bool plane_wants_ring(const struct plane *plane, uint32_t *want_slots) {
  if (!plane->attended)
    return false;
  bool revoked = (ring_state(&plane->ring) & FC_RING_REVOKED) != 0;
  *want_slots = revoked ? 0 : FC_RING_SLOTS_MAX;
  return revoked || plane->ring.n_slots < FC_RING_SLOTS_MAX;
}

bool plane_is_to_seek(struct plane *plane, uint64_t now_ns) {
  if (plane->region.base != NULL || ++plane->lacked < PLANE_SEEK_LOOKUPS)
    return false;
  if (plane->seek_ns == 0) /* since the welcome */
    plane->seek_ns = now_ns + PLANE_SEEK_MIN_NS;
  if (now_ns < plane->seek_ns)
    return false;
  plane->lacked = 0;
  plane->seek_wait_ns = plane->seek_wait_ns == 0 ? PLANE_SEEK_MIN_NS : 2 * plane->seek_wait_ns;
  if (plane->seek_wait_ns > PLANE_SEEK_MAX_NS)
    plane->seek_wait_ns = PLANE_SEEK_MAX_NS;
  plane->seek_ns = now_ns + plane->seek_wait_ns;
  return true;
}

void plane_ask_ring(struct plane *plane) {
  plane->between_rings = true;
}

void plane_keep_ring(struct plane *plane) {
  plane->between_rings = false;
}

void plane_take_ring(struct plane *plane, const struct fc_ring_reply *reply,
                     const struct passed *passed) {
  plane->between_rings = false;
  if (reply->namespace_id == 0)
    return;
  ring_unmap(&plane->ring); /* the daemon took what was in it before it answered */
  plane->attended = false;
  set_name_space(plane, reply->namespace_id);
  if (map_passed(plane, passed))
    begin_ring(plane);
}

void plane_turned_away(struct plane *plane) {
  end_ring(plane);
  plane->attended = false;
}

bool plane_can_linger(const struct plane *plane) {
  return plane->attended && plane->region.base != NULL;
}

void plane_linger(struct plane *plane, struct own_fd socket) {
  plane->lingering = socket;
}

void plane_unattended(struct plane *plane) {
  plane->attended = false; /* the ring is kept until it is sure that nobody takes anything more */
}

void plane_release_dead(struct plane *plane) {
  if (plane->region.base != NULL && !region_is_live(&plane->region))
    region_unmap(&plane->region);
}

void plane_let_go(struct plane *plane) {
  region_unmap(&plane->region);
}

bool plane_is_to_be_checked(struct plane *plane) {
  return ++plane->unchecked >= PLANE_UNCHECKED_MAX;
}

bool plane_lingers(const struct plane *plane) {
  return plane->attended && own_fd_is_connected(&plane->lingering);
}

/* ---- hits ---- */

enum region_result plane_get(struct plane *plane, const struct fc_key *key, struct fc_str probe,
                             struct fcache_value *value, struct fc_ring_hit *record) {
  struct region_hit hit;
  plane_release_dead(plane);
  if (plane->region.base == NULL)
    return REGION_MISS;
  plane->context = context_find(&plane->contexts, key, probe);
  uint64_t digest = fc_key_digest_finish(plane->context->digest, &key->prompt, key->top_k);
  enum region_result result =
      region_get(&plane->region, plane->name_space, digest, key, value, &hit);
  if (result != REGION_HIT)
    return result;
  *record = (struct fc_ring_hit){
      .top_k = key->top_k, .digest = digest, .compute_ns = hit.compute_ns, .origin = hit.origin};
  memcpy(record->prompt, key->prompt.bytes, sizeof record->prompt);
  return REGION_HIT;
}

static bool has_ring(const struct plane *plane) {
  return plane->attended && !plane->between_rings;
}

uint32_t plane_ring_state(const struct plane *plane) {
  return has_ring(plane) ? ring_state(&plane->ring) : 0;
}

bool plane_record(struct plane *plane, const struct fc_ring_hit *record) {
  return has_ring(plane) && plane->context != NULL &&
         (ring_state(&plane->ring) & (FC_RING_REVOKED | FC_RING_ENDED)) == 0 &&
         ring_hit(&plane->ring, plane->context, record);
}

void plane_count_unrecorded(struct plane *plane) {
  plane->unrecorded++;
  if (has_ring(plane) && (ring_state(&plane->ring) & FC_RING_ENDED) == 0)
    ring_set_unrecorded(&plane->ring, ++plane->told);
  else
    plane->unreported++;
}
