#include "scripted_leases.h"

#include <check.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "proto/errors.h"
#include "proto/limits.h"

struct fcache_hash lease_prompt(uint32_t key) {
  return fcache_hash(&key, sizeof key);
}

/* LEASE_KEYS: a stranger. */
static uint32_t key_of(const uint8_t *prompt) {
  uint32_t key = 0;
  while (key < LEASE_KEYS) {
    struct fcache_hash hash = lease_prompt(key);
    if (memcmp(hash.bytes, prompt, sizeof hash.bytes) == 0)
      break;
    key++;
  }
  return key;
}

static char next_answer(struct scripted_leases *leases, uint32_t key) {
  if (key == LEASE_KEYS)
    return leases->others;
  const char *answers = leases->answers[key];
  if (answers == NULL)
    return 'N';
  char answer = answers[leases->at[key]];
  leases->at[key] += answers[leases->at[key] + 1] != '\0';
  return answer;
}

static void record(struct scripted_leases *leases, struct lease_seen seen, const uint8_t *prompts,
                   uint32_t n) {
  if (leases->n_seen == LEASE_SEEN)
    return;
  seen.n = n;
  for (uint32_t i = 0; i < n && i < LEASE_KEYS; i++)
    seen.keys[i] = key_of(prompts + (size_t)i * FC_HASH_SIZE);
  leases->seen[leases->n_seen++] = seen;
}

static struct lease_seen seen_of(enum fc_type type, uint32_t flags, bool has_terms,
                                 const struct fc_lease_terms *terms, struct fc_str probe) {
  struct lease_seen seen = {.type = type, .flags = flags, .has_terms = has_terms, .terms = *terms};
  (void)snprintf(seen.probe, sizeof seen.probe, "%.*s", (int)probe.size,
                 probe.data == NULL ? "" : probe.data);
  return seen;
}

static void add_value(struct scripted_leases *leases, struct fc_buf *out, uint32_t key) {
  char text[32];
  static const uint8_t dots[4096];
  (void)snprintf(text, sizeof text, "value %u", key);
  (void)fc_buf_append(out, text, strlen(text));
  for (uint32_t left = leases->padding; left > 0;) {
    uint32_t some = left < sizeof dots ? left : (uint32_t)sizeof dots;
    (void)fc_buf_append(out, dots, some);
    left -= some;
  }
}

static uint32_t value_size(const struct scripted_leases *leases, uint32_t key) {
  return (uint32_t)snprintf(NULL, 0, "value %u", key) + leases->padding;
}

static enum fc_lease_state state_of(char answer) {
  return answer == 'G'   ? FC_LEASE_GRANTED
         : answer == 'T' ? FC_LEASE_TAKEN
         : answer == '?' ? (enum fc_lease_state)3
                         : FC_LEASE_NONE;
}

/* False to hang up. */
static bool answer_get(struct scripted_leases *leases, uint32_t id, uint32_t key,
                       struct fc_buf *out) {
  char answer = next_answer(leases, key);
  switch (answer) {
  case 'H':
    if (fc_encode_hit_head(out, id, leases->generation, value_size(leases, key)) == 0)
      add_value(leases, out, key);
    return true;
  case 'W':
    if (fc_encode_waited_hit_head(out, id, leases->generation, value_size(leases, key)) == 0)
      add_value(leases, out, key);
    (void)fc_buf_append(out, &(uint8_t){FC_HIT_WAITED}, 1);
    return true;
  case 'E':
    (void)fc_encode_error(out, id, FC_EREFUSED, fc_str_of("the daemon's words"));
    return true;
  case 'P':
    leases->held[leases->n_held].id = id;
    leases->held[leases->n_held++].key = key;
    return true;
  case 'S':
    leases->silent = true;
    return true;
  case 'L':
    (void)fc_encode_error(out, 0, FC_ESHUTDOWN, fc_str_of("good bye"));
    return false;
  case 'X':
    return false;
  default:
    if (leases->version >= 3)
      (void)fc_encode_miss_lease(out, id, leases->generation, state_of(answer));
    else
      (void)fc_encode_miss(out, id, leases->generation);
    return true;
  }
}

static bool on_get(struct scripted_leases *leases, const struct fc_request *request,
                   struct fc_buf *out) {
  const struct fc_get *get = &request->get;
  struct lease_seen seen = seen_of(FC_GET, get->flags, get->has_terms, &get->terms, get->probe);
  record(leases, seen, get->key.prompt.bytes, 1);
  bool goes_on = answer_get(leases, request->id, key_of(get->key.prompt.bytes), out);
  leases->generation++;
  return goes_on;
}

