/* region_populate.h - gives the region's memory its pages in a second thread, while the first one
 * fills it at a start. To get, zero and map a page takes twice as long as to copy it.
 *
 * It changes nothing that the owner of the region sees: region_writer_commit then finds the pages
 * there. Without a thread, everything is only slower. */
#ifndef FC_DAEMON_REGION_POPULATE_H
#define FC_DAEMON_REGION_POPULATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "daemon/region/region_writer.h"

struct region_populate {
  const struct region *region;
  uint64_t bytes;
  pthread_t thread;
  bool is_running;
  _Atomic bool stop;
};

/* Starts with the first `bytes` bytes of the arena, at most all of it. The region must stay. */
void region_populate_start(struct region_populate *populate, const struct region *region,
                           uint64_t bytes);

/* Stops, and waits for the thread. */
void region_populate_end(struct region_populate *populate);

#endif
