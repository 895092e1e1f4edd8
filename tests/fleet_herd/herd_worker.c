#include "herd_worker.h"

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/support/child_process.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"

#define POLL_NS 1000000

/* The call for one key, and where the computation notes itself. */
struct call {
  const struct herd_worker_plan *plan;
  struct herd_worker_board *own;
  uint32_t key;
  bool computed;
};

/* An interrupted sleep goes on. */
static void sleep_ns(uint64_t ns) {
  struct timespec rest = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
  while (nanosleep(&rest, &rest) != 0)
    continue;
}

static void fill(uint8_t value[HERD_VALUE_BYTES], uint32_t key) {
  for (uint32_t i = 0; i < HERD_VALUE_BYTES; i++)
    value[i] = (uint8_t)(key >> (i % 4 * 8));
}

static void check(struct call *call, const void *value, size_t size) {
  uint8_t wanted[HERD_VALUE_BYTES];
  fill(wanted, call->key);
  call->own->wrong += size != sizeof wanted || memcmp(value, wanted, sizeof wanted) != 0;
}

static void compute(struct call *call, uint8_t value[HERD_VALUE_BYTES]) {
  atomic_store(&call->own->computing, call->key + 1);
  call->own->without_tier += atomic_load(&call->plan->board->away);
  sleep_ns(call->plan->compute_ns);
  fill(value, call->key);
  call->computed = true;
  call->own->computations++;
  atomic_fetch_add(&call->plan->board->computed[call->key], 1);
  atomic_store(&call->own->computed_ns, harness_now_ns());
  atomic_store(&call->own->computing, 0);
}

static void wait_for_go(struct herd_board *board) {
  atomic_fetch_add(&board->ready, 1);
  while (!atomic_load(&board->go))
    sleep_ns(POLL_NS);
}

/* Makes one call for each key, and measures those that waited. `provide` returns whether the call
 * was more than a hit from shared memory. */
static void work(const struct herd_worker_plan *plan, bool (*provide)(void *arg, struct call *call),
                 void *arg) {
  struct herd_worker_board *own = &plan->board->workers[plan->number];
  wait_for_go(plan->board);
  own->began_ns = harness_now_ns();
  for (uint32_t i = 0; i < plan->keys; i++) {
    struct call call = {.plan = plan, .own = own, .key = (plan->first + i) % plan->keys};
    uint64_t begin_ns = harness_now_ns();
    bool waited = provide(arg, &call);
    if (waited && !call.computed)
      own->wait_us[own->n_waits++] = (uint32_t)((harness_now_ns() - begin_ns) / 1000);
  }
  own->ended_ns = harness_now_ns();
  atomic_fetch_add(&plan->board->ended, 1);
}

/* ---- with fcached ---- */

struct client {
  struct fcache *cache;
  struct fcache_value value;
  uint64_t region_hits;
};

static int compute_value(void *arg, struct fcache_value *value) {
  uint8_t bytes[HERD_VALUE_BYTES];
  compute(arg, bytes);
  return fcache_value_set(value, bytes, sizeof bytes);
}

static bool provide_cached(void *arg, struct call *call) {
  struct client *client = arg;
  char prompt[32];
  (void)snprintf(prompt, sizeof prompt, "prompt %u", call->key);
  struct fcache_key key = library_key("next_token_dist", "base", prompt, 0);
  int r = fcache_cached(client->cache, &key, compute_value, call, &client->value);
  if (r != FCACHE_OK) {
    fprintf(stderr, "a worker's call: %s: %s\n", fcache_strerror(r),
            fcache_last_error(client->cache));
    call->own->wrong++;
    return false;
  }
  check(call, client->value.data, client->value.size);
  uint64_t before = client->region_hits;
  client->region_hits = library_counters(client->cache).region_hits;
  return client->region_hits == before;
}

int herd_worker_run(void *arg) {
  const struct herd_worker_plan *plan = arg;
  struct client client = {0};
  client.cache = library_open_in_child(plan->socket, HERD_NAMESPACE, NULL, LIBRARY_PATIENT_MS);
  CHILD_EXPECT(client.cache != NULL && fcache_connected(client.cache));
  work(plan, provide_cached, &client);
  fcache_value_free(&client.value);
  fcache_close(client.cache);
  return 0;
}

/* ---- the plain way ---- */

static bool provide_plain(void *arg, struct call *call) {
  redisContext *server = arg;
  uint8_t value[HERD_VALUE_BYTES];
  redisReply *reply = redisCommand(server, "GET plain:%u", call->key);
  if (reply != NULL && reply->type == REDIS_REPLY_STRING) {
    check(call, reply->str, reply->len);
  } else {
    compute(call, value);
    freeReplyObject(reply); /* NULL is allowed */
    reply = redisCommand(server, "SET plain:%u %b", call->key, value, sizeof value);
    call->own->wrong += reply == NULL || reply->type != REDIS_REPLY_STATUS;
  }
  freeReplyObject(reply);
  return true;
}

int herd_worker_run_plain(void *arg) {
  const struct herd_worker_plan *plan = arg;
  redisContext *server = redisConnectUnix(plan->socket);
  CHILD_EXPECT(server != NULL && server->err == 0);
  work(plan, provide_plain, server);
  redisFree(server);
  return 0;
}
