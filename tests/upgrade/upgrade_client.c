/* upgrade_client - a worker of one version of libfcache.
 *   upgrade_client put SOCKET FIRST N      puts N values from the number FIRST on
 *   upgrade_client get SOCKET FIRST N      gets them. Prints how many were found
 * Exits with 1 if a value is not stored, or is wrong. Compiled and linked once with each version.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/stamped.h"

#define VERSION 7u /* of all values */

static bool put_all(struct fcache *cache, uint64_t first, uint64_t n) {
  struct fcache_value value = {0};
  bool good = true;
  for (uint64_t i = first; i < first + n && good; i++)
    good = stamped_put(cache, &value, i, VERSION) == FCACHE_OK;
  fcache_value_free(&value);
  return good;
}

static bool get_all(struct fcache *cache, uint64_t first, uint64_t n) {
  struct fcache_value value = {0};
  uint64_t version, found = 0;
  bool good = true;
  for (uint64_t i = first; i < first + n && good; i++) {
    struct fcache_key key = stamped_key(i);
    int rc = fcache_get(cache, &key, FCACHE_UNRECORDED, &value);
    found += rc == FCACHE_OK;
    good = rc == FCACHE_MISS ||
           (rc == FCACHE_OK && stamped_check(&value, i, &version) && version == VERSION);
  }
  fcache_value_free(&value);
  printf("%llu\n", (unsigned long long)found);
  return good;
}

int main(int argc, char **argv) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache_error error;
  struct fcache *cache;
  if (argc != 5)
    return 2;
  options.socket = argv[2];
  options.name_space = "upgrade";
  options.deadline_ms = 60000;
  if (fcache_open(&options, &cache, &error) != FCACHE_OK || !fcache_connected(cache)) {
    fprintf(stderr, "no daemon at %s\n", argv[2]);
    return 1;
  }
  uint64_t first = strtoull(argv[3], NULL, 10), n = strtoull(argv[4], NULL, 10);
  bool good = strcmp(argv[1], "put") == 0 ? put_all(cache, first, n) : get_all(cache, first, n);
  if (!good)
    fprintf(stderr, "%s: %s\n", argv[1], fcache_last_error(cache));
  fcache_close(cache);
  return good ? 0 : 1;
}
