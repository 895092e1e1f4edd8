/* shm.h - a handle's second way to its daemon, beside the socket: the region, from
 * which it serves its own hits, and the ring, in which it tells of them.
 *
 * Both belong to one connection, and come with its welcome. They outlive it where that
 * is of use:
 *
 *   attended     the daemon takes what the ring holds: while the connection lasts, and
 *                while one that was given up for a missed deadline lingers, open, until
 *                a new one is welcomed or turned away. Closed then, it makes the daemon
 *                take the rest.
 *   unattended   the daemon ended the connection: hits go on as long as the region is
 *                live, and count as unrecorded; the next ring tells their number.
 *
 *
 * The ring may be replaced while the connection lasts: by a larger one when it is full, or by an
 * ordinary one when it was revoked. Where the welcome came without region and ring, or they could
 * not be mapped, they are asked for again later (plane_is_to_seek).
 *
 * A region that is dead or retired is let go of at the next call. What cannot be
 * mapped is not there, silently: the socket does it all meanwhile. One thread. */
#ifndef FC_CLIENT_PLANE_H
#define FC_CLIENT_PLANE_H

#include <stdbool.h>

#include "client/lib/shm/fd_passing.h"
#include "client/lib/shm/labels.h"
#include "client/lib/shm/region_reader.h"
#include "client/lib/shm/ring_writer.h"
#include "client/lib/util/fd_identity.h"
#include "proto/wire/message.h"

/* So many hits are served without a look at the connection. The region says itself when its daemon
 * has ended; but where an old kernel freed a killed daemon's memory early, it could not mark that.
 */
#define PLANE_UNCHECKED_MAX 1024u

/* So many lookups without a region, and so much time, before it is asked for again; the time
 * doubles up to the maximum. */
#define PLANE_SEEK_LOOKUPS 64u
#define PLANE_SEEK_MIN_NS UINT64_C(1000000000)
#define PLANE_SEEK_MAX_NS UINT64_C(64000000000)

struct plane {
  struct region_map region; /* none: no hits from here */
  struct ring ring;
  bool attended;
  bool between_rings;      /* another was asked for, and no answer has come: this one may be gone */
  struct own_fd lingering; /* the connection that was given up, if any */
  uint64_t boot_id, name_space; /* of the welcome that the two came with */
  struct contexts contexts;
  const struct context *context;  /* of the latest hit; NULL: of another daemon's */
  uint64_t unrecorded;            /* hits that no daemon was or will be told of one by one, ever */
  uint64_t told;                  /* of these, what the ring says, or the last one said */
  uint64_t unreported;            /* of these, what no ring has said */
  uint32_t unchecked;             /* hits since the connection was looked at */
  uint32_t lacked;                /* lookups without a region, since it was asked for */
  uint64_t seek_ns, seek_wait_ns; /* when it is to be asked for, and how long that was put off */
};

void plane_init(struct plane *plane);

/* Unmaps and closes everything, without a word to the daemon: at the end. Is as after plane_init.
 */
void plane_drop(struct plane *plane);

/* The same in a forked child, where nothing is mapped: only the descriptor is closed. */
void plane_forget(struct plane *plane);

/* A welcome has come, with what was passed beside it, which stays the caller's to close. What was
 * there before is let go of. */
void plane_welcome(struct plane *plane, const struct fc_welcome *welcome,
                   const struct passed *passed);

/* What `ring` is to ask for, where a hit could not be recorded: the size (fc_ring_request), or
 * false where another ring would not help. */
bool plane_wants_ring(const struct plane *plane, uint32_t *want_slots);

/* Counts a lookup. True where the region is not there, and is to be asked for now. */
bool plane_is_to_seek(struct plane *plane, uint64_t now_ns);

/* Another ring is asked for: until plane_take_ring, or plane_keep_ring where it was refused, hits
 * are not recorded, since the daemon may have handed over the new one already. */
void plane_ask_ring(struct plane *plane);
void plane_keep_ring(struct plane *plane);

/* The answer has come, with what was passed beside it, which stays the caller's to close. The ring
 * that was there before is let go of, if there is another one. */
void plane_take_ring(struct plane *plane, const struct fc_ring_reply *reply,
                     const struct passed *passed);

/* Is it worth keeping the connection open when it is given up? */
bool plane_can_linger(const struct plane *plane);
/* Takes it. */
void plane_linger(struct plane *plane, struct own_fd socket);

/* A new connection was ended by its other side, without a welcome. So somebody is there, who will
 * take what the ring holds; and it may be the one that lingers for which no other is let in. */
void plane_turned_away(struct plane *plane);

/* The connection has ended, and does not linger. */
void plane_unattended(struct plane *plane);

/* Unmaps the region where its daemon has ended: its memory stays allocated as long as somebody maps
 * it. Two loads where there is nothing to do. */
void plane_release_dead(struct plane *plane);

/* Unmaps the region whatever it says. */
void plane_let_go(struct plane *plane);

/* Counts a hit. True where the connection is to be looked at before one more is served: see
 * link_serves_hits, which sets `unchecked` to 0. */
bool plane_is_to_be_checked(struct plane *plane);

/* Is there a connection that lingers, with the daemon still at its other end? */
bool plane_lingers(const struct plane *plane);

/* Looks up a key whose names are valid. A hit fills `value`, and *record but for its times and
 * flags. Without a region: a miss. */
enum region_result plane_get(struct plane *plane, const struct fc_key *key, struct fc_str probe,
                             struct fcache_value *value, struct fc_ring_hit *record);

/* Is there a message to be sent with the latest hit, as the daemon shows by the ring? */
uint32_t plane_ring_state(const struct plane *plane);

/* Records the latest hit. False where the ring is full or revoked, or its connection has ended.
 */
bool plane_record(struct plane *plane, const struct fc_ring_hit *record);

/* Counts a hit that could not be recorded, and tells the daemon the number. */
void plane_count_unrecorded(struct plane *plane);

#endif
