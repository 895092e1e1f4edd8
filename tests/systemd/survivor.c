/* survivor.c - one client that lives through the end of its daemon:
 *
 *   survivor NAMESPACE ENTRIES BYTES kill PID
 *   survivor NAMESPACE ENTRIES BYTES COMMAND ARGS...
 *
 * Puts the entries that are not there, ends the daemon with SIGKILL or by the command, gets one
 * entry until the next daemon has it, and then gets all. Prints the time from the kill, or from the
 * command's start, to the first hit, and the numbers of hits and of wrong values. Exits with 1 if a
 * value is wrong, or if there are fewer hits than $SURVIVOR_HITS, by default all. */
#include "fcache.h"

#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_S 30 /* until the first hit: a restart may write and read a snapshot */

struct survivor {
  struct fcache *cache;
  uint32_t n;
  size_t bytes;
  uint64_t *wanted; /* scratch memory for a value */
};

static _Noreturn void fail(const char *what, const char *why) {
  (void)fprintf(stderr, "survivor: %s: %s\n", what, why);
  exit(1);
}

static double now_s(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Every value differs in every word, so that a value at a wrong place is noticed. */
static const void *value_of(struct survivor *survivor, uint32_t number) {
  for (size_t i = 0; i <= survivor->bytes / sizeof(uint64_t); i++)
    survivor->wanted[i] = (number + 1) * UINT64_C(0x9e3779b97f4a7c15) + i;
  return survivor->wanted;
}

static struct fcache_key key_of(const uint32_t *number) {
  return (struct fcache_key){
      .op = "survive", .view = "base", .prompt = fcache_hash(number, sizeof *number)};
}

/* Returns true for a hit. A wrong value ends the program. */
static bool get(struct survivor *survivor, uint32_t number) {
  struct fcache_key key = key_of(&number);
  struct fcache_value value = {0};
  bool hit = fcache_get(survivor->cache, &key, 0, &value) == FCACHE_OK;
  if (hit && (value.size != survivor->bytes ||
              memcmp(value.data, value_of(survivor, number), value.size) != 0))
    fail("a value", "it is wrong");
  fcache_value_free(&value);
  return hit;
}

static void fill(struct survivor *survivor) {
  for (uint32_t i = 0; i < survivor->n; i++) {
    struct fcache_key key = key_of(&i);
    if (!get(survivor, i) && fcache_put(survivor->cache, &key, value_of(survivor, i),
                                        survivor->bytes, 0, 0) != FCACHE_OK)
      fail("a put", fcache_last_error(survivor->cache));
  }
  if (!get(survivor, survivor->n - 1))
    fail("a get before the end of the daemon", "it is a miss");
}

static pid_t start(char **command) {
  pid_t pid = fork();
  if (pid == 0) {
    (void)execvp(command[0], command);
    _exit(127);
  }
  if (pid < 0)
    fail("fork", "no process");
  return pid;
}

/* Returns the seconds until the first hit over another connection than the one before. */
static double outlive(struct survivor *survivor, char **command) {
  struct fcache_counters counters;
  fcache_get_counters(survivor->cache, &counters);
  uint64_t before = counters.reconnects;
  double began_s = now_s(), end_s = began_s + PATIENCE_S;
  pid_t pid = 0;
  if (strcmp(command[0], "kill") == 0 && kill((pid_t)atol(command[1]), SIGKILL) < 0)
    fail("kill", command[1]);
  if (strcmp(command[0], "kill") != 0)
    pid = start(command);
  bool hit = false;
  while (!hit || counters.reconnects == before) {
    hit = get(survivor, survivor->n - 1);
    fcache_get_counters(survivor->cache, &counters);
    if (now_s() > end_s)
      fail("no hit after the end of the daemon", fcache_last_error(survivor->cache));
  }
  double took_s = now_s() - began_s;
  if (pid > 0 && waitpid(pid, NULL, 0) != pid)
    fail("waitpid", command[0]);
  return took_s;
}

int main(int argc, char **argv) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache_error error;
  struct survivor survivor = {0};
  const char *least = getenv("SURVIVOR_HITS");
  uint32_t hits = 0;
  if (argc < 5)
    fail("usage", "survivor NAMESPACE ENTRIES BYTES kill PID | COMMAND...");
  survivor.n = (uint32_t)strtoul(argv[2], NULL, 10);
  survivor.bytes = strtoul(argv[3], NULL, 10);
  survivor.wanted = malloc(survivor.bytes + 2 * sizeof(uint64_t));
  options.name_space = argv[1];
  if (survivor.wanted == NULL || survivor.n == 0)
    fail("arguments", "too many bytes, or no entries");
  if (fcache_open(&options, &survivor.cache, &error) != FCACHE_OK)
    fail("fcache_open", error.text);
  fill(&survivor);
  double took_s = outlive(&survivor, argv + 4);
  for (uint32_t i = 0; i < survivor.n; i++)
    hits += get(&survivor, i);
  printf("first hit after %.1f ms, %" PRIu32 " of %" PRIu32 " entries\n", took_s * 1000, hits,
         survivor.n);
  fcache_close(survivor.cache);
  free(survivor.wanted);
  return hits < (least == NULL ? survivor.n : strtoul(least, NULL, 10));
}
