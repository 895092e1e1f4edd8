/* storm_board.h - memory that the writer and the readers of a storm share, beside the region. */
#ifndef FC_TESTS_STORM_BOARD_H
#define FC_TESTS_STORM_BOARD_H

#include <stdatomic.h>

#include "storm.h"
#include "storm_keys.h"

struct storm_board {
  /* A read that begins after a load of it (acquire) must not return an older version of the key.
   * The writer stores it (release) when a put or a clear is done, as its acknowledgement. */
  _Atomic uint64_t floor[STORM_KEYS];
  _Atomic uint32_t next_victim; /* the number of a key that is probably evicted next */
  _Atomic bool stop;            /* all stop */
  _Atomic uint32_t running;     /* readers; each subtracts itself when its results are stored */
  struct storm_reads reads[STORM_READERS_MAX];
};

#endif
