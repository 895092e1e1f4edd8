#include "client/lib/api/batch_wait.h"

#include <assert.h>
#include <string.h>

#include "client/lib/util/value.h"
#include "proto/errors.h"
#include "proto/wall.h"

#define WINDOW_MAX 256u
#define WINDOW_BYTES 65536u /* of pending requests: less than the buffer of any socket */
#define GET_MAX_BYTES 64u   /* a get without its names */

/* The pending gets. */
struct window {
  struct connection *connection;
  const struct fc_get_many *get;
  struct fcache_value *values;
  enum lookup_state *states;
  uint64_t end_ns; /* of the wait that the requests ask for */
  uint32_t next;   /* the first prompt that was not examined */
  uint32_t n, capacity;
  uint32_t ids[WINDOW_MAX];
  uint32_t places[WINDOW_MAX]; /* index of the prompt */
  uint64_t begun[WINDOW_MAX];  /* for `sharing` */
  struct fc_waits sharing;     /* divides the time among waits that overlap */
  uint64_t hits_ns, waited_ns; /* time of the hits, and of all waits */
  uint32_t hits, coalesced;    /* hits, and those that ended a wait for a computation */
  bool granted;                /* a lease was granted */
  bool computes;               /* a prompt must be computed */
};

static void *find_destination(void *arg, const struct fc_reply *reply, uint32_t size) {
  const struct window *window = arg;
  uint32_t i = 0;
  while (i < window->n && window->ids[i] != reply->id)
    i++;
  assert(i < window->n); /* the connection calls this for pending ids only */
  struct fcache_value *value = &window->values[window->places[i]];
  return value_reserve(value, size) < 0 ? NULL : value->data;
}

/* Removes get `which` from the window. Returns its share of the time. */
static uint64_t remove_get(struct window *window, uint32_t which, uint64_t now_ns) {
  assert(which < window->n);
  uint64_t wall_ns = fc_waits_end(&window->sharing, window->begun[which], now_ns);
  window->waited_ns += wall_ns;
  window->n--;
  window->ids[which] = window->ids[window->n];
  window->places[which] = window->places[window->n];
  window->begun[which] = window->begun[window->n];
  return wall_ns;
}

/* Appends the get of the next prompt to the request. */
static void add_get(struct window *window, struct fc_get *message, bool first, uint64_t now_ns) {
  struct connection *connection = window->connection;
  uint32_t place = window->next;
  uint32_t id = first ? request_begin(connection, FC_GET) : connection_next_request_id(connection);
  assert(window->n < window->capacity);
  memcpy(message->key.prompt.bytes, window->get->prompts + (size_t)place * FC_HASH_SIZE,
         FC_HASH_SIZE);
  (void)fc_encode_get(&connection->request, id, message); /* request_send checks `failed` */
  window->ids[window->n] = id;
  window->begun[window->n] = fc_waits_begin(&window->sharing, now_ns);
  window->places[window->n++] = place;
}

/* Sends more gets in one piece, when half of the window has replies, until a lease is granted. */
static void fill_window(struct window *window, uint32_t lease_ms) {
  uint64_t now_ns = clock_now_ns();
  uint32_t before = window->n;
  if (window->granted || window->n > window->capacity / 2 || now_ns >= window->end_ns)
    return;
  struct fc_get message = {
      .flags = window->get->flags,
      .key = window->get->key,
      .probe = window->get->probe,
      .has_terms = true,
      .terms = {lease_ms, (uint32_t)((window->end_ns - now_ns + CLOCK_MS_NS - 1) / CLOCK_MS_NS)}};
  for (; window->next < window->get->n && window->n < window->capacity; window->next++)
    if (window->states[window->next] == LOOKUP_LEASED_ELSEWHERE)
      add_get(window, &message, window->n == before, now_ns);
  if (window->n == before)
    return;
  request_set_destination(window->connection, find_destination, window);
  if (request_send(window->connection) < 0)
    while (window->n > before) /* not sent */
      (void)remove_get(window, window->n - 1, now_ns);
}

