#include "client/lib/api/batch_wait.h"

#include <string.h>

#include "client/lib/conn/wait.h"
#include "client/lib/util/value.h"
#include "proto/errors.h"
#include "proto/wall.h"

#define MS_NS 1000000u
#define WINDOW_MAX 256u
#define WINDOW_BYTES 65536u /* of requests outstanding: less than any socket has room for */
#define GET_MAX_BYTES 64u   /* a get without its names */

/* The gets that are outstanding. */
struct window {
  struct link *link;
  const struct fc_get_many *get;
  struct fcache_value *values;
  enum lookup_state *states;
  uint64_t end_ns; /* of our patience */
  uint32_t next;   /* the first prompt that was not looked at */
  uint32_t n, most;
  uint32_t ids[WINDOW_MAX];
  uint32_t places[WINDOW_MAX]; /* of each, its prompt */
  uint64_t begun[WINDOW_MAX];  /* of each, for `sharing` */
  struct fc_waits sharing;     /* of the time, among them */
  uint64_t hits_ns, waited_ns; /* the shares of those that became hits, and of all */
  uint32_t hits, coalesced;    /* of the hits, those that ended a wait: others were put before */
  bool granted, computes;      /* there is one granted; something to be computed */
};

static void *place_value(void *arg, const struct fc_reply *reply, uint32_t size) {
  const struct window *window = arg;
  uint32_t i = 0;
  while (window->ids[i] != reply->id) /* it is there, or the link would not ask */
    i++;
  struct fcache_value *value = &window->values[window->places[i]];
  return value_reserve(value, size) < 0 ? NULL : value->data;
}

/* It has had its answer, or will get none. Returns its share of the time. */
static uint64_t end_one(struct window *window, uint32_t which, uint64_t now_ns) {
  uint64_t wall_ns = fc_waits_end(&window->sharing, window->begun[which], now_ns);
  window->waited_ns += wall_ns;
  window->n--;
  window->ids[which] = window->ids[window->n];
  window->places[which] = window->places[window->n];
  window->begun[which] = window->begun[window->n];
  return wall_ns;
}

static void add(struct window *window, struct fc_get *message, bool first, uint64_t now_ns) {
  struct link *link = window->link;
  uint32_t place = window->next;
  uint32_t id = first ? link_begin(link, FC_GET) : link_next_id(link);
  memcpy(message->key.prompt.bytes, window->get->prompts + (size_t)place * FC_HASH_SIZE,
         FC_HASH_SIZE);
  (void)fc_encode_get(&link->request, id, message); /* the sending looks at `failed` */
  window->ids[window->n] = id;
  window->begun[window->n] = fc_waits_begin(&window->sharing, now_ns);
  window->places[window->n++] = place;
}

/* Asks for more, in one piece: when half of the window has been answered, until one is granted. */
static void fill(struct window *window, uint32_t lease_ms) {
  uint64_t now_ns = channel_clock_ns();
  uint32_t before = window->n;
  if (window->granted || window->n > window->most / 2 || now_ns >= window->end_ns)
    return;
  struct fc_get message = {
      .flags = window->get->flags,
      .key = window->get->key,
      .probe = window->get->probe,
      .has_terms = true,
      .terms = {lease_ms, (uint32_t)((window->end_ns - now_ns + MS_NS - 1) / MS_NS)}};
  for (; window->next < window->get->n && window->n < window->most; window->next++)
    if (window->states[window->next] == LOOKUP_TAKEN)
      add(window, &message, window->n == before, now_ns);
  if (window->n == before)
    return;
  link_place(window->link, place_value, window);
  if (link_send(window->link) < 0)
    while (window->n > before) /* they are still to be asked for */
      (void)end_one(window, window->n - 1, now_ns);
}

/* What became of the prompt: `rc` is the daemon's word where it refused the get. */
static enum lookup_state judge(struct fcache *cache, struct window *window, uint32_t place, int rc,
                               const struct fc_get_reply *get) {
  struct fcache_value *value = &window->values[place];
  if (rc < 0)
    return LOOKUP_FREE;
  cache->link.epoch.clear_generation = get->clear_generation;
  if (get->value != NULL) {
    if (get->value == value->data)
      value->size = get->value_size;
    else if (fcache_value_set(value, get->value, get->value_size) < 0)
      return LOOKUP_FREE;
    window->hits++;
    window->coalesced += get->waited;
    return LOOKUP_DONE;
  }
  enum lookup_state state = handle_missing(cache, get->lease);
  window->granted = window->granted || state == LOOKUP_LEASED;
  /* With a lease we are not made to wait: that says nothing of this one. */
  return state == LOOKUP_FREE && window->granted ? LOOKUP_TAKEN : state;
}

static void take(struct fcache *cache, struct window *window, uint32_t which, int rc,
                 const struct fc_reply *reply, struct fc_epoch *epoch) {
  uint32_t place = window->places[which];
  uint64_t wall_ns = end_one(window, which, channel_clock_ns());
  enum lookup_state state = judge(cache, window, place, rc, &reply->get);
  window->states[place] = state;
  window->hits_ns += state == LOOKUP_DONE ? wall_ns : 0;
  if (window->computes || (state != LOOKUP_FREE && state != LOOKUP_LEASED))
    return;
  window->computes = true;
  *epoch = cache->link.epoch;
}

static void count_wait(struct fcache *cache, const struct window *window) {
  cache->counters.lease_wait_ns += window->waited_ns;
  cache->counters.cache_hits += window->hits;
  cache->counters.coalesced_hits += window->coalesced;
  handle_charge(cache, window->hits_ns);
}

int others_await(struct fcache *cache, const struct fc_get_many *get, uint64_t *left_ns,
                 struct fcache_value *values, enum lookup_state *states, struct fc_epoch *epoch) {
  uint64_t start_ns = channel_clock_ns();
  struct window window = {.link = &cache->link,
                          .get = get,
                          .values = values,
                          .states = states,
                          .end_ns = start_ns + *left_ns};
  struct fc_reply reply;
  struct wait wait;
  uint32_t which;
  window.most =
      WINDOW_BYTES / (GET_MAX_BYTES + get->key.op.size + get->key.view.size + get->probe.size);
  window.most = window.most < WINDOW_MAX ? window.most : WINDOW_MAX;
  wait_begin(&wait, &cache->link, &cache->asker, *left_ns);
  for (;;) {
    if (!wait.ended)
      fill(&window, cache->lease_ms);
    if (window.n == 0 || cache->link.state != LINK_UP)
      break;
    int rc = wait_next(&wait, window.ids, window.n, &which, &reply);
    if (which == window.n)
      break; /* the daemon is gone */
    take(cache, &window, which, rc, &reply, epoch);
  }
  uint64_t waited_ns = channel_clock_ns() - start_ns;
  cache->counters.degraded += cache->link.state != LINK_UP;
  *left_ns -= waited_ns < *left_ns ? waited_ns : *left_ns;
  while (window.n > 0)
    (void)end_one(&window, window.n - 1, start_ns + waited_ns);
  count_wait(cache, &window);
  return wait.ended ? HANDLE_ENDED : window.granted;
}
