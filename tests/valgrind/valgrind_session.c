/* valgrind_session.c - a client that uses every call of <fcache.h> once, on the daemon that
 * $FCACHE_SOCKET names, and a client that does not speak the protocol; exits 0 where all went as
 * promised. Run under valgrind. */
#include "fcache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BATCH 100
#define LARGE (1000 * 1000)

#define EXPECT(what)                                                                               \
  do {                                                                                             \
    if (!(what)) {                                                                                 \
      fprintf(stderr, "session: line %d: %s is not so\n", __LINE__, #what);                        \
      exit(1);                                                                                     \
    }                                                                                              \
  } while (0)

static void quiet(void *arg, const char *line) {
  (void)arg;
  (void)line;
}

static int compute(void *arg, struct fcache_value *value) {
  ++*(int *)arg;
  return fcache_value_set(value, "computed", 8);
}

static int compute_misses(void *arg, const size_t *misses, size_t n, struct fcache_batch *batch) {
  (void)arg;
  for (size_t i = 0; i < n; i++) {
    int r = fcache_batch_add(batch, &misses[i], sizeof misses[i]);
    if (r < 0)
      return r;
  }
  return 0;
}

static void count(void *arg, const struct fcache_stat *stat) {
  EXPECT(stat->name != NULL);
  ++*(int *)arg;
}

static void single(struct fcache *cache, struct fcache_value *value) {
  struct fcache_key key = {"op", "base", fcache_hash("a\0b", 3), 7};
  int computed = 0;
  EXPECT(fcache_get(cache, &key, 0, value) == FCACHE_MISS);
  EXPECT(fcache_cached(cache, &key, compute, &computed, value) == 0);
  EXPECT(fcache_cached(cache, &key, compute, &computed, value) == 0);
  EXPECT(computed == 1 && value->size == 8 && memcmp(value->data, "computed", 8) == 0);
  EXPECT(fcache_put(cache, &key, "", 0, 5, FCACHE_UNRECORDED) == FCACHE_OK);
  EXPECT(fcache_get(cache, &key, 0, value) == FCACHE_OK && value->size == 0);
  EXPECT(fcache_put(cache, &key, "x", 1, 5, FCACHE_KEEP_FIRST) == FCACHE_NOT_STORED);
  key.op = "";
  EXPECT(fcache_get(cache, &key, 0, value) == FCACHE_ENAME);
}

static void large(struct fcache *cache, struct fcache_value *value) {
  struct fcache_key key = {"op", "large", fcache_hash("large", 5), 0};
  char *data = malloc(LARGE);
  EXPECT(data != NULL);
  memset(data, 'x', LARGE);
  EXPECT(fcache_put(cache, &key, data, LARGE, 1, 0) == FCACHE_OK);
  EXPECT(fcache_get(cache, &key, 0, value) == FCACHE_OK);
  EXPECT(value->size == LARGE && memcmp(value->data, data, LARGE) == 0);
  free(data);
}

static void many(struct fcache *cache) {
  struct fcache_hash prompts[BATCH];
  struct fcache_value values[BATCH] = {{0}};
  struct fcache_bytes bytes[BATCH];
  bool hit[BATCH];
  for (size_t i = 0; i < BATCH; i++) {
    prompts[i] = fcache_hash(&i, sizeof i);
    bytes[i] = (struct fcache_bytes){&prompts[i], sizeof prompts[i]};
  }
  EXPECT(fcache_cached_batch(cache, "op", "batch", 0, prompts, BATCH, compute_misses, NULL,
                             values) == 0);
  EXPECT(fcache_put_many(cache, "op", "many", 0, prompts, bytes, BATCH, 1000, 0) == FCACHE_OK);
  EXPECT(fcache_get_many(cache, "op", "many", 0, prompts, BATCH, 0, values, hit) == FCACHE_OK);
  for (size_t i = 0; i < BATCH; i++) {
    EXPECT(hit[i] && values[i].size == sizeof prompts[i]);
    fcache_value_free(&values[i]);
  }
}

/* Sends bytes and reads until the daemon ends the connection, as it must. */
static void stranger(const char *path, const void *bytes, size_t n) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  char reply[4096];
  ssize_t got;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT(fd >= 0 && strlen(path) < sizeof address.sun_path);
  memcpy(address.sun_path, path, strlen(path) + 1);
  EXPECT(connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
  EXPECT(send(fd, bytes, n, MSG_NOSIGNAL) == (ssize_t)n);
  EXPECT(shutdown(fd, SHUT_WR) == 0);
  do
    got = read(fd, reply, sizeof reply);
  while (got > 0);
  EXPECT(close(fd) == 0);
}

int main(void) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache_value value = {0};
  struct fcache_counters counters;
  struct fcache_error error;
  struct fcache *cache;
  const int64_t max_entries = 1000, none = 0;
  uint64_t removed;
  int stats = 0;

  options.client = "session";
  options.deadline_ms = 20000; /* valgrind is slow */
  options.log = quiet;
  options.max_entries = &none;
  EXPECT(fcache_open(&options, &cache, &error) == FCACHE_EMAXENTRIES && error.text[0] != '\0');
  options.max_entries = &max_entries;
  EXPECT(fcache_open(&options, &cache, &error) == 0);
  EXPECT(fcache_set_probe(cache, "probe") == 0);
  single(cache, &value);
  large(cache, &value);
  many(cache);
  EXPECT(fcache_connected(cache));
  fcache_get_counters(cache, &counters);
  EXPECT(counters.cache_hits > 0 && counters.degraded == 0);
  EXPECT(fcache_server_stats(cache, count, &stats) == 0 && stats > 0);
  EXPECT(fcache_clear(cache, "many", NULL, &removed) == 0 && removed == BATCH);
  EXPECT(fcache_set_probe(cache, NULL) == 0);
  fcache_close(cache);
  fcache_value_free(&value);

  const char *path = getenv("FCACHE_SOCKET");
  EXPECT(path != NULL);
  stranger(path, "\0\0\0\0", 4);
  stranger(path, "\377\377\377\377\377\377\377\377\377\377\377\377", 12);
  stranger(path, "GET / HTTP/1.0\r\n\r\n", 18);

  options.socket = "/nonexistent/socket";
  EXPECT(fcache_open(&options, &cache, &error) == 0);
  EXPECT(!fcache_connected(cache));
  fcache_close(cache);
  fcache_close(NULL);
  return 0;
}
