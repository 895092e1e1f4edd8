#include "tests/support/sharing_daemon.h"

#include <check.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fcache.h"
#include "proto/limits.h"
#include "proto/wire/frame.h"
#include "tests/support/client_fixture.h"
#include "tests/support/library.h"
#include "tests/support/region_builder.h"
#include "tests/support/runner.h"
#include "tests/support/scripted_daemon.h"

struct sharing_daemon sharing;

#define SHARING_REGION_BYTES (8u << 20)

void sharing_read_ring(unsigned nth) {
  struct fc_ring_header *ring = atomic_load(&sharing.rings[nth]);
  if (!atomic_load(&sharing.reads_nothing))
    atomic_store(&ring->tail, atomic_load(&ring->head));
}

static void wait_while_silent(void) {
  while (atomic_load(&sharing.silent) && !atomic_load(&sharing.scripted.stopping))
    (void)poll(NULL, 0, 1);
}

/* Of the keys that are not in the region it has all but "none". */
static bool has(const uint8_t *prompt) {
  struct fc_hash none = fc_hash_prompt("none", 4);
  return memcmp(prompt, none.bytes, FC_HASH_SIZE) != 0;
}

static void answer_many(const struct fc_request *request, struct fc_buf *out) {
  const struct fc_get_many *get = &request->get_many;
  struct fc_get_many_reply reply = {.clear_generation = 7, .last = true, .values.n = get->n};
  atomic_fetch_add(&sharing.keys, get->n);
  (void)fc_encode_get_many_reply_head(out, request->id, &reply);
  for (uint32_t i = 0; i < get->n; i++)
    if (!has(get->prompts + (size_t)i * FC_HASH_SIZE))
      (void)fc_encode_nil(out);
    else if (fc_encode_bin_head(out, 6) == 0)
      (void)fc_buf_append(out, "socket", 6);
  fc_frame_finish(out, 0, 0);
}

/* The old ring was read before the request was handled. */
static void answer_ring(int fd, const struct fc_request *request, unsigned nth) {
  uint32_t slots = atomic_exchange(&sharing.next_slots, 0);
  struct fc_ring_reply reply = {slots == 0 ? 0 : SHARING_SPACE, slots == 0 ? 0 : 5};
  struct fc_ring_header *ring;
  struct fc_buf out = {0};
  atomic_store(&sharing.wanted_slots, request->ring.want_slots);
  atomic_fetch_add(&sharing.ring_requests, 1);
  (void)fc_encode_ring_reply(&out, request->id, &reply);
  if (slots == 0) {
    scripted_send(fd, &out);
    return;
  }
  int fds[FC_REGION_PASSED_MAX];
  unsigned n = sharing.n_region_fds;
  memcpy(fds, sharing.region_fds, n * sizeof fds[0]);
  fds[n] = ring_build_fd(&ring, slots, SHARING_SEALS);
  atomic_store(&sharing.former_rings[nth], atomic_exchange(&sharing.rings[nth], ring));
  scripted_send_with(fd, &out, fds, atomic_load(&sharing.omits_ring_fd) ? n : n + 1);
  (void)close(fds[n]);
}

static void answer(int fd, const struct fc_request *request, unsigned nth) {
  struct fc_buf out = {0};
  if (request->type == FC_RING) {
    answer_ring(fd, request, nth);
    return;
  }
  if (request->type == FC_GET) {
    atomic_fetch_add(&sharing.gets, 1);
    if (!has(request->get.key.prompt.bytes))
      (void)fc_encode_miss(&out, request->id, 7);
    else if (fc_encode_hit_head(&out, request->id, 7, 6) == 0)
      (void)fc_buf_append(&out, "socket", 6);
  } else if (request->type == FC_GET_MANY) {
    answer_many(request, &out);
  } else if (request->type == FC_GIVE_UP) {
    atomic_fetch_add(&sharing.gives_up, request->give_up.key.op.data == NULL);
    (void)fc_encode_given_up(&out, request->id, 0);
  } else {
    atomic_fetch_add(&sharing.pings, 1);
    (void)fc_encode_simple(&out, FC_REPLY | FC_PING, request->id);
  }
  scripted_send(fd, &out);
}

static void serve(struct scripted_daemon *scripted, int fd, unsigned nth) {
  uint8_t *body;
  struct fc_request request;
  struct fc_ring_header *ring;
  if (nth >= SHARING_RINGS)
    return;
  wait_while_silent();
  int fds[SCRIPTED_PASSED_MAX];
  for (unsigned i = 0; i < SCRIPTED_PASSED_MAX; i++)
    fds[i] = sharing.region_fds[i < sharing.n_region_fds ? i : 0];
  if (sharing.wrong_fd >= 0)
    fds[sharing.wrong_file] = sharing.wrong_fd;
  int ring_fd = ring_build_fd(&ring, SHARING_SLOTS, sharing.ring_seals);
  if (sharing.n_fds > 0) /* the last one, however many there are */
    fds[sharing.n_fds - 1] = ring_fd;
  atomic_store(&sharing.rings[nth], ring);
  bool welcomed = scripted_handshake_with(scripted, fd, fds, sharing.n_fds);
  (void)close(ring_fd);
  while (atomic_load(&sharing.stops_reading) && !atomic_load(&scripted->stopping))
    (void)poll(NULL, 0, 1);
  while (welcomed && scripted_read(scripted, fd, &body, &request)) {
    bool hangs_up = atomic_exchange(&sharing.hangs_up, false);
    if (request.type !=
        FC_GET_MANY) { /* of which alone the body is needed: see scripted_wait_idle */
      free(body);
      body = NULL;
    }
    wait_while_silent();
    sharing_read_ring(nth); /* before the request is handled */
    if (!hangs_up)
      answer(fd, &request, nth);
    free(body);
    if (hangs_up)
      break;
  }
  sharing_read_ring(nth); /* at the end */
  atomic_store(&sharing.ended[nth], true);
}

