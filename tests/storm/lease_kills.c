#include "lease_kills.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storm_keys.h"
#include "tests/support/child_process.h"
#include "tests/support/harness.h"
#include "tests/support/raw.h"

#define LEASE_MS 300000u /* no term expires here: only a death frees a lease */
#define WAIT_MS 10000u
#define GRACE_MS 1000u /* for the reply at the end of a wait */
#define PAUSE_NS 1000000u
#define TRIES 8u /* for each owner that must have had its lease */

enum owner_state { BORN, OWNS, DONE };

struct storm {
  const char *socket;
  struct raw waiters[2], probe;
  _Atomic int *state; /* shared with the owner */
  uint64_t random;
  uint32_t number;  /* of the key: each owner has its own */
  uint64_t work_ns; /* time of the computation; UINT64_MAX: until the kill */
};

static uint64_t any_below(struct storm *storm, uint64_t n) {
  return storm_random(&storm->random) % n;
}

/* Keeps the CPU: the moments are some microseconds apart. */
static void spin(uint64_t ns) {
  for (uint64_t start_ns = harness_now_ns(); harness_now_ns() - start_ns < ns;)
    continue;
}

static struct fc_key key_of(const struct storm *storm) {
  return (struct fc_key){.op = fc_str_of("op"),
                         .view = fc_str_of("view"),
                         .prompt = fc_hash_prompt(&storm->number, sizeof storm->number)};
}

static bool is_a_get(const struct fc_reply *reply) {
  return (int)reply->type == (FC_REPLY | FC_GET);
}

static bool put_number(struct storm *storm, struct raw *raw) {
  struct fc_put put = {.flags = FC_KEEP_FIRST,
                       .key = key_of(storm),
                       .value = (const uint8_t *)&storm->number,
                       .value_size = sizeof storm->number};
  struct fc_reply reply;
  return raw_put(raw, &put, &reply) == RAW_REPLY && (int)reply.type == (FC_REPLY | FC_PUT);
}

/* ---- the owner ---- */

static int own(void *arg) {
  struct storm *storm = arg;
  struct fc_key key = key_of(storm);
  struct fc_get get = raw_lease_get(&key, LEASE_MS, WAIT_MS);
  struct fc_reply reply;
  struct raw raw;
  CHILD_EXPECT(raw_connect(&raw, storm->socket) == 0);
  CHILD_EXPECT(raw_hello(&raw, "owner", LEASE_KILLS_SPACE) == 0);
  CHILD_EXPECT(raw_get(&raw, &get, &reply) == RAW_REPLY && is_a_get(&reply));
  if (reply.get.lease == FC_LEASE_GRANTED) {
    atomic_store(storm->state, OWNS);
    spin(storm->work_ns);
    CHILD_EXPECT(put_number(storm, &raw));
  }
  atomic_store(storm->state, DONE);
  for (;;)
    (void)pause();
}

/* ---- the waiters ---- */

static bool begin_wait(struct storm *storm, struct raw *raw) {
  struct fc_key key = key_of(storm);
  struct fc_get get = raw_lease_get(&key, LEASE_MS, WAIT_MS);
  uint32_t id;
  return raw_send_get(raw, &get, &id) == 0;
}

static bool begin_waits(struct storm *storm) {
  return begin_wait(storm, &storm->waiters[0]) && begin_wait(storm, &storm->waiters[1]);
}

enum end { END_VALUE, END_GRANTED, END_OTHER };

static enum end end_wait(struct raw *raw, struct lease_kills *kills) {
  struct fc_reply reply;
  int result = raw_recv(raw, &reply, WAIT_MS + GRACE_MS);
  if (result == RAW_TIMEOUT)
    kills->unanswered++;
  else if (result == RAW_REPLY && is_a_get(&reply) && reply.get.value != NULL)
    return END_VALUE;
  else if (result == RAW_REPLY && is_a_get(&reply) && reply.get.lease == FC_LEASE_GRANTED)
    return END_GRANTED;
  else
    kills->wrong++;
  return END_OTHER;
}

static bool give_up(struct storm *storm, struct raw *raw) {
  struct fc_key key = key_of(storm);
  struct fc_reply reply;
  return raw_give_up(raw, &key, &reply) == RAW_REPLY &&
         (int)reply.type == (FC_REPLY | FC_GIVE_UP) && reply.given_up == 1;
}

/* A waiter that was granted the lease puts the value or gives up, so that the next one gets either.
 */
static bool hand_on(struct storm *storm, struct raw *raw, enum end end) {
  if (end != END_GRANTED)
    return true;
  return any_below(storm, 2) == 0 ? put_number(storm, raw) : give_up(storm, raw);
}