static bool on_get_many(struct scripted_leases *leases, const struct fc_request *request,
                        struct fc_buf *out) {
  const struct fc_get_many *get = &request->get_many;
  struct lease_seen seen =
      seen_of(FC_GET_MANY, get->flags, get->has_terms, &get->terms, get->probe);
  struct fc_get_many_reply reply = {.clear_generation = leases->generation++, .last = true};
  struct fc_buf values = {0}, states = {0};
  bool goes_on = true;
  record(leases, seen, get->prompts, get->n);
  for (; reply.values.n < get->n && goes_on; reply.values.n++) {
    uint32_t key = key_of(get->prompts + (size_t)reply.values.n * FC_HASH_SIZE);
    char answer = next_answer(leases, key);
    uint8_t state = (uint8_t)state_of(answer);
    goes_on = answer != 'X';
    if (answer == 'H') {
      (void)fc_encode_bin_head(&values, value_size(leases, key));
      add_value(leases, &values, key);
    } else {
      (void)fc_encode_nil(&values);
      (void)fc_buf_append(&states, &state, 1);
    }
  }
  if (leases->version >= 3 && ((get->flags & FC_LEASE) != 0 || leases->leases_unasked))
    reply.n_leases = (uint32_t)states.size;
  (void)fc_encode_get_many_reply_head(out, request->id, &reply);
  (void)fc_buf_append(out, values.data, values.size);
  if (reply.n_leases > 0)
    (void)fc_encode_leases(out, states.data, reply.n_leases - leases->leases_too_few);
  fc_frame_finish(out, 0, 0);
  fc_buf_free(&values);
  fc_buf_free(&states);
  if (!goes_on)
    fc_buf_reset(out);
  return goes_on;
}

static void on_put(struct scripted_leases *leases, const struct fc_request *request,
                   struct fc_buf *out) {
  struct lease_seen seen = {.type = request->type};
  struct fc_put_many_reply reply = {0};
  if (request->type == FC_PUT) {
    seen.flags = request->put.flags;
    seen.generation = request->put.epoch.clear_generation;
    record(leases, seen, request->put.key.prompt.bytes, 1);
  } else {
    seen.flags = request->put_many.flags;
    seen.generation = request->put_many.epoch.clear_generation;
    record(leases, seen, request->put_many.prompts, request->put_many.n);
    reply.stored = request->put_many.n;
  }
  if (leases->put_error != 0)
    (void)fc_encode_error(out, request->id, leases->put_error, fc_str_of("the daemon's words"));
  else if (request->type == FC_PUT)
    (void)fc_encode_put_reply(out, request->id, FC_STORED);
  else
    (void)fc_encode_put_many_reply(out, request->id, &reply);
}

/* Ends the oldest wait. Returns false to close the connection. */
static bool end_one_wait(struct scripted_leases *leases, struct fc_buf *out) {
  if (leases->n_held == 0)
    return true;
  uint32_t id = leases->held[0].id, key = leases->held[0].key;
  leases->n_held--;
  memmove(leases->held, leases->held + 1, leases->n_held * sizeof leases->held[0]);
  return answer_get(leases, id, key, out);
}

static bool on_ping(struct scripted_leases *leases, const struct fc_request *request,
                    struct fc_buf *out) {
  bool goes_on = true;
  if (leases->pings_max > 0 && leases->pings >= leases->pings_max) {
    leases->silent = true;
    return true;
  }
  if (leases->trickles)
    return end_one_wait(leases, out);
  (void)fc_encode_simple(out, FC_REPLY | FC_PING, request->id);
  if (++leases->pings < leases->pings_wanted)
    return true;
  unsigned n = leases->n_held;
  leases->n_held = 0;
  for (unsigned i = 0; i < n && goes_on; i++)
    goes_on = answer_get(leases, leases->held[i].id, leases->held[i].key, out);
  return goes_on;
}

static void on_give_up(struct scripted_leases *leases, const struct fc_request *request,
                       struct fc_buf *out) {
  const struct fc_give_up *give_up = &request->give_up;
  struct lease_seen seen = {.type = FC_GIVE_UP, .all = give_up->key.op.data == NULL};
  record(leases, seen, give_up->prompts, give_up->n);
  while (seen.all && leases->n_held > 0)
    (void)end_one_wait(leases, out); /* the waits end too */
  (void)fc_encode_given_up(out, request->id, give_up->n);
}

