#include "client/lib/shm/shm.h"

#include <assert.h>
#include <string.h>

/* A ring that the daemon reads is mapped, and belongs to a namespace. */
static void check_state(const struct shm *shm) {
  assert(!shm->ring_read || (shm->ring.header != NULL && shm->name_space != 0));
  assert(shm->published + shm->unpublished <= shm->unrecorded);
}

void shm_init(struct shm *shm) {
  memset(shm, 0, sizeof *shm);
  shm->lingering.fd = -1;
}

void shm_forget(struct shm *shm) {
  fd_identity_close(&shm->lingering);
  shm_init(shm);
}

void shm_deinit(struct shm *shm) {
  region_reader_unmap(&shm->region);
  ring_writer_unmap(&shm->ring);
  shm_forget(shm);
}

/* ---- connections ---- */

/* Ends the use of the ring. A daemon that is alive has read it, or will when the lingering
 * connection closes. The hits in a ring that no daemon reads are lost, and counted. */
static void end_ring(struct shm *shm) {
  if (shm->ring.header == NULL)
    return;
  if (!fd_identity_is_connected(&shm->lingering)) {
    uint64_t lost = ring_writer_unread_hits(&shm->ring);
    shm->unrecorded += lost;
    shm->unpublished += lost;
  }
  fd_identity_close(&shm->lingering);
  ring_writer_unmap(&shm->ring);
  shm->ring_read = false;
}

static void set_name_space(struct shm *shm, uint64_t name_space) {
  if (shm->name_space == name_space)
    return;
  shm->name_space = name_space;
  labels_reseed(&shm->labels_table, name_space);
  shm->labels = NULL; /* its digest had another seed */
}

/* Maps the region, or keeps the one that is mapped and lives: the daemon has no other. */
static bool map_region(struct shm *shm, const struct received_fds *received) {
  int fds[FC_REGION_FDS_MAX];
  unsigned n = received->n - 1;
  shm_release_dead(shm);
  if (shm->region.base != NULL)
    return shm->region.n_segments == n - 1;
  for (unsigned i = 0; i < n; i++)
    fds[i] = received->fds[i].fd;
  shm->clock.tsc = (struct fc_tsc_clock){0}; /* of another header */
  return region_reader_map_fds(&shm->region, fds, n, shm->boot_id);
}

/* Maps the ring, and the region if it is not mapped yet. Returns false, with nothing mapped, if one
 * of them cannot be: hits that the daemon does not see would make its LRU order wrong. */
static bool map_received(struct shm *shm, const struct received_fds *received) {
  if (fd_passing_is_complete(received) && map_region(shm, received) &&
      ring_writer_map_fd(&shm->ring, received->fds[received->n - 1].fd))
    return true;
  region_reader_unmap(&shm->region);
  return false;
}

/* Starts the use of a new ring, in which it publishes the counts that no ring had. */
static void begin_ring(struct shm *shm) {
  shm->ring_read = true;
  shm->unchecked = 0;
  shm->published = shm->unpublished;
  shm->unpublished = 0;
  ring_writer_set_unrecorded(&shm->ring, shm->published);
  check_state(shm);
}

void shm_welcome(struct shm *shm, const struct fc_welcome *welcome,
                 const struct received_fds *received) {
  end_ring(shm);
  region_reader_unmap(&shm->region);
  if (shm->boot_id != welcome->boot_id) { /* this daemon has not seen the latest ring */
    shm->unpublished += shm->published;
    shm->published = 0;
  }
  shm->ring_in_transit = shm->region_replaced = false;
  shm->misses = 0;
  shm->request_ns = shm->request_wait_ns = 0;
  shm->boot_id = welcome->boot_id;
  set_name_space(shm, welcome->namespace_id);
  if (welcome->namespace_id != 0 && map_received(shm, received))
    begin_ring(shm);
}

/* ---- another ring ---- */

bool shm_wants_ring(const struct shm *shm, uint32_t *want_slots) {
  if (!shm->ring_read)
    return false;
  bool revoked = (ring_writer_state(&shm->ring) & FC_RING_REVOKED) != 0;
  *want_slots = revoked ? 0 : FC_RING_SLOTS_MAX;
  return revoked || shm->ring.n_slots < FC_RING_SLOTS_MAX;
}

