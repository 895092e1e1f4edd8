#include "crash_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storm_keys.h"

#define WAIT_MS 10u /* for another worker's value */

void crash_client_drop_line(void *arg, const char *line) {
  (void)arg, (void)line;
}

static struct fcache *open_handle(const char *socket, uint32_t space) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache_error error;
  struct fcache *handle;
  options.socket = socket;
  options.name_space = crash_space_name(space);
  options.deadline_ms = CRASH_DEADLINE_MS;
  options.log = crash_client_drop_line;
  if (fcache_open(&options, &handle, &error) != FCACHE_OK)
    fprintf(stderr, "a handle of %s: %s\n", options.name_space, error.text);
  return handle;
}

bool crash_client_open(struct crash_client *client, struct crash_board *board, const char *socket,
                       bool region, uint64_t seed) {
  bool good = setenv("FCACHE_REGION", region ? "1" : "0", 1) == 0;
  *client =
      (struct crash_client){.board = board, .socket = socket, .region = region, .random = seed};
  client->made = malloc(CRASH_VALUE_MAX);
  good = good && client->made != NULL;
  if (good) { /* all of both buffers is touched, so that the memory of a worker does not grow later
               */
    memset(client->made, 1, CRASH_VALUE_MAX);
    good = fcache_value_set(&client->value, client->made, CRASH_VALUE_MAX) == FCACHE_OK;
  }
  for (uint32_t space = 0; space < CRASH_SPACES && good; space++) {
    client->handles[space] = open_handle(socket, space);
    good = client->handles[space] != NULL;
  }
  return good;
}

void crash_client_close(struct crash_client *client) {
  for (uint32_t space = 0; space < CRASH_SPACES; space++)
    fcache_close(client->handles[space]);
  fcache_value_free(&client->value);
  free(client->made);
  *client = (struct crash_client){0};
}

uint32_t crash_client_below(struct crash_client *client, uint32_t n) {
  return (uint32_t)(storm_random(&client->random) % n);
}

static void ignore_stat(void *arg, const struct fcache_stat *stat) {
  (void)arg, (void)stat;
}

/* Asks for statistics, since that call alone connects at once. A handle that has not noticed the
 * end of its daemon fails once. */
void crash_client_connect(struct crash_client *client) {
  for (uint32_t space = 0; space < CRASH_SPACES; space++)
    for (unsigned tries = 0; tries < 3; tries++)
      if (fcache_server_stats(client->handles[space], ignore_stat, NULL) == FCACHE_OK)
        break;
}

/* ---- lookups ---- */

struct lookup {
  struct crash_before before;
  struct fcache_counters counters;
  uint64_t begun; /* tick */
};

static struct fcache *handle_of(const struct crash_client *client, uint32_t key) {
  return client->handles[crash_key_place(key).space];
}

static void begin_lookup(struct crash_client *client, uint32_t key, struct lookup *lookup) {
  lookup->before = crash_look(client->board, key);
  fcache_get_counters(handle_of(client, key), &lookup->counters);
  lookup->begun = crash_tick(client->board);
}

/* A reply came, or a hit from the region: no call was degraded. */
static bool was_answered(const struct fcache *handle, const struct fcache_counters *before) {
  struct fcache_counters after;
  fcache_get_counters(handle, &after);
  return after.degraded == before->degraded;
}

/* The daemon replied to a request after the hit. It is the one that replied to the hit too if none
 * has begun since, and none is about to. */
static void confirm_hit(struct crash_client *client) {
  struct crash_board *board = client->board;
  if (client->hit.is_pending && client->hit.daemon == atomic_load(&board->daemons) &&
      atomic_load(&board->phase) != CRASH_PARK) {
    crash_used(board, client->hit.key, client->hit.begun, client->hit.begun, true);
    atomic_fetch_add(&board->life_socket_hits, 1);
  }
  client->hit.is_pending = false;
}

static void note_hit(struct crash_client *client, uint32_t key, uint64_t begun, bool from_region) {
  crash_used(client->board, key, begun, crash_tick(client->board), false);
  atomic_fetch_add(&client->board->hits, 1);
  if (from_region)
    return;
  confirm_hit(client);
  client->hit.is_pending = atomic_load(&client->board->phase) != CRASH_PARK;
  client->hit.daemon = atomic_load(&client->board->daemons);
  client->hit.key = key;
  client->hit.begun = begun;
}

/* The cache may have come from a file since the lookup began. */
static bool is_restored(const struct crash_client *client) {
  return client->restored || atomic_load(&client->board->rebasing);
}

static enum crash_found judge_hit(struct crash_client *client, uint32_t key,
                                  const struct lookup *lookup, uint64_t *version) {
  struct fcache_counters after;
  fcache_get_counters(handle_of(client, key), &after);
  bool from_region = after.region_hits != lookup->counters.region_hits;
  note_hit(client, key, lookup->begun, from_region);
  if (!crash_value_check(client->value.data, client->value.size, key, version)) {
    crash_report(client->board, CRASH_WRONG, "key %u has other bytes (%zu of them)", key,
                 client->value.size);
    return CRASH_AWAY;
  }
  return crash_judge(client->board, key, *version, &lookup->before, is_restored(client))
             ? CRASH_HIT
             : CRASH_AWAY;
}