/* The key must have no lease, at once or soon: the daemon may read the owner's last requests after
 * its death. */
static bool check_lock(struct storm *storm, struct lease_kills *kills) {
  if (!begin_wait(storm, &storm->probe))
    return false;
  enum end end = end_wait(&storm->probe, kills);
  kills->locked += end == END_OTHER;
  return end != END_GRANTED || give_up(storm, &storm->probe);
}

/* ---- the storm ---- */

static bool wait_owner(const struct storm *storm, pid_t owner) {
  while (atomic_load(storm->state) == BORN) {
    if (waitpid(owner, NULL, WNOHANG) != 0)
      return false; /* begin_waits printed the reason */
    (void)sched_yield();
  }
  return true;
}

/* Mostly the waiters wait before the owner dies. Otherwise the order is random. */
static bool approach(struct storm *storm, pid_t owner) {
  if (any_below(storm, 4) > 0) {
    if (!wait_owner(storm, owner))
      return false;
  } else {
    spin(any_below(storm, PAUSE_NS));
  }
  if (!begin_waits(storm))
    return false;
  spin(any_below(storm, PAUSE_NS));
  return true;
}

static void bury(pid_t owner) {
  while (waitpid(owner, NULL, 0) < 0 && errno == EINTR)
    continue;
}

static bool kill_one(struct storm *storm, struct lease_kills *kills) {
  storm->number++;
  storm->work_ns = any_below(storm, 4) == 0 ? any_below(storm, 2 * PAUSE_NS) : UINT64_MAX;
  atomic_store(storm->state, BORN);
  pid_t owner = child_start(own, storm, NULL);
  bool good = approach(storm, owner);
  uint64_t kill_ns = harness_now_ns();
  good = good && kill(owner, SIGKILL) == 0;
  if (!good) {
    (void)kill(owner, SIGKILL); /* a child of ours, though it may have ended before */
    bury(owner);
    return false;
  }
  enum end end = end_wait(&storm->waiters[0], kills);
  uint64_t took_ns = harness_now_ns() - kill_ns;
  bury(owner);
  bool owned = atomic_load(storm->state) == OWNS;
  kills->kills++;
  kills->owned += owned;
  kills->values += end == END_VALUE;
  if (owned && end == END_GRANTED) /* only its death freed the lease */
    kills->grant_ns[kills->grants++] = took_ns;
  good = hand_on(storm, &storm->waiters[0], end);
  end = end_wait(&storm->waiters[1], kills);
  return good && hand_on(storm, &storm->waiters[1], end) && check_lock(storm, kills);
}

static int compare_ns(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static bool is_good(const struct lease_kills *kills) {
  return kills->unanswered == 0 && kills->wrong == 0 && kills->locked == 0;
}

bool lease_kills_run(const char *socket, uint32_t owned, struct lease_kills *kills) {
  struct storm storm = {.socket = socket, .random = 7};
  *kills = (struct lease_kills){.grant_ns = calloc(owned, sizeof *kills->grant_ns)};
  if (kills->grant_ns == NULL) {
    fprintf(stderr, "out of memory for %u kills\n", owned);
    return false;
  }
  storm.state = child_shared(sizeof *storm.state);
  raw_open(&storm.waiters[0], socket, LEASE_KILLS_SPACE);
  raw_open(&storm.waiters[1], socket, LEASE_KILLS_SPACE);
  raw_open(&storm.probe, socket, LEASE_KILLS_SPACE);
  while (kills->owned < owned && kills->kills < owned * TRIES && is_good(kills) &&
         kill_one(&storm, kills))
    continue;
  if (kills->owned < owned)
    fprintf(stderr, "after %u kills, %u of them with a lease, the storm did not go on\n",
            kills->kills, kills->owned);
  qsort(kills->grant_ns, kills->grants, sizeof *kills->grant_ns, compare_ns);
  raw_close(&storm.waiters[0]);
  raw_close(&storm.waiters[1]);
  raw_close(&storm.probe);
  (void)munmap(storm.state, sizeof *storm.state); /* it ends with the test anyway */
  return kills->owned == owned;
}

void lease_kills_free(struct lease_kills *kills) {
  free(kills->grant_ns);
  *kills = (struct lease_kills){0};
}

uint64_t lease_kills_percentile(const struct lease_kills *kills, double percent) {
  if (kills->grants == 0)
    return 0;
  return kills->grant_ns[(size_t)((double)(kills->grants - 1) * percent / 100)];
}

uint32_t lease_kills_later(const struct lease_kills *kills, uint64_t ns) {
  uint32_t n = 0;
  while (n < kills->grants && kills->grant_ns[kills->grants - 1 - n] > ns)
    n++;
  return n;
}
