/* storm_board.h - what the writer and the readers of a storm tell each other, beside the
 * region. Memory that all of them share. */
#ifndef FC_TESTS_STORM_BOARD_H
#define FC_TESTS_STORM_BOARD_H

#include <stdatomic.h>

#include "storm.h"
#include "storm_keys.h"

struct storm_board {
  /* A read of the key that begins after this was loaded (acquire) must not give an older version.
   * The writer stores it (release) when a put or a clear is done: that is its acknowledgement. */
  _Atomic uint64_t floor[STORM_KEYS];
  _Atomic uint32_t next_victim; /* a key that is likely to be evicted next, or any other */
  _Atomic bool stop;            /* nobody need go on */
  _Atomic uint32_t running;     /* readers; each takes itself off when its figures are there */
  struct storm_reads reads[STORM_READERS_MAX];
};

#endif