static bool answer(struct scripted_leases *leases, const struct fc_request *request,
                   struct fc_buf *out) {
  switch (request->type) {
  case FC_GET:
    return on_get(leases, request, out);
  case FC_GET_MANY:
    return on_get_many(leases, request, out);
  case FC_PUT:
  case FC_PUT_MANY:
    on_put(leases, request, out);
    return true;
  case FC_PING:
    return on_ping(leases, request, out);
  case FC_GIVE_UP:
    on_give_up(leases, request, out);
    return true;
  default:
    return false;
  }
}

/* Until the other side has had enough. */
static void flood(int fd) {
  struct fc_buf burst = {0};
  while (burst.size < 65536 && !burst.failed)
    (void)fc_encode_miss_lease(&burst, 77777, 7, FC_LEASE_GRANTED);
  while (scripted_write(fd, burst.data, burst.size))
    continue;
  fc_buf_free(&burst);
}

static void serve(struct scripted_daemon *scripted, int fd, unsigned nth) {
  (void)nth;
  struct scripted_leases *leases = scripted->arg;
  struct fc_request request;
  uint8_t *body;
  scripted->welcome.version = leases->version;
  if (!scripted_handshake(scripted, fd))
    return;
  while (scripted_read(scripted, fd, &body, &request)) {
    struct fc_buf out = {0};
    (void)pthread_mutex_lock(&leases->lock);
    bool goes_on = answer(leases, &request, &out);
    bool silent = leases->silent, floods = leases->floods && leases->n_held > 0;
    (void)pthread_mutex_unlock(&leases->lock);
    free(body);
    if (silent) {
      fc_buf_free(&out);
      continue;
    }
    scripted_send(fd, &out);
    if (floods)
      flood(fd);
    if (!goes_on)
      return;
  }
}

struct scripted_leases *scripted_leases_start(void) {
  struct scripted_leases *leases = calloc(1, sizeof *leases);
  ck_assert_ptr_nonnull(leases);
  ck_assert_int_eq(unsetenv("FCACHE_DISABLE"), 0);
  ck_assert_int_eq(pthread_mutex_init(&leases->lock, NULL), 0);
  leases->generation = 7;
  leases->version = FC_PROTOCOL_VERSION;
  leases->pings_wanted = 1;
  leases->others = 'N';
  scripted_start(&leases->scripted, serve, leases);
  return leases;
}

void scripted_leases_stop(struct scripted_leases *leases) {
  scripted_stop(&leases->scripted);
  (void)pthread_mutex_destroy(&leases->lock); /* no thread holds it */
  free(leases);
}

static void ignore_line(void *arg, const char *line) {
  (void)arg;
  (void)line;
}

struct fcache *scripted_leases_open(const char *path, uint32_t deadline_ms, uint32_t wait_ms) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache *cache;
  options.socket = path;
  options.name_space = "test";
  options.deadline_ms = deadline_ms;
  options.lease_ms = SCRIPTED_LEASE_MS;
  options.wait_ms = wait_ms;
  options.log = ignore_line;
  ck_assert_int_eq(fcache_open(&options, &cache, NULL), FCACHE_OK);
  return cache;
}

/* ---- looking ---- */

struct lease_seen lease_seen(struct scripted_leases *leases, unsigned i) {
  struct lease_seen seen;
  ck_assert_int_eq(pthread_mutex_lock(&leases->lock), 0);
  ck_assert_uint_lt(i, leases->n_seen);
  seen = leases->seen[i];
  ck_assert_int_eq(pthread_mutex_unlock(&leases->lock), 0);
  return seen;
}

static unsigned read_locked(struct scripted_leases *leases, const unsigned *at) {
  ck_assert_int_eq(pthread_mutex_lock(&leases->lock), 0);
  unsigned n = *at;
  ck_assert_int_eq(pthread_mutex_unlock(&leases->lock), 0);
  return n;
}

unsigned lease_n_seen(struct scripted_leases *leases) {
  return read_locked(leases, &leases->n_seen);
}

unsigned lease_pings(struct scripted_leases *leases) {
  return read_locked(leases, &leases->pings);
}

unsigned lease_n_held(struct scripted_leases *leases) {
  return read_locked(leases, &leases->n_held);
}
