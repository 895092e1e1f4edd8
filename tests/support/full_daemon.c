#include "tests/support/full_daemon.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/ctl.h"
#include "tests/support/library.h"

#define NO_TIER "unix:///no/such/server" /* it is away, and has statistics all the same */

static struct fcache *open_with_limits(const struct daemon *daemon) {
  const int64_t max_entries = 10;
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache *cache;
  options.socket = daemon->socket;
  options.name_space = "ns";
  options.max_entries = &max_entries;
  options.max_bytes = 1 << 20;
  options.deadline_ms = LIBRARY_PATIENT_MS;
  ck_assert_int_eq(fcache_open(&options, &cache, NULL), 0);
  ck_assert(fcache_connected(cache));
  return cache;
}

void full_daemon_start(struct daemon *daemon) {
  char state[HARNESS_PATH_SIZE], trace[HARNESS_PATH_SIZE + 8];
  struct fcache_key key = library_key("op", "base", "prompt", 0);
  struct fcache *cache;
  memset(daemon, 0, sizeof *daemon);
  harness_make_dir(state);
  (void)snprintf(trace, sizeof trace, "%s/trace", state);
  harness_start(daemon, "--state", state, "--trace", trace, "--tier", NO_TIER, NULL);
  (void)setenv("FCACHE_SOCKET", daemon->socket, 1);
  cache = open_with_limits(daemon);
  library_put_text(cache, &key, "value");
  fcache_close(cache);
  ctl_expect_part(CTL("snapshot"), "wrote 1 ent");
}