bool shm_region_request_due(struct shm *shm, uint64_t now_ns) {
  if (shm->region.base != NULL)
    return false;
  if (shm->region_replaced) {
    shm->region_replaced = false;
    return true;
  }
  if (++shm->misses < SHM_REQUEST_LOOKUPS)
    return false;
  if (shm->request_ns == 0) /* the first time since the welcome */
    shm->request_ns = now_ns + SHM_REQUEST_MIN_NS;
  if (now_ns < shm->request_ns)
    return false;
  shm->misses = 0;
  shm->request_wait_ns = shm->request_wait_ns == 0 ? SHM_REQUEST_MIN_NS : 2 * shm->request_wait_ns;
  if (shm->request_wait_ns > SHM_REQUEST_MAX_NS)
    shm->request_wait_ns = SHM_REQUEST_MAX_NS;
  shm->request_ns = now_ns + shm->request_wait_ns;
  return true;
}

void shm_ring_requested(struct shm *shm) {
  shm->ring_in_transit = true;
}

void shm_ring_refused(struct shm *shm) {
  shm->ring_in_transit = false;
}

void shm_ring_received(struct shm *shm, const struct fc_ring_reply *reply,
                       const struct received_fds *received) {
  assert(shm->ring_in_transit);
  shm->ring_in_transit = false;
  if (reply->namespace_id == 0)
    return;
  ring_writer_unmap(&shm->ring); /* the daemon read it before it replied */
  shm->ring_read = false;
  set_name_space(shm, reply->namespace_id);
  if (map_received(shm, received))
    begin_ring(shm);
}

void shm_connection_rejected(struct shm *shm) {
  end_ring(shm);
}

bool shm_can_linger(const struct shm *shm) {
  return shm->ring_read && shm->region.base != NULL;
}

void shm_linger(struct shm *shm, struct fd_identity socket) {
  assert(shm_can_linger(shm) && shm->lingering.fd < 0);
  shm->lingering = socket;
}

void shm_connection_ended(struct shm *shm) {
  shm->ring_read = false; /* end_ring counts its hits when the next connection is made */
}

void shm_release_dead(struct shm *shm) {
  if (shm->region.base == NULL || region_reader_is_live(&shm->region))
    return;
  shm->region_replaced = region_reader_is_replaced(&shm->region);
  region_reader_unmap(&shm->region);
}

void shm_unmap_region(struct shm *shm) {
  region_reader_unmap(&shm->region);
}

bool shm_connection_check_due(struct shm *shm) {
  return ++shm->unchecked >= SHM_UNCHECKED_MAX;
}

bool shm_is_lingering(const struct shm *shm) {
  return shm->ring_read && fd_identity_is_connected(&shm->lingering);
}

/* ---- hits ---- */

enum region_reader_result shm_get(struct shm *shm, const struct fc_key *key, struct fc_str probe,
                                  struct fcache_value *value, struct fc_ring_hit *record) {
  struct region_reader_hit hit;
  shm_release_dead(shm);
  if (shm->region.base == NULL)
    return REGION_READER_MISS;
  shm->labels = labels_find(&shm->labels_table, key, probe);
  struct region_key sought = labels_key(shm->labels, shm->name_space, &key->prompt, key->top_k);
  enum region_reader_result result = region_reader_get(&shm->region, &sought, value, &hit);
  if (result != REGION_READER_HIT)
    return result;
  *record = (struct fc_ring_hit){.top_k = key->top_k,
                                 .digest = sought.digest,
                                 .compute_ns = hit.compute_ns,
                                 .origin = hit.origin};
  memcpy(record->prompt, key->prompt.bytes, sizeof record->prompt);
  return REGION_READER_HIT;
}

static bool has_ring(const struct shm *shm) {
  return shm->ring_read && !shm->ring_in_transit;
}

uint32_t shm_ring_state(const struct shm *shm) {
  return has_ring(shm) ? ring_writer_state(&shm->ring) : 0;
}

bool shm_record_hit(struct shm *shm, const struct fc_ring_hit *record) {
  return has_ring(shm) && shm->labels != NULL &&
         (ring_writer_state(&shm->ring) & (FC_RING_REVOKED | FC_RING_ENDED)) == 0 &&
         ring_writer_add_hit(&shm->ring, shm->labels, record);
}

void shm_count_unrecorded(struct shm *shm) {
  shm->unrecorded++;
  if (has_ring(shm) && (ring_writer_state(&shm->ring) & FC_RING_ENDED) == 0)
    ring_writer_set_unrecorded(&shm->ring, ++shm->published);
  else
    shm->unpublished++;
  check_state(shm);
}
