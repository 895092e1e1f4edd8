/* shm.h - the shared memory of a connection: the region, from which a handle serves its own hits,
 * and the ring, in which it records them for the daemon.
 *
 * Both come with the welcome of a connection, and may outlive it. `ring_read` is true while the
 * daemon reads the ring: while the connection is open, and while a connection that missed its
 * deadline lingers. A lingering connection stays open, unused, until the daemon welcomes or rejects
 * the next one. Then the client closes it, and the daemon reads the rest of the ring.
 *
 * After the daemon closed the connection, `ring_read` is false. Hits go on while the region is
 * live, and are only counted. The next ring publishes their number.
 *
 * A ring may be replaced while its connection is open: by a larger one if it is full, by one of the
 * usual size if the daemon revoked it. If the welcome came without region and ring, or they could
 * not be mapped, the client requests them again later (shm_region_request_due).
 *
 * A dead or retired region is unmapped at the next call. If the daemon lives and serves from
 * another region, the client requests that one at once. Without a region every lookup goes over the
 * socket. One thread. */
#ifndef FC_CLIENT_SHM_H
#define FC_CLIENT_SHM_H

#include <stdbool.h>

#include "client/lib/shm/fd_passing.h"
#include "client/lib/shm/hit_clock.h"
#include "client/lib/shm/labels.h"
#include "client/lib/shm/region_reader.h"
#include "client/lib/shm/ring_writer.h"
#include "client/lib/util/fd_identity.h"
#include "proto/wire/message.h"

/* Hits between two checks of the connection. The region itself shows that its daemon has ended. But
 * an old kernel may free the memory of a killed daemon before it can set that mark. */
#define SHM_UNCHECKED_MAX 1024u

/* Lookups without a region, and time, between two requests for it. The time doubles up to the
 * maximum. */
#define SHM_REQUEST_LOOKUPS 64u
#define SHM_REQUEST_MIN_NS UINT64_C(1000000000)
#define SHM_REQUEST_MAX_NS UINT64_C(64000000000)

struct shm {
  struct region_reader region;
  struct ring_writer ring;
  struct hit_clock clock;
  bool ring_read;       /* the daemon reads the ring */
  bool ring_in_transit; /* a ring was requested: the daemon may not read this one any more */
  struct fd_identity lingering; /* socket of the connection that missed its deadline, if any */
  uint64_t boot_id, name_space; /* of the welcome */
  struct labels_table labels_table;
  const struct labels *labels; /* of the latest lookup; NULL: none since the namespace changed */
  uint64_t unrecorded;         /* hits that no ring recorded, ever */
  uint64_t published;          /* of these, the number in the latest ring */
  uint64_t unpublished;        /* of these, the number in no ring */
  uint32_t unchecked;          /* hits since the connection was checked */
  bool region_replaced;        /* the daemon has another region, which was not requested yet */
  uint32_t misses;             /* lookups without a region, since the latest request for it */
  uint64_t request_ns;         /* time of the next request; 0: not set */
  uint64_t request_wait_ns;    /* current interval between requests */
};

void shm_init(struct shm *shm);

/* Unmaps and closes everything, without a message. Leaves the state of shm_init. */
void shm_deinit(struct shm *shm);

/* shm_deinit for a forked child, which has no mappings: closes the descriptor only. */
void shm_forget(struct shm *shm);

/* Replaces region and ring after a welcome. The caller keeps and closes the descriptors. */
void shm_welcome(struct shm *shm, const struct fc_welcome *welcome,
                 const struct received_fds *received);

/* Returns whether another ring would help after a hit was not recorded, with the size to request in
 * *want_slots (see fc_ring_request). */
bool shm_wants_ring(const struct shm *shm, uint32_t *want_slots);

/* Counts a lookup. Returns true if there is no region and it is time to request one: at once for
 * the region that replaced one, once. */
bool shm_region_request_due(struct shm *shm, uint64_t now_ns);