struct fc_key sharing_key(const char *prompt) {
  return (struct fc_key){.op = fc_str_of("op"),
                         .view = fc_str_of("base"),
                         .prompt = fc_hash_prompt(prompt, strlen(prompt))};
}

void sharing_set_up(void) {
  client_set_up();
  (void)unsetenv("FCACHE_REGION");
  memset(&sharing, 0, sizeof sharing);
  sharing.n_region_fds = region_build_fds(&sharing.region, SHARING_REGION_BYTES, SCRIPTED_BOOT_ID,
                                          64, SHARING_SEALS, sharing.region_fds);
  sharing.n_fds = sharing.n_region_fds + 1;
  sharing.wrong_fd = -1;
  sharing.ring_seals = SHARING_SEALS;
  struct fc_key a = sharing_key("a"), c = sharing_key("c");
  (void)region_build_add(&sharing.region, SHARING_SPACE, &a, "region", 6, 0);
  (void)region_build_add(&sharing.region, SHARING_SPACE, &c, "region", 6, 2);
  scripted_start(&sharing.scripted, serve, NULL);
  sharing.scripted.welcome.namespace_id = SHARING_SPACE;
  sharing.scripted.welcome.client_id = 5;
  atomic_store(&sharing.silent, false); /* publishes the fields above to the threads */
}

static void unmap_ring(struct fc_ring_header *ring) {
  ck_assert_int_eq(munmap(ring, fc_ring_bytes(ring->n_slots)), 0);
}

void sharing_tear_down(void) {
  scripted_stop(&sharing.scripted);
  for (int i = 0; i < SHARING_RINGS; i++)
    if (atomic_load(&sharing.rings[i]) != NULL)
      unmap_ring(atomic_load(&sharing.rings[i]));
  for (int i = 0; i < SHARING_RINGS; i++)
    if (atomic_load(&sharing.former_rings[i]) != NULL)
      unmap_ring(atomic_load(&sharing.former_rings[i]));
  region_build_unmap(&sharing.region);
  for (unsigned i = 0; i < sharing.n_region_fds; i++)
    ck_assert_int_eq(close(sharing.region_fds[i]), 0);
  client_tear_down();
}

/* Retries, since the handshake may miss a short deadline on a busy machine. */
struct fcache *sharing_open(uint32_t deadline_ms) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache *cache;
  uint64_t end_ms = runner_now_ms() + CLIENT_LONG_MS;
  options.socket = sharing.scripted.path;
  options.name_space = "test";
  options.client = "tester";
  options.deadline_ms = deadline_ms;
  options.log = client_log;
  ck_assert_int_eq(fcache_open(&options, &cache, NULL), FCACHE_OK);
  while (!fcache_connected(cache)) {
    ck_assert_uint_lt(runner_now_ms(), end_ms);
    fcache_close(cache);
    ck_assert_int_eq(fcache_open(&options, &cache, NULL), FCACHE_OK);
  }
  sharing.first = atomic_load(&sharing.scripted.accepted) - 1;
  return cache;
}

struct fc_ring_header *sharing_ring(unsigned nth) {
  return atomic_load(&sharing.rings[sharing.first + nth]);
}

/* 'r': a hit from the region, 's': one by the socket, 'm': a miss. */
char sharing_get_with(struct fcache *cache, const char *prompt, unsigned flags) {
  struct fcache_key key = client_key(prompt);
  struct fcache_value value = {0};
  int rc = fcache_get(cache, &key, flags, &value);
  char result = rc == FCACHE_MISS ? 'm' : '?';
  if (rc == FCACHE_OK && value.size == 6)
    result = ((const char *)value.data)[0];
  fcache_value_free(&value);
  return result;
}

char sharing_get(struct fcache *cache, const char *prompt) {
  return sharing_get_with(cache, prompt, 0);
}

uint64_t sharing_head(unsigned nth) {
  return atomic_load(&sharing_ring(nth)->head);
}

struct fc_ring_hit sharing_hit(unsigned nth, uint64_t i) {
  struct fc_ring_hit hit;
  memcpy(&hit, ring_build_slot(sharing_ring(nth), i), sizeof hit);
  return hit;
}

void sharing_wait_for(const atomic_bool *flag) {
  uint64_t end_ms = runner_now_ms() + CLIENT_LONG_MS;
  while (!atomic_load(flag)) {
    ck_assert_uint_lt(runner_now_ms(), end_ms);
    (void)poll(NULL, 0, 1);
  }
}

/* Hits until there have been `n` connections. */
unsigned sharing_hit_until_connected(struct fcache *cache, uint64_t n) {
  uint64_t end_ms = runner_now_ms() + CLIENT_LONG_MS;
  unsigned hits = 0;
  for (; library_counters(cache).reconnects + 1 < n; hits++) {
    ck_assert_uint_lt(runner_now_ms(), end_ms);
    ck_assert_int_eq(sharing_get(cache, "a"), 'r');
    (void)poll(NULL, 0, 1);
  }
  return hits;
}

unsigned sharing_mappings(const char *name) {
  char line[512];
  unsigned n = 0;
  FILE *maps = fopen("/proc/self/maps", "re");
  ck_assert_ptr_nonnull(maps);
  while (fgets(line, sizeof line, maps) != NULL)
    n += strstr(line, name) != NULL;
  (void)fclose(maps);
  return n;
}

int sharing_connections(int *last) {
  return client_sockets_to(sharing.scripted.path, last);
}
