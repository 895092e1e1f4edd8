/* storm_writer.h - the writer of a storm: random calls of the daemon's store that change the
 * region. One thread, which must live as long as the region, because readers check that. */
#ifndef FC_TESTS_STORM_WRITER_H
#define FC_TESTS_STORM_WRITER_H

#include "daemon/store/store.h"
#include "storm_board.h"

struct storm_writer {
  /* read by all */
  struct region region;
  struct namespace ns;
  struct storm_key keys[STORM_KEYS];
  struct storm_writes writes;
  /* private to storm_writer.c */
  struct store store;
  struct storm_board *board;
  struct entry *held; /* as if its value were being sent; or NULL */
  uint64_t version;   /* of the latest put */
  uint64_t random;
  uint8_t value[STORM_VALUE_MAX];
};

/* Makes the region and the store. The keys share `n_buckets` buckets, and the pinned ones are
 * stored. The struct must not move. Returns false, with the reason on stderr, if the region cannot
 * be shared. */
bool storm_writer_init(struct storm_writer *writer, struct storm_board *board, uint32_t n_buckets);
void storm_writer_deinit(struct storm_writer *writer);

/* Does one call, or the few of a clear. */
void storm_writer_step(struct storm_writer *writer);

#endif
