#include "client/plane.h"

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

void plane_welcome(struct plane *plane, const struct fc_welcome *welcome,
                   const struct passed *passed) {
  end_ring(plane);
  region_unmap(&plane->region);
  if (plane->boot_id != welcome->boot_id) { /* this daemon has not seen what the last ring said */
    plane->unreported += plane->told;
    plane->told = 0;
  }
  plane->attended = false;
  plane->boot_id = welcome->boot_id;
  if (plane->name_space != welcome->namespace_id) {
    plane->name_space = welcome->namespace_id;
    context_reseed(&plane->contexts, welcome->namespace_id);
    plane->context = NULL; /* its digest means nothing here */
  }
  if (welcome->namespace_id == 0 || !passed_is_whole(passed) ||
      !region_map_fd(&plane->region, passed->fds[0].fd, welcome->boot_id))
    return;
  if (!ring_map_fd(&plane->ring, passed->fds[1].fd)) {
    region_unmap(&plane->region); /* hits that nobody hears of would spoil the order */
    return;
  }
  plane->attended = true;
  plane->unchecked = 0;
  plane->told = plane->unreported;
  plane->unreported = 0;
  ring_set_unrecorded(&plane->ring, plane->told);
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

bool plane_record(struct plane *plane, const struct fc_ring_hit *record) {
  return plane->attended && plane->context != NULL &&
         ring_hit(&plane->ring, plane->context, record);
}

void plane_count_unrecorded(struct plane *plane) {
  plane->unrecorded++;
  if (plane->attended)
    ring_set_unrecorded(&plane->ring, ++plane->told);
  else
    plane->unreported++;
}