/* Returns the state of a prompt after its reply. `rc` is the daemon's code if it refused the get.
 */
static enum lookup_state handle_reply(struct fcache *cache, struct window *window, uint32_t place,
                                      int rc, const struct fc_get_reply *get) {
  struct fcache_value *value = &window->values[place];
  if (rc < 0)
    return LOOKUP_MISS;
  cache->connection.epoch.clear_generation = get->clear_generation;
  if (get->value != NULL) {
    if (get->value == value->data)
      value->size = get->value_size;
    else if (fcache_value_set(value, get->value, get->value_size) < 0)
      return LOOKUP_MISS;
    window->hits++;
    window->coalesced += get->waited;
    return LOOKUP_DONE;
  }
  enum lookup_state state = handle_miss_state(cache, get->lease);
  window->granted = window->granted || state == LOOKUP_LEASED;
  /* The daemon ends all waits of a client that holds a lease. Such a reply does not say whether
   * another client still computes the key. */
  return state == LOOKUP_MISS && window->granted ? LOOKUP_LEASED_ELSEWHERE : state;
}

static void finish_get(struct fcache *cache, struct window *window, uint32_t which, int rc,
                       const struct fc_reply *reply, struct fc_epoch *epoch) {
  uint32_t place = window->places[which];
  uint64_t wall_ns = remove_get(window, which, clock_now_ns());
  enum lookup_state state = handle_reply(cache, window, place, rc, &reply->get);
  window->states[place] = state;
  window->hits_ns += state == LOOKUP_DONE ? wall_ns : 0;
  if (window->computes || (state != LOOKUP_MISS && state != LOOKUP_LEASED))
    return;
  window->computes = true;
  *epoch = cache->connection.epoch;
}

static void count_wait(struct fcache *cache, const struct window *window) {
  cache->counters.lease_wait_ns += window->waited_ns;
  cache->counters.cache_hits += window->hits;
  cache->counters.coalesced_hits += window->coalesced;
  handle_add_wall_time(cache, window->hits_ns);
}

static uint32_t capacity_for(const struct fc_get_many *get) {
  uint32_t capacity =
      WINDOW_BYTES / (GET_MAX_BYTES + get->key.op.size + get->key.view.size + get->probe.size);
  return capacity < WINDOW_MAX ? capacity : WINDOW_MAX;
}

int batch_wait_pending(struct fcache *cache, const struct fc_get_many *get, uint64_t *left_ns,
                       struct fcache_value *values, enum lookup_state *states,
                       struct fc_epoch *epoch) {
  uint64_t start_ns = clock_now_ns();
  struct window window = {.connection = &cache->connection,
                          .get = get,
                          .values = values,
                          .states = states,
                          .end_ns = start_ns + *left_ns,
                          .capacity = capacity_for(get)};
  struct fc_reply reply;
  struct wait wait;
  uint32_t which;
  bool is_next = false;
  wait_begin(&wait, &cache->connection, &cache->waiting, *left_ns);
  for (;;) {
    if (!wait.cancelled)
      fill_window(&window, cache->lease_ms);
    if (window.n == 0 || cache->connection.state != CONNECTION_UP)
      break;
    int rc = wait_next(&wait, window.ids, window.n, &which, &reply);
    if (which == window.n) { /* the daemon is gone, and all that was asked of it */
      is_next = wait_reopen(&wait, window.end_ns);
      break;
    }
    finish_get(cache, &window, which, rc, &reply, epoch);
  }
  uint64_t waited_ns = clock_now_ns() - start_ns;
  cache->counters.degraded += cache->connection.state != CONNECTION_UP;
  *left_ns -= waited_ns < *left_ns ? waited_ns : *left_ns;
  while (window.n > 0)
    (void)remove_get(&window, window.n - 1, start_ns + waited_ns);
  count_wait(cache, &window);
  return wait.cancelled ? HANDLE_WAIT_CANCELLED : window.granted || is_next;
}
