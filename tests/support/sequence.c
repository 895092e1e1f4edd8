#include "tests/support/sequence.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/expect.h"
#include "tests/support/library.h"
#include "tests/support/stamped.h"
#include "tests/support/trace_lines.h"

static bool is_miss(uint64_t i) {
  return i % SEQUENCE_MISS_EVERY == SEQUENCE_MISS_EVERY - 1;
}

/* Shared keys have numbers below SEQUENCE_KEYS, and none of them has a large value. */
static uint64_t number_of(unsigned client, uint64_t i) {
  return is_miss(i) ? ((uint64_t)(client + 1) << 40) + i * 8 : i % SEQUENCE_KEYS * 8;
}

void sequence_prepare(struct fcache *cache) {
  struct fcache_value value = {0};

  for (uint64_t i = 0; i < SEQUENCE_KEYS; i++)
    ck_assert_int_eq(stamped_put(cache, &value, i * 8, 0), FCACHE_OK);
  fcache_value_free(&value);
}

struct fcache *sequence_open(const char *socket, unsigned client) {
  struct fcache *cache;
  char name[16];

  (void)snprintf(name, sizeof name, "c%u", client);
  cache = library_open_in_child(socket, "sequence", name, LIBRARY_PATIENT_MS);
  if (cache && !fcache_connected(cache)) {
    (void)fprintf(stderr, "not connected to %s: %s\n", socket, fcache_last_error(cache));
    fcache_close(cache);
    return NULL;
  }
  return cache;
}

struct computation {
  uint64_t number;
  bool done;
};

static int compute(void *arg, struct fcache_value *value) {
  struct computation *computation = arg;

  computation->done = true;
  return stamped_make(value, computation->number, 0) ? FCACHE_OK : FCACHE_ENOMEM;
}

bool sequence_step(struct fcache *cache, unsigned client, uint64_t i, struct fcache_value *value) {
  struct computation computation = {.number = number_of(client, i)};
  struct fcache_key key = stamped_key(computation.number);
  uint64_t version;

  return fcache_cached(cache, &key, compute, &computation, value) == FCACHE_OK &&
         computation.done == is_miss(i) && stamped_check(value, computation.number, &version);
}

/* ---- the trace ---- */

static void check_line(void *arg, const struct trace_line *line) {
  uint64_t *lookups = arg;
  char *end, hex[33];
  unsigned long client = line->client[0] == 'c' ? strtoul(line->client + 1, &end, 10) : ULONG_MAX;

  EXPECT(client < SEQUENCE_CLIENTS_MAX && *end == '\0');
  uint64_t i = lookups[client]++;
  struct fcache_key key = stamped_key(number_of((unsigned)client, i));
  for (unsigned at = 0; at < 16; at++)
    (void)snprintf(hex + (size_t)2 * at, 3, "%02x", key.prompt.bytes[at]);
  EXPECT(strcmp(line->prompt_hash, hex) == 0);
  EXPECT(line->hit == !is_miss(i));
}

void sequence_read(const char *trace, uint64_t lookups[SEQUENCE_CLIENTS_MAX]) {
  memset(lookups, 0, SEQUENCE_CLIENTS_MAX * sizeof *lookups);
  (void)trace_lines_read(trace, check_line, lookups); /* the callback counts the lines */
}
