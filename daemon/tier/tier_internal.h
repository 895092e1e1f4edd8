/* tier_internal.h - the transport's state, shared by the files of daemon/tier. */
#ifndef FC_DAEMON_TIER_INTERNAL_H
#define FC_DAEMON_TIER_INTERNAL_H

#include "daemon/os/ticker.h"
#include "daemon/tier/key_slot.h"
#include "daemon/tier/reply_error.h"
#include "daemon/tier/tier_commands.h"
#include "daemon/tier/tier_config.h"
#include "daemon/tier/tier_stream.h"

struct tier_link;

struct tier_io {
  struct fleet_io io; /* first: the fleet has a pointer to it */
  struct tier_io_config config;
  struct tls_context tls;
  struct tier_scripts scripts;
  struct ticker timer; /* the earliest deadline or probe */
  uint64_t armed_ns;   /* UINT64_MAX: the timer is stopped */
  uv_idle_t turn;      /* runs once before the loop waits */
  uv_check_t judge;    /* runs after the loop has received, when deadlines may have passed */
  bool judging, closing;
  struct tier_link *links; /* owned; the first is that of the URLs */
  uint64_t serials;        /* given out */
  bool is_cluster;
  struct tier_link *table[TIER_SERVERS_MAX]; /* the servers of the cluster; NULL: unused */
  uint8_t slots[KEY_SLOTS];                  /* 1 + the place in the table; 0: no server */
  bool refresh_wanted, full_logged;
  uint64_t refreshed_ns;
  struct tier_link *large; /* receives a reply of more than RESP_LARGE_BYTES; NULL: none */
  struct tier_read_buffers buffers;
};

/* tier_io.c: make the next turn come at once, and another one at a time. */
void tier_io_schedule(struct tier_io *tier);
void tier_io_wake_at(struct tier_io *tier, uint64_t at_ns);

/* tier_router.c: returns whether keys of the slot belong to the server. All do without a cluster,
 * and to a server that has no slots. */
bool tier_io_owns_slot(const struct tier_io *tier, const struct tier_link *link, uint16_t slot);

/* A reply of more than RESP_LARGE_BYTES is received by one server at a time. Returns whether the
 * server may go on. It is paused if not, and resumes when its turn comes. */
bool tier_io_take_large(struct tier_io *tier, struct tier_link *link);
void tier_io_release_large(struct tier_io *tier, struct tier_link *link);

/* Submits an op to the server that a redirection names. */
void tier_io_redirect(struct tier_io *tier, struct tier_link *from, struct fleet_op *op,
                      const struct redirect *redirect, bool ask, uint64_t now_ns);

/* A server has replied to CLUSTER SLOTS. NULL: it is not in a cluster. */
void tier_io_take_slots(struct tier_io *tier, struct tier_link *link,
                        const struct resp_reply *reply, uint64_t now_ns);

#endif
