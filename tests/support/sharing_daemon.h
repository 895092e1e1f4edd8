/* sharing_daemon.h - a scripted daemon that shares memory: a region with the values of the keys "a"
 * and "c", "region", and a ring for each connection. Over the socket it has "socket" for every key
 * but "none". A function that cannot do its work fails the test. */
#ifndef FC_TESTS_SHARING_DAEMON_H
#define FC_TESTS_SHARING_DAEMON_H

#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "fcache.h"
#include "proto/key.h"
#include "tests/support/client_fixture.h"
#include "tests/support/region_builder.h"
#include "tests/support/scripted_daemon.h"

#define SHARING_REGION_BYTES (8u << 20)
#define SHARING_SPACE 11u /* id of the namespace */
#define SHARING_SLOTS FC_RING_SLOTS_MIN
#define SHARING_SEALS (F_SEAL_SHRINK | F_SEAL_GROW)
#define SHARING_RINGS 32

/* The daemon. A test sets the fields before it connects, and the atomic ones at any time. */
extern struct sharing_daemon {
  struct scripted_daemon scripted;
  struct region_build region;
  int region_fds[FC_REGION_FDS_MAX];
  unsigned n_region_fds;
  _Atomic(struct fc_ring_header *) rings[SHARING_RINGS]; /* of each connection */
  atomic_bool ended[SHARING_RINGS];                      /* each connection */
  atomic_uint gets, keys, pings;                         /* messages; keys of get_many */
  atomic_uint gives_up;                                  /* give_up messages for all leases */
  atomic_bool silent;                                    /* sends neither welcome nor replies */
  atomic_bool stops_reading;                             /* after the welcome */
  atomic_bool hangs_up;                                  /* at the next request */
  atomic_bool reads_nothing;                             /* from the rings */
  atomic_uint ring_requests;
  atomic_uint wanted_slots;  /* of the latest ring request */
  atomic_uint next_slots;    /* of the ring in the next reply; 0: none */
  atomic_bool omits_ring_fd; /* in that reply */
  _Atomic(struct fc_ring_header *) former_rings[SHARING_RINGS]; /* that were replaced */
  unsigned n_fds;                                               /* sent with the welcome */
  int wrong_fd; /* sent instead of the file `wrong_file` of the region; -1: none */
  unsigned wrong_file;
  int ring_seals;
  unsigned first; /* connection of the handle that was opened last */
} sharing;

/* A fixture: starts the daemon, and stops it. */
void sharing_set_up(void);
void sharing_tear_down(void);

/* Returns the key of a prompt's text, as the daemon sees it. */
struct fc_key sharing_key(const char *prompt);

/* Opens a connected handle. `nth` below counts the connections from its own, 0. */
struct fcache *sharing_open(uint32_t deadline_ms);

/* Gets a key. Returns 'r' for a hit from the region, 's' for one over the socket, 'm' for a miss.
 */
char sharing_get(struct fcache *cache, const char *prompt);
char sharing_get_with(struct fcache *cache, const char *prompt, unsigned flags);

/* The ring of a connection, its head, and its record `i`. */
struct fc_ring_header *sharing_ring(unsigned nth);
uint64_t sharing_head(unsigned nth);
struct fc_ring_hit sharing_hit(unsigned nth, uint64_t i);

/* Returns the number of mappings whose line in /proc/self/maps has `name`. */
unsigned sharing_mappings(const char *name);

/* Returns the number of this process's connections to the daemon; *last is one of them. */
int sharing_connections(int *last);

/* Reads the ring of the connection `nth`, counted from the first of all. */
void sharing_read_ring(unsigned nth);

/* Waits until the flag is set. */
void sharing_wait_for(const atomic_bool *flag);

/* Gets hits until the handle has made `n` connections. Returns the number of hits. */
unsigned sharing_hit_until_connected(struct fcache *cache, uint64_t n);

#endif
