/* scripted_store.h - a script for scripted_daemon.h that stores: a plain list of entries, with
 * clears and epochs as the daemon has them, and a record of the requests. */
#ifndef FC_TESTS_PEER_STORE_H
#define FC_TESTS_PEER_STORE_H

#include "scripted_daemon.h"

#define SCRIPTED_ENTRIES 8192
#define SCRIPTED_PUTS 64

struct scripted_entry {
  char op[32], view[32];
  uint32_t top_k;
  struct fc_hash prompt;
  uint8_t *value;
  uint32_t size;
};

/* A put or put_many as it came. */
struct scripted_put {
  uint32_t flags, n, batch;
  struct fc_epoch epoch;
  uint64_t compute_ns;
  char probe[32];
};

struct scripted_store {
  struct scripted_daemon scripted; /* its arg is the store */
  pthread_mutex_t lock;
  struct scripted_entry entries[SCRIPTED_ENTRIES];
  unsigned n;
  uint64_t generation;
  struct scripted_put puts[SCRIPTED_PUTS];
  unsigned n_puts;
  unsigned n_gets;    /* get and get_many messages */
  uint32_t get_flags; /* of the last */
  char get_probe[32]; /* of the last */
  unsigned part;      /* values in one part of a get_many's reply; 0: all */
  int get_error;      /* answers gets with this instead, where not 0 */
  int put_error;
  unsigned hang_ups_at_get; /* at so many gets; a client repeats one after each */
  bool stall_parts;         /* sends parts without values, without end */
};

void scripted_store_start(struct scripted_store *store);
void scripted_store_stop(struct scripted_store *store);

#endif