static enum crash_found judge(struct crash_client *client, uint32_t key, int rc,
                              const struct lookup *lookup, uint64_t *version) {
  struct fcache *handle = handle_of(client, key);
  if (rc == FCACHE_OK)
    return judge_hit(client, key, lookup, version);
  if (rc < 0)
    crash_report(client->board, CRASH_OTHER, "get of key %u: %s", key, fcache_last_error(handle));
  if (rc < 0 || !was_answered(handle, &lookup->counters))
    return CRASH_AWAY;
  if (crash_must_find(client->board, key, &lookup->before) && !is_restored(client))
    crash_report(client->board, CRASH_LOST, "key %u, version %llu", key,
                 (unsigned long long)lookup->before.acked);
  confirm_hit(client);
  crash_missed(client->board, key, lookup->begun);
  return rc == FCACHE_LEASED ? CRASH_LEASED : CRASH_MISS;
}

enum crash_found crash_client_get(struct crash_client *client, uint32_t key, uint64_t *version) {
  struct fcache_key name = crash_key_of(key);
  struct lookup lookup;
  begin_lookup(client, key, &lookup);
  int rc = fcache_get(handle_of(client, key), &name, 0, &client->value);
  return judge(client, key, rc, &lookup, version);
}

enum crash_found crash_client_lease(struct crash_client *client, uint32_t key, uint64_t *version) {
  struct fcache_key name = crash_key_of(key);
  struct lookup lookup;
  begin_lookup(client, key, &lookup);
  int rc = fcache_get_wait(handle_of(client, key), &name, FCACHE_LEASE, WAIT_MS, &client->value);
  return judge(client, key, rc, &lookup, version);
}

/* ---- puts ---- */

static int put(struct crash_client *client, uint32_t key, uint64_t version, bool *answered) {
  struct fcache_key name = crash_key_of(key);
  struct fcache *handle = handle_of(client, key);
  struct fcache_counters before;
  uint32_t size = crash_value_size(key, version);
  crash_value_fill(client->made, size, key, version);
  fcache_get_counters(handle, &before);
  int rc = fcache_put(handle, &name, client->made, size, 1000, 0);
  if (rc < 0 && !client->board->evicts)
    crash_report(client->board, CRASH_OTHER, "put of key %u: %s", key, fcache_last_error(handle));
  *answered = was_answered(handle, &before);
  if (*answered)
    confirm_hit(client);
  return rc;
}

/* The size of a value follows from its version, so one in a hundred will do. */
static uint64_t next_version(struct crash_client *client, uint32_t key, bool has_epoch) {
  bool large = client->large && key < CRASH_LARGE_KEYS;
  uint64_t version;
  unsigned tries = 0;
  do
    version = crash_version_of(crash_tick(client->board), has_epoch);
  while (large && crash_value_size(key, version) < CRASH_LARGE && ++tries < 500);
  return version;
}

enum crash_outcome crash_client_put(struct crash_client *client, uint32_t key, bool has_epoch) {
  uint64_t version = next_version(client, key, has_epoch);
  bool answered;
  crash_put_begin(client->board, key, version);
  bool acked = put(client, key, version, &answered) == FCACHE_OK;
  crash_put_end(client->board, key, version, acked);
  return acked ? CRASH_STORED : answered ? CRASH_REJECTED : CRASH_UNKNOWN;
}

enum leased_put { LEASED_ACKED, LEASED_REJECTED, LEASED_UNKNOWN };

/* Finds out why a put was not stored. One whose reply was lost is repeated with the next daemon,
 * which then keeps the value that it has: this one. After a start from a file another worker may
 * have got the lease, and an owner from before that may have been faster. */
static enum leased_put look_why(struct crash_client *client, uint32_t key, uint64_t version) {
  uint64_t found;
  enum crash_found result = crash_client_get(client, key, &found);
  if (result == CRASH_HIT && found == version)
    return LEASED_ACKED;
  bool is_older =
      result == CRASH_HIT && crash_version_tick(found) < atomic_load(&client->board->restored);
  return result == CRASH_AWAY || is_older ? LEASED_UNKNOWN : LEASED_REJECTED;
}

void crash_client_put_leased(struct crash_client *client, uint32_t key,
                             const struct crash_grant *grant) {
  struct crash_board *board = client->board;
  uint64_t version = crash_version_of(grant->got, true);
  bool answered;
  int rc = put(client, key, version, &answered);
  enum leased_put result = rc == FCACHE_OK ? LEASED_ACKED : LEASED_UNKNOWN;
  if (rc == FCACHE_NOT_STORED && answered)
    result = look_why(client, key, version);
  crash_leased_put_end(board, key, version, result == LEASED_ACKED);
  if (result == LEASED_ACKED && grant->daemon != atomic_load(&board->daemons))
    atomic_fetch_add(&board->inherited, 1);
  if (result == LEASED_REJECTED && !board->evicts && grant->asked > atomic_load(&board->restored) &&
      atomic_load(&board->starts) - grant->starts < CRASH_STARTS_KNOWN &&
      crash_latest_clear(board, key) < grant->asked)
    crash_report(board, CRASH_LEASE, "the put of key %u by the owner of its lease was rejected",
                 key);
}
