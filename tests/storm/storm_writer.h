/* storm_writer.h - the writer of a storm: the daemon's store, under every call that
 * changes what stands in the region. One thread, which must live as long as the region:
 * readers look at that. */
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
  /* the writer's own */
  struct store store;
  struct storm_board *board;
  struct entry *held; /* as if its value were being sent; or NULL */
  uint64_t version;   /* of the latest put */
  uint64_t random;
  uint8_t value[STORM_VALUE_MAX];
};

/* The keys are in so many buckets, and every pinned one is stored then. The struct must not be
 * moved. False, with the reason on stderr: no region that can be shared. */
bool storm_writer_init(struct storm_writer *writer, struct storm_board *board, uint32_t n_buckets);
void storm_writer_deinit(struct storm_writer *writer);

/* One call, or the few that a clear takes. */
void storm_writer_step(struct storm_writer *writer);

#endif
