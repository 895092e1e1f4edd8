/* client_ring.h - the ring of one connection: its reader, the account that its hits are charged to,
 * and its places in the lists of rings.c, rings_idle.c and ring_merge.c.
 *
 * rings.c makes and frees client rings. A ring with an `error` is not read again. One thread. */
#ifndef FC_DAEMON_CLIENT_RING_H
#define FC_DAEMON_CLIENT_RING_H

#include "daemon/rings/hits.h"

struct client_ring {
  struct ring_reader reader; /* hits before reader.at are applied */
  struct hits_account account;
  const char *error;               /* static string: the fault of the ring. NULL: none */
  struct client_ring *next, *prev; /* in rings->awake or rings->asleep */
  size_t charge_bytes;             /* of the pool */
  /* for rings_idle.c */
  bool is_asleep;   /* it is in rings->asleep */
  bool had_news;    /* since the last look for idle rings */
  uint32_t state;   /* that the client was shown: FC_RING_* bits */
  uint64_t idle_ns; /* CLOCK_MONOTONIC, the first look without news; 0: there was news */
  /* for one reading */
  struct client_ring *next_in_batch;
  struct client_ring *sibling, *child; /* in the heap of ring_merge.c */
  uint64_t next_ns;                    /* when the next hit was served; 0: next is a context */
  bool next_is_hit;
  char names[2 * FC_NAME_MAX]; /* of the account */
};

/* What one reading found and did. */
struct ring_reading {
  uint64_t slots;      /* filled by the clients since the last one */
  uint64_t records;    /* hits read */
  uint64_t hits;       /* of them, those counted */
  uint64_t unrecorded; /* hits that did not fit into a ring */
  uint64_t cpu_ns;
};

/* Returns whether the ring must be looked at: published slots are unread, or its header changed. */
static inline bool client_ring_has_news(const struct client_ring *client) {
  return client->error == NULL &&
         (client->reader.at != client->reader.head || ring_reader_has_news(&client->reader));
}

/* Returns whether no record up to the last loaded head is left to read. A ring with an error is
 * never read again, so it is drained. */
static inline bool client_ring_is_drained(const struct client_ring *client) {
  return client->error != NULL || client->reader.at == client->reader.head;
}

#endif