/* Marks that the client requests another ring. Until shm_ring_received or shm_ring_refused no hit
 * is recorded, since the daemon may have switched to the new ring. */
void shm_ring_requested(struct shm *shm);
void shm_ring_refused(struct shm *shm);

/* Replaces the ring after the reply, if there is one. The caller keeps and closes the
 * descriptors. */
void shm_ring_received(struct shm *shm, const struct fc_ring_reply *reply,
                       const struct received_fds *received);

/* Returns whether a connection that missed its deadline should linger. */
bool shm_can_linger(const struct shm *shm);

/* Takes ownership of the socket of such a connection. */
void shm_linger(struct shm *shm, struct fd_identity socket);

/* The daemon closed a new connection before the welcome. A process that accepts is there to read
 * the ring, and the lingering connection may be the reason why no other is admitted: closes it. */
void shm_connection_rejected(struct shm *shm);

/* The connection has ended and does not linger. */
void shm_connection_ended(struct shm *shm);

/* Unmaps the region if its daemon has ended, to free its memory. Two loads otherwise. */
void shm_release_dead(struct shm *shm);

/* Unmaps the region. */
void shm_unmap_region(struct shm *shm);

/* Counts a hit. Returns true if the connection must be checked before the hit is served
 * (connection_allows_hits, which sets `unchecked` to 0). */
bool shm_connection_check_due(struct shm *shm);

/* Returns whether a connection lingers and the daemon has not closed it. */
bool shm_is_lingering(const struct shm *shm);

/* Return the time of the begin and of the end of a lookup, by the hits' clock. */
static inline uint64_t shm_begin_ns(struct shm *shm) {
  return hit_clock_begin(&shm->clock, shm->region.header);
}
static inline uint64_t shm_end_ns(struct shm *shm) {
  return hit_clock_end(&shm->clock, shm->region.header);
}

/* Returns the time since `begin_ns`, which is 0 if the process has forked and its clock began anew
 * a moment behind. */
static inline uint64_t shm_since_ns(struct shm *shm, uint64_t begin_ns) {
  uint64_t end_ns = shm_end_ns(shm);
  return end_ns > begin_ns ? end_ns - begin_ns : 0;
}

/* Looks up a key with valid names. Fills `value` on a hit, and *record without its times and
 * flags. REGION_READER_MISS without a region. */
enum region_reader_result shm_get(struct shm *shm, const struct fc_key *key, struct fc_str probe,
                                  struct fcache_value *value, struct fc_ring_hit *record);

/* Returns the daemon's flags for the ring, 0 without one. Not 0: the latest hit needs a message. */
uint32_t shm_ring_state(const struct shm *shm);

/* Returns the slot of the ring in which the next hit of these labels is recorded, if nothing
 * unusual is due: the daemon reads the ring, no flag is set, it has the labels and room, and the
 * connection need not be checked. NULL: use the functions below. Publish with shm_publish_hit. */
static inline struct fc_ring_hit *shm_next_hit(const struct shm *shm, const struct labels *labels) {
  if (!shm->ring_read || shm->ring_in_transit || ring_writer_state(&shm->ring) != 0 ||
      shm->unchecked + 1 >= SHM_UNCHECKED_MAX)
    return NULL;
  return ring_writer_next(&shm->ring, labels);
}
static inline void shm_publish_hit(struct shm *shm) {
  shm->unchecked++;
  ring_writer_publish(&shm->ring);
}

/* The names or the probe of the handle's keys change: the latest labels are no hint any more. */
static inline void shm_forget_labels(struct shm *shm) {
  shm->labels = NULL;
}

/* Records the latest hit. Returns false if the ring is full or revoked, or the daemon does not read
 * it. */
bool shm_record_hit(struct shm *shm, const struct fc_ring_hit *record);

/* Counts a hit that was not recorded, and publishes the count in the ring if the daemon reads it.
 */
void shm_count_unrecorded(struct shm *shm);

#endif
