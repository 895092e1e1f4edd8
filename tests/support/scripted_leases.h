/* scripted_leases.h - a script for scripted_daemon.h that grants leases, or reports that another
 * client holds them, as the test decides for each key. It records the requests that it received.
 *
 * A key is a number: its prompt is lease_prompt(i), with any op and view. A string has its answers,
 * one for each lookup; the last one is repeated:
 *   G granted   T taken   N none   H hit, "value I" and `padding` bytes   E an error
 *   W the same hit, which ends a wait
 *   P waits until `pings` pings were answered, then the next letter
 *   S silence, for every request from then on   X hangs up   L a final error, then hangs up
 *   ? a state that does not exist
 * What P holds goes on to the next letter when all is given up. With `trickles` a ping is not
 * answered, but each lets go of the one that P has held longest. Other prompts have the answer
 * `others`. */
#ifndef FC_TESTS_PEER_LEASES_H
#define FC_TESTS_PEER_LEASES_H

#include "fcache.h"
#include "scripted_daemon.h"

#define LEASE_KEYS 64u
#define LEASE_SEEN 512u

/* A request as it came, hellos and pings aside. */
struct lease_seen {
  enum fc_type type;
  uint32_t flags;
  bool has_terms;
  struct fc_lease_terms terms;
  char probe[16];            /* of a get and a get_many; cut where longer */
  bool all;                  /* of give_up */
  uint32_t n;                /* keys */
  uint32_t keys[LEASE_KEYS]; /* their numbers */
  uint64_t generation;       /* of a put's epoch */
};

struct scripted_leases {
  struct scripted_daemon scripted; /* its arg is this */
  const char *answers[LEASE_KEYS];
  char others;
  uint32_t version; /* of the welcome; set before connecting */
  int put_error;
  uint32_t padding;
  unsigned pings_wanted; /* see P */
  bool trickles;
  unsigned pings_max;                  /* from then on it is silent; 0: no end */
  bool floods;                         /* while it waits it sends messages that reply to nothing */
  bool leases_unasked, leases_too_few; /* in get_many's replies */

  pthread_mutex_t lock; /* of what follows */
  unsigned at[LEASE_KEYS];
  bool silent;
  unsigned pings;
  uint64_t generation; /* one more after each get and get_many */
  struct {
    uint32_t id, key;
  } held[LEASE_KEYS];
  unsigned n_held;
  struct lease_seen seen[LEASE_SEEN];
  unsigned n_seen;
};

#define SCRIPTED_LEASE_MS 4321u /* the term that the handles ask for */

/* Starts a daemon. Stopping it frees it. */
struct scripted_leases *scripted_leases_start(void);
void scripted_leases_stop(struct scripted_leases *leases);

/* A handle on the socket at `path`, which says nothing on stderr. */
struct fcache *scripted_leases_open(const char *path, uint32_t deadline_ms, uint32_t wait_ms);

struct fcache_hash lease_prompt(uint32_t key);

/* Returns request `i`, from 0. Ends the test if there is none. */
struct lease_seen lease_seen(struct scripted_leases *leases, unsigned i);
unsigned lease_n_seen(struct scripted_leases *leases);
unsigned lease_pings(struct scripted_leases *leases);
unsigned lease_n_held(struct scripted_leases *leases); /* requests that P holds */

#endif
