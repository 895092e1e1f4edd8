/* storm_reader.h - one reader of a storm. */
#ifndef FC_TESTS_STORM_READER_H
#define FC_TESTS_STORM_READER_H

#include "client/lib/shm/region_reader.h"
#include "storm_board.h"

struct storm_reader {
  const struct region_reader *map;
  struct storm_board *board;
  const struct storm_key *keys;
  uint64_t name_space;
  uint64_t n_reads;
  uint32_t number; /* below STORM_READERS_MAX */
  bool until_wrong;
  bool history; /* reads also from a dead region, where a lookup would not begin */
};

/* Reads until its number of reads is reached or board->stop is set. Then its results are in
 * board->reads. */
void storm_reader_run(const struct storm_reader *reader);

#endif
