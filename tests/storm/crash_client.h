/* crash_client.h - lookups and puts of the crash storm. Each one is entered on the board, and its
 * result is judged. One thread; usable in children, since it uses no Check. */
#ifndef FC_TESTS_CRASH_CLIENT_H
#define FC_TESTS_CRASH_CLIENT_H

#include "crash_board.h"

struct crash_client {
  struct crash_board *board;
  const char *socket; /* borrowed */
  bool restored;      /* the cache came from a file: earlier versions are right */
  bool region;        /* reads hits from the region if it can */
  bool large;         /* puts large values of the first keys */
  struct fcache *handles[CRASH_SPACES];
  struct fcache_value value; /* of the latest lookup */
  uint8_t *made;             /* of the latest put: CRASH_VALUE_MAX bytes */
  uint64_t random;
  /* The latest hit over the socket. The daemon promotes and counts it after the reply, and so for
   * sure before its reply to the next request. */
  struct {
    bool is_pending;
    uint32_t key;
    uint64_t begun, daemon;
  } hit;
};

/* Opens a handle for each namespace. Returns false, with the reason on stderr, if it cannot. */
bool crash_client_open(struct crash_client *client, struct crash_board *board, const char *socket,
                       bool region, uint64_t seed);
void crash_client_close(struct crash_client *client);

/* The log of a handle, which drops all lines: a lost daemon is expected here. */
void crash_client_drop_line(void *arg, const char *line);

/* Returns a random number below n. */
uint32_t crash_client_below(struct crash_client *client, uint32_t n);

/* Connects all handles that lost their daemon, and waits for a daemon. */
void crash_client_connect(struct crash_client *client);

enum crash_found {
  CRASH_HIT,    /* *version is the value's */
  CRASH_MISS,   /* the daemon has no entry */
  CRASH_LEASED, /* a miss with its lease */
  CRASH_AWAY,   /* no daemon answered, or the value was wrong */
};

/* Looks a key up. An owned key that must be found, and is not, is a fault. */
enum crash_found crash_client_get(struct crash_client *client, uint32_t key, uint64_t *version);

/* Looks a leased key up, asks for its lease, and waits some milliseconds for another worker's. */
enum crash_found crash_client_lease(struct crash_client *client, uint32_t key, uint64_t *version);

enum crash_outcome { CRASH_STORED, CRASH_REJECTED, CRASH_UNKNOWN };

/* Puts an owned key, with the epoch of the miss before if there was one. Returns the
 * daemon's reply. */
enum crash_outcome crash_client_put(struct crash_client *client, uint32_t key, bool has_epoch);

struct crash_grant {
  uint64_t asked, got; /* ticks before the lookup and after its reply */
  uint64_t daemon;     /* the number of the daemon that granted the lease */
  uint64_t starts;     /* of daemons until then */
};

/* A daemon accepts the epochs of so many starts before it, and a few more (CATALOG_BOOTS_MAX). */
#define CRASH_STARTS_KNOWN 60u

/* Puts a leased key whose lease was granted. Unless a clear came, the put must be accepted. */
void crash_client_put_leased(struct crash_client *client, uint32_t key,
                             const struct crash_grant *grant);

#endif
