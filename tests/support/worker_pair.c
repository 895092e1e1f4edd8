#include "tests/support/worker_pair.h"

#include "tests/support/library.h"

struct worker_pair pair;

void pair_set_up(void) {
  harness_start(&pair.daemon, NULL);
  pair.worker = library_open(pair.daemon.socket, "shared", "worker", 0);
  pair.other = library_open(pair.daemon.socket, "shared", "other", 0);
}

void pair_tear_down(void) {
  fcache_close(pair.worker);
  fcache_close(pair.other);
  ck_assert_int_eq(harness_stop(&pair.daemon), 0);
}
