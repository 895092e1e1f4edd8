/* The library and a daemon that shares its memory: hits without a message, the ring that tells of
 * them, and everything that may be missing or end in the middle. */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/lib/shm/shm.h"
#include "fcache.h"
#include "tests/support/region_builder.h"
#include "tests/support/runner.h"
#include "tests/support/scripted_daemon.h"

#define DEADLINE_MS 600u
#define LONG_MS 20000u /* bounds what is expected to come */
#define REGION_BYTES (8u << 20)
#define SPACE 11u
#define SLOTS FC_RING_SLOTS_MIN
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW)
#define RINGS 32

/* ---- a daemon that shares ---- */

static struct {
  struct peer peer;
  struct region_build region;
  int region_fd;
  _Atomic(struct fc_ring_header *) rings[RINGS]; /* of each connection */
  atomic_bool ended[RINGS];
  atomic_uint gets, keys, pings;                  /* messages; keys of get_many */
  atomic_uint let_go;                             /* give_ups of all */
  atomic_bool silent;                             /* neither greets nor answers */
  atomic_bool deaf;                               /* does not read on after its greeting */
  atomic_bool hangs_up;                           /* at the next request */
  atomic_bool takes_nothing;                      /* from the rings */
  atomic_uint asked;                              /* for another ring */
  atomic_uint wanted;                             /* slots, by the latest of these */
  atomic_uint next_slots;                         /* of the ring that is given then; 0: none */
  atomic_bool given_half;                         /* it comes without the ring */
  _Atomic(struct fc_ring_header *) former[RINGS]; /* whose place another has taken */
  unsigned n_passed;                              /* descriptors beside the welcome */
  int first_passed;                               /* instead of the region, if not -1 */
  int ring_seals;
} world;

static void take(unsigned nth) {
  struct fc_ring_header *ring = atomic_load(&world.rings[nth]);
  if (!atomic_load(&world.takes_nothing))
    atomic_store(&ring->tail, atomic_load(&ring->head));
}

static void wait_while_silent(void) {
  while (atomic_load(&world.silent) && !atomic_load(&world.peer.stopping))
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
  atomic_fetch_add(&world.keys, get->n);
  (void)fc_encode_get_many_reply_head(out, request->id, &reply);
  for (uint32_t i = 0; i < get->n; i++)
    if (!has(get->prompts + (size_t)i * FC_HASH_SIZE))
      (void)fc_encode_nil(out);
    else if (fc_encode_bin_head(out, 6) == 0)
      (void)fc_buf_append(out, "socket", 6);
  fc_frame_finish(out, 0, 0);
}

/* What the old ring held was taken before. */
static void answer_ring(int fd, const struct fc_request *request, unsigned nth) {
  uint32_t slots = atomic_exchange(&world.next_slots, 0);
  struct fc_ring_reply reply = {slots == 0 ? 0 : SPACE, slots == 0 ? 0 : 5};
  struct fc_ring_header *ring;
  struct fc_buf out = {0};
  atomic_store(&world.wanted, request->ring.want_slots);
  atomic_fetch_add(&world.asked, 1);
  (void)fc_encode_ring_reply(&out, request->id, &reply);
  if (slots == 0) {
    peer_send(fd, &out);
    return;
  }
  int fds[] = {world.region_fd, ring_build_fd(&ring, slots, SEALS)};
  atomic_store(&world.former[nth], atomic_exchange(&world.rings[nth], ring));
  peer_send_with(fd, &out, fds, atomic_load(&world.given_half) ? 1 : 2);
  (void)close(fds[1]);
}

static void answer(int fd, const struct fc_request *request, unsigned nth) {
  struct fc_buf out = {0};
  if (request->type == FC_RING) {
    answer_ring(fd, request, nth);
    return;
  }
  if (request->type == FC_GET) {
    atomic_fetch_add(&world.gets, 1);
    if (!has(request->get.key.prompt.bytes))
      (void)fc_encode_miss(&out, request->id, 7);
    else if (fc_encode_hit_head(&out, request->id, 7, 6) == 0)
      (void)fc_buf_append(&out, "socket", 6);
  } else if (request->type == FC_GET_MANY) {
    answer_many(request, &out);
  } else if (request->type == FC_GIVE_UP) {
    atomic_fetch_add(&world.let_go, request->give_up.key.op.data == NULL);
    (void)fc_encode_given_up(&out, request->id, 0);
  } else {
    atomic_fetch_add(&world.pings, 1);
    (void)fc_encode_simple(&out, FC_REPLY | FC_PING, request->id);
  }
  peer_send(fd, &out);
}

static void serve(struct peer *peer, int fd, unsigned nth) {
  uint8_t *body;
  struct fc_request request;
  struct fc_ring_header *ring;
  if (nth >= RINGS)
    return;
  wait_while_silent();
  int fds[PEER_PASSED_MAX];
  for (int i = 0; i < PEER_PASSED_MAX; i++)
    fds[i] = world.region_fd;
  if (world.first_passed >= 0)
    fds[0] = world.first_passed;
  int ring_fd = fds[1] = ring_build_fd(&ring, SLOTS, world.ring_seals);
  atomic_store(&world.rings[nth], ring);
  bool greeted = peer_greet_with(peer, fd, fds, world.n_passed);
  (void)close(ring_fd);
  while (atomic_load(&world.deaf) && !atomic_load(&peer->stopping))
    (void)poll(NULL, 0, 1);
  while (greeted && peer_read(peer, fd, &body, &request)) {
    bool hangs_up = atomic_exchange(&world.hangs_up, false);
    if (request.type != FC_GET_MANY) { /* of which alone the body is needed: see peer_wait_idle */
      free(body);
      body = NULL;
    }
    wait_while_silent();
    take(nth); /* before the request is handled */
    if (!hangs_up)
      answer(fd, &request, nth);
    free(body);
    if (hangs_up)
      break;
  }
  take(nth); /* at the end */
  atomic_store(&world.ended[nth], true);
}

static struct fc_key wire_key(const char *prompt) {
  return (struct fc_key){.op = fc_str_of("op"),
                         .view = fc_str_of("base"),
                         .prompt = fc_hash_prompt(prompt, strlen(prompt))};
}

static unsigned n_lines; /* that the handles said */
static unsigned descriptors_before;

static unsigned open_descriptors(void) {
  unsigned n = 0;
  DIR *dir = opendir("/proc/self/fd");
  ck_assert_ptr_nonnull(dir);
  while (readdir(dir) != NULL)
    n++;
  (void)closedir(dir);
  return n;
}

static void set_up(void) {
  (void)unsetenv("FCACHE_DISABLE");
  (void)unsetenv("FCACHE_REGION");
  n_lines = 0;
  descriptors_before = open_descriptors();
  memset(&world, 0, sizeof world);
  world.region_fd = region_build_fd(&world.region, REGION_BYTES, PEER_BOOT_ID, 64, SEALS);
  world.n_passed = 2;
  world.first_passed = -1;
  world.ring_seals = SEALS;
  struct fc_key a = wire_key("a"), c = wire_key("c");
  (void)region_build_add(&world.region, SPACE, &a, "region", 6, 0);
  (void)region_build_add(&world.region, SPACE, &c, "region", 6, 2);
  peer_start(&world.peer, serve, NULL);
  world.peer.welcome.namespace_id = SPACE;
  world.peer.welcome.client_id = 5;
  atomic_store(&world.silent, false); /* what stands above is seen by who has seen this */
}

static void unmap_ring(struct fc_ring_header *ring) {
  ck_assert_int_eq(munmap(ring, fc_ring_bytes(ring->n_slots)), 0);
}

static void tear_down(void) {
  peer_stop(&world.peer);
  for (int i = 0; i < RINGS; i++)
    if (atomic_load(&world.rings[i]) != NULL)
      unmap_ring(atomic_load(&world.rings[i]));
  for (int i = 0; i < RINGS; i++)
    if (atomic_load(&world.former[i]) != NULL)
      unmap_ring(atomic_load(&world.former[i]));
  region_build_unmap(&world.region);
  ck_assert_int_eq(close(world.region_fd), 0);
  ck_assert_uint_eq(open_descriptors(), descriptors_before);
}

/* ---- what the tests share ---- */

static void take_line(void *arg, const char *line) {
  (void)arg;
  (void)line;
  n_lines++;
}

static unsigned first; /* the connection of the handle that was opened last; `nth` counts from it */

/* Connected, though a busy machine may miss a short deadline over the greeting itself. */
static struct fcache *open_cache(uint32_t deadline_ms) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache *cache;
  uint64_t end_ms = runner_now_ms() + LONG_MS;
  options.socket = world.peer.path;
  options.name_space = "test";
  options.client = "tester";
  options.deadline_ms = deadline_ms;
  options.log = take_line;
  ck_assert_int_eq(fcache_open(&options, &cache, NULL), FCACHE_OK);
  while (!fcache_connected(cache)) {
    ck_assert_uint_lt(runner_now_ms(), end_ms);
    fcache_close(cache);
    ck_assert_int_eq(fcache_open(&options, &cache, NULL), FCACHE_OK);
  }
  first = atomic_load(&world.peer.accepted) - 1;
  return cache;
}

static struct fc_ring_header *ring_of(unsigned nth) {
  return atomic_load(&world.rings[first + nth]);
}

static struct fcache_key key_of(const char *prompt) {
  return (struct fcache_key){
      .op = "op", .view = "base", .prompt = fcache_hash(prompt, strlen(prompt))};
}

/* 'r': a hit from the region, 's': one by the socket, 'm': a miss. */
static char get_with(struct fcache *cache, const char *prompt, unsigned flags) {
  struct fcache_key key = key_of(prompt);
  struct fcache_value value = {0};
  int rc = fcache_get(cache, &key, flags, &value);
  char result = rc == FCACHE_MISS ? 'm' : '?';
  if (rc == FCACHE_OK && value.size == 6)
    result = ((const char *)value.data)[0];
  fcache_value_free(&value);
  return result;
}

static char get(struct fcache *cache, const char *prompt) {
  return get_with(cache, prompt, 0);
}

static struct fcache_counters counters_of(const struct fcache *cache) {
  struct fcache_counters counters;
  fcache_get_counters(cache, &counters);
  return counters;
}

static uint64_t head_of(unsigned nth) {
  return atomic_load(&ring_of(nth)->head);
}

static struct fc_ring_hit hit_at(unsigned nth, uint64_t i) {
  struct fc_ring_hit hit;
  memcpy(&hit, ring_build_slot(ring_of(nth), i), sizeof hit);
  return hit;
}

static unsigned mappings(const char *name) {
  char line[512];
  unsigned n = 0;
  FILE *maps = fopen("/proc/self/maps", "re");
  ck_assert_ptr_nonnull(maps);
  while (fgets(line, sizeof line, maps) != NULL)
    n += strstr(line, name) != NULL;
  (void)fclose(maps);
  return n;
}

/* Our own ends of connections; *last is one of them. */
static int connections(int *last) {
  int n = 0;
  for (int fd = 3; fd < 1024; fd++) {
    struct sockaddr_un address = {0};
    socklen_t size = sizeof address;
    if (getpeername(fd, (struct sockaddr *)&address, &size) != 0 ||
        strcmp(address.sun_path, world.peer.path) != 0)
      continue;
    *last = fd;
    n++;
  }
  return n;
}

static void wait_for(const atomic_bool *flag) {
  uint64_t end_ms = runner_now_ms() + LONG_MS;
  while (!atomic_load(flag)) {
    ck_assert_uint_lt(runner_now_ms(), end_ms);
    (void)poll(NULL, 0, 1);
  }
}

/* Hits until there have been `n` connections. */
static unsigned hit_until_connected(struct fcache *cache, uint64_t n) {
  uint64_t end_ms = runner_now_ms() + LONG_MS;
  unsigned hits = 0;
  for (; counters_of(cache).reconnects + 1 < n; hits++) {
    ck_assert_uint_lt(runner_now_ms(), end_ms);
    ck_assert_int_eq(get(cache, "a"), 'r');
    (void)poll(NULL, 0, 1);
  }
  return hits;
}

/* ---- hits ---- */

START_TEST(hit_is_no_message_and_is_told) {
  struct fcache *cache = open_cache(LONG_MS);
  ck_assert_uint_eq(atomic_load(&world.peer.layout), FC_REGION_LAYOUT);
  uint64_t before_ns = runner_now_ms() * 1000000u;
  ck_assert_int_eq(get(cache, "a"), 'r');
  ck_assert_int_eq(get(cache, "c"), 'r');
  ck_assert_uint_eq(atomic_load(&world.peer.seen), 1); /* hello */
  ck_assert_uint_eq(head_of(0), 3);
  struct fc_ring_hit hit = hit_at(0, 1);
  struct fc_key key = wire_key("a");
  ck_assert_uint_eq(hit.kind, FC_RING_HIT);
  ck_assert_uint_eq(hit.digest, fc_key_digest(SPACE, &key));
  ck_assert_mem_eq(hit.prompt, key.prompt.bytes, FC_HASH_SIZE);
  ck_assert_uint_eq(hit.top_k, 0);
  ck_assert_uint_eq(hit.flags, 0);
  ck_assert_uint_eq(hit.compute_ns, 1000);
  ck_assert_uint_eq((uint32_t)hit.origin, 9);
  ck_assert_uint_ge(hit.end_ns, before_ns);
  ck_assert_uint_lt(hit.wall_ns, (uint64_t)LONG_MS * 1000000u);
  struct fcache_counters counters = counters_of(cache);
  ck_assert_uint_eq(counters.cache_hits, 2);
  ck_assert_uint_eq(counters.region_hits, 2);
  ck_assert_uint_eq(counters.scoring_wall_ns, hit.wall_ns + hit_at(0, 2).wall_ns);
  ck_assert_uint_eq(counters.unrecorded, 0);
  ck_assert_uint_eq(counters.degraded, 0);
  fcache_close(cache);
  ck_assert_uint_eq(mappings("test-region"), 1); /* ours */
  ck_assert_uint_eq(mappings("test-ring"), 1);
}
END_TEST

/* Any system call but exit kills the process from here on. */
static void forbid_system_calls(void) {
  struct sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
  };
  struct sock_fprog program = {.len = sizeof rules / sizeof rules[0], .filter = rules};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
      prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
    _exit('p');
}

/* In a child that may do nothing but exit once it has its connection. The clock alone says whether
 * this machine's (or valgrind's) needs one; then there is nothing to see.
 */
static bool hits_without_kernel(struct fcache *cache, int n) {
  int status;
  peer_wait_idle(&world.peer);
  pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0) {
    struct fcache_key key = key_of("a");
    struct fcache_value value = {0};
    struct timespec now;
    int misses = 0;
    for (int i = 0; i < 2; i++) /* opens its own, and has the room */
      misses += fcache_get(cache, &key, 0, &value);
    forbid_system_calls();
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    for (int i = 0; i < n; i++)
      misses += fcache_get(cache, &key, 0, &value);
    (void)syscall(SYS_exit, misses);
  }
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

START_TEST(hit_makes_no_system_call) {
  struct fcache *cache = open_cache(LONG_MS);
  if (hits_without_kernel(cache, 0)) {
    ck_assert(hits_without_kernel(cache, 400));
    ck_assert_uint_eq(head_of(2), 1 + 1 + 400);
  } else {
    printf("skipped: hit_makes_no_system_call: the clock needs the kernel here\n");
  }
  fcache_close(cache);
}
END_TEST

START_TEST(what_the_region_lacks_goes_by_the_socket) {
  struct fcache *cache = open_cache(LONG_MS);
  ck_assert_int_eq(get(cache, "b"), 's');
  ck_assert_int_eq(get(cache, "none"), 'm');
  struct fc_key key = wire_key("a");
  struct fc_region_bucket *bucket = region_build_bucket(&world.region, SPACE, &key);
  atomic_fetch_add(&bucket->sequence, 1); /* the daemon stands in the middle of a change */
  ck_assert_int_eq(get(cache, "a"), 's');
  atomic_fetch_add(&bucket->sequence, 1);
  ck_assert_int_eq(get(cache, "a"), 'r');
  ck_assert_uint_eq(atomic_load(&world.gets), 3);
  ck_assert_uint_eq(counters_of(cache).cache_hits, 3);
  ck_assert_uint_eq(counters_of(cache).region_hits, 1);
  fcache_close(cache);
}
END_TEST

START_TEST(unrecorded_hit_promotes_and_is_not_counted) {
  struct fcache *cache = open_cache(LONG_MS);
  ck_assert_int_eq(get_with(cache, "a", FCACHE_UNRECORDED), 'r');
  ck_assert_uint_eq(hit_at(0, 1).flags, FC_RING_UNRECORDED);
  ck_assert_uint_eq(counters_of(cache).cache_hits, 0);
  ck_assert_uint_eq(counters_of(cache).region_hits, 0);
  ck_assert_uint_eq(counters_of(cache).scoring_wall_ns, 0);
  fcache_close(cache);
}
END_TEST

START_TEST(probe_is_told_with_the_hit) {
  struct fcache *cache = open_cache(LONG_MS);
  ck_assert_int_eq(fcache_set_probe(cache, "probe"), FCACHE_OK);
  ck_assert_int_eq(get(cache, "a"), 'r');
  const char *record = ring_build_slot(ring_of(0), 0);
  ck_assert_mem_eq(record + 8, "opbaseprobe", 11);
  fcache_close(cache);
}
END_TEST

START_TEST(batch_asks_the_daemon_for_the_rest_alone) {
  static const char *const prompts[] = {"b", "a", "none", "c", "a", "d"};
  struct fcache_hash hashes[6];
  struct fcache_value values[6] = {{0}};
  bool hit[6];
  struct fcache *cache = open_cache(LONG_MS);
  for (int i = 0; i < 6; i++)
    hashes[i] = fcache_hash(prompts[i], strlen(prompts[i]));
  ck_assert_int_eq(fcache_get_many(cache, "op", "base", 0, hashes, 6, 0, values, hit), FCACHE_OK);
  for (int i = 0; i < 6; i++) {
    ck_assert_int_eq(hit[i], i != 2);
    if (hit[i])
      ck_assert_mem_eq(values[i].data, i == 0 || i == 5 ? "socket" : "region", 6);
  }
  ck_assert_uint_eq(atomic_load(&world.keys), 3);
  ck_assert_uint_eq(head_of(0), 4); /* a context, a, c, a */
  struct fcache_counters counters = counters_of(cache);
  ck_assert_uint_eq(counters.cache_hits, 5);
  ck_assert_uint_eq(counters.region_hits, 3);
  /* Each hit has its own share of the time. */
  uint64_t shares_ns = 0;
  for (uint64_t i = 1; i < 4; i++)
    shares_ns += hit_at(0, i).wall_ns;
  ck_assert_uint_le(shares_ns, counters.scoring_wall_ns);
  /* With hits alone nothing is sent. */
  unsigned seen = atomic_load(&world.peer.seen);
  ck_assert_int_eq(fcache_get_many(cache, "op", "base", 0, &hashes[3], 2, 0, values, hit),
                   FCACHE_OK);
  ck_assert(hit[0] && hit[1]);
  ck_assert_uint_eq(atomic_load(&world.peer.seen), seen);
  for (int i = 0; i < 6; i++)
    fcache_value_free(&values[i]);
  fcache_close(cache);
}
END_TEST

/* ---- no region: the socket does it all, and nothing is said ---- */

static void check_socket_alone(void) {
  struct fcache *cache = open_cache(LONG_MS);
  ck_assert_int_eq(get(cache, "a"), 's');
  ck_assert_int_eq(get(cache, "none"), 'm');
  ck_assert_uint_eq(counters_of(cache).region_hits, 0);
  ck_assert_uint_eq(counters_of(cache).degraded, 0);
  ck_assert_uint_eq(n_lines, 0);
  ck_assert_uint_eq(mappings("test-region"), 1); /* ours */
  ck_assert_uint_eq(mappings("test-ring"), 1);
  fcache_close(cache);
}

START_TEST(region_is_not_asked_for) {
  (void)setenv("FCACHE_REGION", "0", 1);
  if (_i == 0) {
    world.n_passed = 0;
    world.peer.welcome.namespace_id = 0;
  } /* or a daemon that gives it all the same */
  check_socket_alone();
  ck_assert_uint_eq(atomic_load(&world.peer.layout), 0);
  (void)setenv("FCACHE_REGION", "1", 1);
  ck_assert_int_eq(setenv("FCACHE_REGION", _i == 0 ? "" : "yes", 1), 0);
  struct fcache *cache = open_cache(LONG_MS);
  ck_assert_uint_eq(atomic_load(&world.peer.layout), FC_REGION_LAYOUT);
  fcache_close(cache);
}
END_TEST

START_TEST(another_layout) {
  world.region.header->layout = FC_REGION_LAYOUT + 1;
  check_socket_alone();
}
END_TEST

START_TEST(another_daemons_region) {
  world.region.header->boot_id++;
  check_socket_alone();
}
END_TEST

START_TEST(wrong_descriptors) {
  static const unsigned n_passed[] = {0, 1, 3, PEER_PASSED_MAX};
  world.n_passed = n_passed[_i];
  check_socket_alone();
}
END_TEST

START_TEST(descriptors_of_other_things) {
  struct region_build loose;
  int ends[2];
  ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
  int fd = region_build_fd(&loose, REGION_BYTES, PEER_BOOT_ID, 64, _i == 0 ? 0 : F_SEAL_GROW);
  world.first_passed = _i == 2 ? ends[0] : fd;
  region_build_unmap(&loose);
  check_socket_alone();
  ck_assert_int_eq(close(fd), 0);
  ck_assert_int_eq(close(ends[0]), 0);
  ck_assert_int_eq(close(ends[1]), 0);
}
END_TEST

START_TEST(ring_that_may_be_cut) {
  world.ring_seals = F_SEAL_GROW;
  check_socket_alone();
}
END_TEST

START_TEST(daemon_of_version_1) {
  world.n_passed = 0;
  world.peer.welcome.version = 1;
  check_socket_alone();
}
END_TEST

static void close_standard_streams(void) {
  for (int fd = 0; fd <= STDERR_FILENO; fd++)
    (void)close(fd);
}

/* What a child does that may go on once `go` says so: returns 'r' or 's', or what went wrong. */
static int in_child(int go, bool streams) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache *cache;
  char byte;
  options.socket = world.peer.path;
  options.name_space = "test";
  options.deadline_ms = LONG_MS;
  options.log = take_line;
  if (!streams)
    close_standard_streams();
  if (read(go, &byte, 1) != 1 || fcache_open(&options, &cache, NULL) != FCACHE_OK)
    return 'o';
  for (int fd = 0; fd <= STDERR_FILENO && !streams; fd++)
    if (fcntl(fd, F_GETFD) >= 0)
      return 'f'; /* something of ours stands there */
  int result = (unsigned char)get(cache, "a");
  fcache_close(cache);
  return n_lines == 0 ? result : 'l';
}

/* Its limits are set from outside: valgrind keeps to those that it does not hear of. */
static int get_in_child(void (*limit)(pid_t child, int n), int n, bool streams) {
  int status, go[2];
  ck_assert_int_eq(pipe2(go, O_CLOEXEC), 0);
  peer_wait_idle(&world.peer);
  pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0)
    _exit(in_child(go[0], streams));
  if (limit != NULL)
    limit(child, n);
  ck_assert_int_eq((int)write(go[1], "", 1), 1);
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_int_eq(close(go[0]), 0);
  ck_assert_int_eq(close(go[1]), 0);
  ck_assert(WIFEXITED(status));
  return WEXITSTATUS(status);
}

/* Room for `n` descriptors beside those that it has from us. */
static void limit_descriptors(pid_t child, int n) {
  char path[64];
  struct rlimit limit;
  int end = 0;
  for (int left = n; left > 0; end++) {
    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)child, end);
    left -= faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) != 0;
  }
  ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = (rlim_t)end;
  ck_assert_int_eq(prlimit(child, RLIMIT_NOFILE, &limit, NULL), 0);
}

START_TEST(no_descriptors_left) {
  ck_assert_int_eq(get_in_child(limit_descriptors, 1, true),
                   's'); /* the connection's, and that is it */
  ck_assert_int_eq(get_in_child(limit_descriptors, 2, true), 's');
  ck_assert_int_eq(get_in_child(limit_descriptors, 3, true), 'r');
}
END_TEST

static void limit_memory(pid_t child, int bytes) {
  char path[64];
  unsigned long pages = 0;
  struct rlimit limit;
  (void)snprintf(path, sizeof path, "/proc/%d/statm", (int)child);
  FILE *statm = fopen(path, "re");
  ck_assert_ptr_nonnull(statm);
  ck_assert_int_eq(fscanf(statm, "%lu", &pages), 1);
  (void)fclose(statm);
  ck_assert_int_eq(getrlimit(RLIMIT_AS, &limit), 0);
  limit.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE) + (rlim_t)bytes;
  ck_assert_int_eq(prlimit(child, RLIMIT_AS, &limit, NULL), 0);
}

START_TEST(no_room_for_the_mapping) {
  ck_assert_int_eq(get_in_child(limit_memory, REGION_BYTES / 2, true), 's');
  ck_assert_int_eq(get_in_child(limit_memory, 4 * REGION_BYTES, true), 'r');
}
END_TEST

/* A program without standard streams: it works, and nothing of ours stays at their numbers. */
START_TEST(standard_streams_are_left_alone) {
  ck_assert_int_eq(get_in_child(NULL, 0, false), 'r');
}
END_TEST

/* ---- a region that ends ---- */

START_TEST(dead_or_retired_region_is_let_go_of) {
  struct fcache *cache = open_cache(LONG_MS);
  ck_assert_int_eq(get(cache, "a"), 'r');
  if (_i == 0)
    atomic_store(&world.region.header->retired, 1);
  else
    atomic_store(&world.region.header->owner, 0x40000000u);
  ck_assert_int_eq(get(cache, "a"), 's');
  ck_assert_uint_eq(mappings("test-region"), 1); /* ours */
  ck_assert_int_eq(get(cache, "a"), 's');
  ck_assert_uint_eq(n_lines, 0);
  /* The next connection brings one that serves. */
  atomic_store(&world.region.header->retired, 0);
  atomic_store(&world.region.header->owner, BUILD_OWNER);
  atomic_store(&world.hangs_up, true);
  ck_assert_int_eq(get(cache, "a"), 'm');
  uint64_t end_ms = runner_now_ms() + LONG_MS;
  while (get(cache, "a") != 'r')
    ck_assert_uint_lt(runner_now_ms(), end_ms);
  ck_assert_uint_eq(counters_of(cache).unrecorded, 0);
  fcache_close(cache);
}
END_TEST

/* ---- a full ring ---- */

/* Of a daemon that hands out no other. */
START_TEST(full_ring_is_emptied_by_a_ping) {
  world.peer.welcome.version = 4;
  struct fcache *cache = open_cache(LONG_MS);
  for (unsigned i = 0; i < 3 * SLOTS; i++)
    ck_assert_int_eq(get(cache, "a"), 'r');
  ck_assert_uint_eq(head_of(0), 3 * SLOTS + 1);
  ck_assert_uint_eq(atomic_load(&world.pings), 3);
  ck_assert_uint_eq(counters_of(cache).unrecorded, 0);
  fcache_close(cache);
}
END_TEST

/* It costs one deadline; then hits go on, and their number is told. */
START_TEST(full_ring_of_a_stopped_daemon) {
  world.peer.welcome.version = 4;
  struct fcache *cache = open_cache(DEADLINE_MS);
  unsigned hits = SLOTS - 1;
  for (unsigned i = 0; i < hits; i++)
    ck_assert_int_eq(get(cache, "a"), 'r');
  atomic_store(&world.silent, true);
  uint64_t start_ms = runner_now_ms();
  ck_assert_int_eq(get(cache, "a"), 'r');
  ck_assert_uint_ge(runner_now_ms() - start_ms, DEADLINE_MS - 1);
  for (hits++; hits < 2 * SLOTS; hits++)
    ck_assert_int_eq(get(cache, "a"), 'r');
  ck_assert_uint_eq(atomic_load(&world.pings), 0);
  struct fcache_counters counters = counters_of(cache);
  ck_assert_uint_eq(counters.unrecorded, SLOTS + 1);
  ck_assert_uint_eq(atomic_load(&ring_of(0)->unrecorded), SLOTS + 1);
  atomic_store(&world.silent, false);
  hits += hit_until_connected(cache, 2);
  ck_assert_int_eq(get(cache, "a"), 'r');
  hits++;
  wait_for(&world.ended[first]);
  counters = counters_of(cache);
  ck_assert_uint_eq(counters.cache_hits, hits);
  ck_assert_uint_eq(counters.region_hits, hits);
  /* Every hit is in one of the rings, or in the number that the first one tells. */
  ck_assert_uint_eq(head_of(0) - 1 + head_of(1) - 1 + counters.unrecorded, hits);
  ck_assert_uint_eq(atomic_load(&ring_of(0)->unrecorded), counters.unrecorded);
  ck_assert_uint_eq(atomic_load(&ring_of(1)->unrecorded), 0);
  fcache_close(cache);
}
END_TEST

/* ---- another ring ---- */

/* Hits and contexts that are in a ring, and the hits in another one. */
static void assert_records(const struct fc_ring_header *ring, uint64_t hits) {
  ck_assert_uint_eq(atomic_load(&ring->head), hits + 1);
}

START_TEST(full_ring_makes_place_for_a_larger_one) {
  struct fcache *cache = open_cache(LONG_MS);
  atomic_store(&world.next_slots, 4 * SLOTS);
  for (unsigned i = 0; i < 3 * SLOTS; i++)
    ck_assert_int_eq(get(cache, "a"), 'r');
  ck_assert_uint_eq(atomic_load(&world.asked), 1);
  ck_assert_uint_eq(atomic_load(&world.wanted), FC_RING_SLOTS_MAX);
  ck_assert_uint_eq(atomic_load(&world.pings), 0);
  assert_records(atomic_load(&world.former[first]), SLOTS - 1);
  assert_records(ring_of(0), 2 * SLOTS + 1);
  ck_assert_uint_eq(counters_of(cache).region_hits, 3 * SLOTS);
  ck_assert_uint_eq(counters_of(cache).unrecorded, 0);
  ck_assert_uint_eq(mappings("test-ring"), 3); /* ours, and its own */
  fcache_close(cache);
}
END_TEST

START_TEST(full_ring_is_emptied_where_there_is_no_larger_one) {
  struct fcache *cache = open_cache(LONG_MS);
  for (unsigned i = 0; i < 3 * SLOTS; i++)
    ck_assert_int_eq(get(cache, "a"), 'r');
  ck_assert_uint_eq(atomic_load(&world.asked), 3);
  assert_records(ring_of(0), 3 * SLOTS);
  ck_assert_uint_eq(counters_of(cache).unrecorded, 0);
  fcache_close(cache);
}
END_TEST

/* It costs one deadline. What comes after the request is not recorded, since the daemon may have
 * let go of the ring when it answered; the next ring says how many these were. */
START_TEST(ring_that_a_stopped_daemon_was_asked_for) {
  struct fcache *cache = open_cache(DEADLINE_MS);
  unsigned hits = SLOTS - 1;
  for (unsigned i = 0; i < hits; i++)
    ck_assert_int_eq(get(cache, "a"), 'r');
  atomic_store(&world.next_slots, 4 * SLOTS);
  atomic_store(&world.silent, true);
  for (unsigned end = 2 * SLOTS; hits < end; hits++)
    ck_assert_int_eq(get(cache, "a"), 'r');
  ck_assert_uint_eq(counters_of(cache).unrecorded, SLOTS + 1);
  ck_assert_uint_eq(atomic_load(&ring_of(0)->unrecorded), 0);
  atomic_store(&world.silent, false);
  hits += hit_until_connected(cache, 2);
  ck_assert_int_eq(get(cache, "a"), 'r');
  hits++;
  wait_for(&world.ended[first]);
  assert_records(atomic_load(&world.former[first]), SLOTS - 1);
  ck_assert_uint_eq(head_of(0), 0);
  struct fcache_counters counters = counters_of(cache);
  ck_assert_uint_eq(SLOTS - 1 + head_of(1) - 1 + counters.unrecorded, hits);
  ck_assert_uint_eq(atomic_load(&ring_of(1)->unrecorded), counters.unrecorded);
  fcache_close(cache);
}
END_TEST

/* Without the ring the region is of no use; it is as if the welcome had brought none. */
START_TEST(another_ring_that_cannot_be_mapped) {
  struct fcache *cache = open_cache(LONG_MS);
  for (unsigned i = 0; i < SLOTS - 1; i++)
    ck_assert_int_eq(get(cache, "a"), 'r');
  atomic_store(&world.next_slots, 4 * SLOTS);
  atomic_store(&world.given_half, true);
  ck_assert_int_eq(get(cache, "a"), 'r'); /* and is not recorded */
  ck_assert_int_eq(get(cache, "a"), 's');
  ck_assert_uint_eq(counters_of(cache).unrecorded, 1);
  ck_assert_uint_eq(mappings("test-region"), 1); /* ours */
  fcache_close(cache);
}
END_TEST

static void set_state(uint32_t state) {
  atomic_store(&ring_of(0)->state, state);
}

START_TEST(hit_in_a_sleeping_ring_is_followed_by_a_ping) {
  struct fcache *cache = open_cache(LONG_MS);
  set_state(FC_RING_ASLEEP);
  ck_assert_int_eq(get(cache, "a"), 'r');
  ck_assert_uint_eq(atomic_load(&world.pings), 1);
  ck_assert_uint_eq(atomic_load(&ring_of(0)->tail), 2); /* after the hit, which the daemon took */
  ck_assert_int_eq(get_with(cache, "a", FCACHE_LOCAL), 'm'); /* it would take a message */
  ck_assert_uint_eq(head_of(0), 2);
  set_state(0);
  ck_assert_int_eq(get(cache, "a"), 'r');
  ck_assert_int_eq(get_with(cache, "a", FCACHE_LOCAL), 'r');
  ck_assert_uint_eq(atomic_load(&world.pings), 1);
  ck_assert_uint_eq(atomic_load(&world.asked), 0);
  fcache_close(cache);
}
END_TEST

/* The hit is recorded, and the daemon finds it when it goes on. */
START_TEST(hit_in_a_sleeping_ring_of_a_stopped_daemon) {
  struct fcache *cache = open_cache(DEADLINE_MS);
  set_state(FC_RING_ASLEEP);
  atomic_store(&world.silent, true);
  for (unsigned i = 0; i < 10; i++)
    ck_assert_int_eq(get(cache, "a"), 'r');
  ck_assert_uint_eq(head_of(0), 11);
  ck_assert_uint_eq(counters_of(cache).unrecorded, 0);
  atomic_store(&world.silent, false);
  fcache_close(cache);
}
END_TEST

START_TEST(revoked_ring_is_not_written_to) {
  struct fcache *cache = open_cache(LONG_MS);
  ck_assert_int_eq(get(cache, "a"), 'r');
  set_state(_i == 0 ? FC_RING_REVOKED : FC_RING_REVOKED | FC_RING_ASLEEP);
  ck_assert_int_eq(get_with(cache, "a", FCACHE_LOCAL), 'm');
  atomic_store(&world.next_slots, SLOTS);
  ck_assert_int_eq(get(cache, "a"), 'r');
  ck_assert_int_eq(get(cache, "a"), 'r');
  ck_assert_uint_eq(atomic_load(&world.asked), 1);
  ck_assert_uint_eq(atomic_load(&world.wanted), 0); /* one like any other */
  assert_records(atomic_load(&world.former[first]), 1);
  assert_records(ring_of(0), 2);
  ck_assert_uint_eq(counters_of(cache).unrecorded, 0);
  set_state(FC_RING_REVOKED); /* and no other is to be had */
  ck_assert_int_eq(get(cache, "a"), 'r');
  assert_records(ring_of(0), 2);
  ck_assert_uint_eq(counters_of(cache).unrecorded, 1);
  ck_assert_uint_eq(atomic_load(&ring_of(0)->unrecorded), 1);
  fcache_close(cache);
}
END_TEST

/* Nobody reads there any more, not even the count of what could not be recorded. */
START_TEST(ended_ring_is_told_nothing) {
  struct fcache *cache = open_cache(LONG_MS);
  ck_assert_int_eq(get(cache, "a"), 'r');
  set_state(FC_RING_ENDED); /* and no other is to be had */
  ck_assert_int_eq(get(cache, "a"), 'r');
  assert_records(ring_of(0), 1);
  ck_assert_uint_eq(atomic_load(&ring_of(0)->unrecorded), 0);
  ck_assert_uint_eq(counters_of(cache).unrecorded, 1);
  fcache_close(cache);
}
END_TEST

/* It came to nothing at the welcome. */
START_TEST(region_is_asked_for_again) {
  world.n_passed = _i == 0 ? 0 : 1;
  if (_i == 0)
    world.peer.welcome.namespace_id = 0;
  struct fcache *cache = open_cache(LONG_MS);
  uint64_t start_ms = runner_now_ms();
  ck_assert_int_eq(get(cache, "a"), 's');
  atomic_store(&world.next_slots, SLOTS);
  unsigned gets = 1;
  for (; get(cache, "a") != 'r'; gets++)
    ck_assert_uint_lt(runner_now_ms() - start_ms, LONG_MS);
  ck_assert_uint_ge(gets, SHM_REQUEST_LOOKUPS);
  ck_assert_uint_ge(runner_now_ms() - start_ms, SHM_REQUEST_MIN_NS / 1000000);
  ck_assert_uint_eq(atomic_load(&world.asked), 1);
  ck_assert_int_eq(get(cache, "a"), 'r');
  assert_records(ring_of(0), 2);
  ck_assert_uint_eq(atomic_load(&world.gets), gets);
  fcache_close(cache);
}
END_TEST

START_TEST(region_that_is_not_to_be_had_is_asked_for_seldom) {
  world.n_passed = 0;
  world.peer.welcome.namespace_id = 0;
  world.peer.welcome.version = _i == 0 ? FC_PROTOCOL_VERSION : 4;
  struct fcache *cache = open_cache(LONG_MS);
  for (uint64_t start_ms = runner_now_ms(); runner_now_ms() - start_ms < 2500;)
    ck_assert_int_eq(get(cache, "a"), 's');
  ck_assert_uint_eq(atomic_load(&world.asked), _i == 0 ? 2 : 0);
  fcache_close(cache);
}
END_TEST

/* ---- hits without a message ---- */

START_TEST(local_hit_is_as_any) {
  struct fcache *cache = open_cache(LONG_MS);
  ck_assert_int_eq(get_with(cache, "a", FCACHE_LOCAL), 'r');
  ck_assert_int_eq(get_with(cache, "a", FCACHE_LOCAL | FCACHE_UNRECORDED), 'r');
  ck_assert_uint_eq(head_of(0), 3);
  ck_assert_uint_eq(hit_at(0, 1).flags, 0);
  ck_assert_uint_eq(hit_at(0, 2).flags, FC_RING_UNRECORDED);
  ck_assert_uint_eq(counters_of(cache).cache_hits, 1);
  ck_assert_uint_eq(counters_of(cache).region_hits, 1);
  ck_assert_uint_gt(counters_of(cache).scoring_wall_ns, 0);
  fcache_close(cache);
}
END_TEST

/* Nor does it count as a lookup: a put is then as of a key that was never asked for. */
START_TEST(local_miss_asks_nobody) {
  struct fcache *cache = open_cache(LONG_MS);
  ck_assert_int_eq(get_with(cache, "b", FCACHE_LOCAL | FCACHE_LEASE), 'm');
  ck_assert_uint_eq(atomic_load(&world.peer.seen), 1); /* hello */
  ck_assert_uint_eq(head_of(0), 0);
  ck_assert_int_eq(get(cache, "b"), 's');
  atomic_store(&world.hangs_up, true);
  ck_assert_int_eq(get(cache, "none"), 'm');
  uint64_t degraded = counters_of(cache).degraded;
  ck_assert_uint_eq(degraded, 1);
  ck_assert_int_eq(get_with(cache, "b", FCACHE_LOCAL), 'm');
  ck_assert_uint_eq(counters_of(cache).degraded, degraded);
  fcache_close(cache);
}
END_TEST

/* The ring is full, and emptying it would take a message; or there is nobody to empty it. */
START_TEST(local_hit_that_cannot_be_recorded_is_a_miss) {
  struct fcache *cache = open_cache(LONG_MS);
  for (unsigned i = 0; i < SLOTS - 1; i++)
    ck_assert_int_eq(get_with(cache, "a", FCACHE_LOCAL), 'r');
  ck_assert_int_eq(get_with(cache, "a", FCACHE_LOCAL), 'm');
  struct fcache_counters counters = counters_of(cache);
  ck_assert_uint_eq(counters.cache_hits, SLOTS - 1);
  ck_assert_uint_eq(counters.region_hits, SLOTS - 1);
  ck_assert_uint_eq(counters.unrecorded, 0);
  ck_assert_uint_eq(atomic_load(&world.pings), 0);
  ck_assert_uint_eq(atomic_load(&world.asked), 0);
  ck_assert_int_eq(get(cache, "a"), 'r'); /* which made room */
  ck_assert_int_eq(get_with(cache, "a", FCACHE_LOCAL), 'r');
  atomic_store(&world.hangs_up, true);
  ck_assert_int_eq(get(cache, "b"), 'm');
  ck_assert_int_eq(get_with(cache, "a", FCACHE_LOCAL), 'm');
  ck_assert_uint_eq(counters_of(cache).unrecorded, 0);
  fcache_close(cache);
}
END_TEST

/* ---- connections that end ---- */

/* A miss met its deadline: hits go on, told in the old ring, until there is a new one. */
START_TEST(stopped_daemons_hits_go_on) {
  int fd;
  world.peer.welcome.version = _i == 0 ? 3 : 2;
  struct fcache *cache = open_cache(DEADLINE_MS);
  atomic_store(&world.silent, true);
  ck_assert_int_eq(get(cache, "b"), 'm');
  ck_assert(!fcache_connected(cache));
  ck_assert_int_eq(connections(&fd), 1);
  for (int i = 0; i < 5; i++)
    ck_assert_int_eq(get(cache, "a"), 'r');
  ck_assert_uint_eq(head_of(0), 6);
  ck_assert_uint_eq(counters_of(cache).unrecorded, 0);
  atomic_store(&world.silent, false);
  uint64_t end_ms = runner_now_ms() + LONG_MS;
  while (get(cache, "b") != 's')
    ck_assert_uint_lt(runner_now_ms(), end_ms);
  wait_for(&world.ended[first]); /* closed by us */
  ck_assert_uint_eq(atomic_load(&ring_of(0)->tail), 6);
  /* What it may have granted us since is free as soon as it goes on. */
  ck_assert_uint_eq(atomic_load(&world.let_go), _i == 0 ? 1 : 0);
  ck_assert_int_eq(connections(&fd), 1);
  ck_assert_int_eq(get(cache, "a"), 'r');
  ck_assert_uint_eq(head_of(0), 6);
  ck_assert_uint_eq(counters_of(cache).unrecorded, 0);
  ck_assert_uint_eq(mappings("test-region"), 2);
  fcache_close(cache);
}
END_TEST

/* Half a message stands in the socket: nothing more can be said there, not even that others need
 * not wait for us. */
START_TEST(connection_that_cannot_let_go_does_not_linger) {
  int fd;
  size_t size = 8u << 20;
  char *data = calloc(1, size);
  struct fcache_key key = key_of("b");
  ck_assert_ptr_nonnull(data);
  atomic_store(&world.deaf, true);
  struct fcache *cache = open_cache(DEADLINE_MS);
  ck_assert_int_eq(get(cache, "a"), 'r');
  ck_assert_int_eq(fcache_put(cache, &key, data, size, 1, 0), FCACHE_NOT_STORED);
  ck_assert_int_eq(connections(&fd), 0);
  ck_assert_int_eq(get(cache, "a"), 'r');
  atomic_store(&world.deaf, false);
  wait_for(&world.ended[first]);
  ck_assert_uint_eq(atomic_load(&world.let_go), 0);
  fcache_close(cache);
  free(data);
}
END_TEST

START_TEST(close_lets_go_of_what_lingers) {
  struct fcache *cache = open_cache(DEADLINE_MS);
  atomic_store(&world.silent, true);
  ck_assert_int_eq(get(cache, "b"), 'm');
  ck_assert_int_eq(get(cache, "a"), 'r');
  fcache_close(cache);
  ck_assert_uint_eq(mappings("test-region"), 1);
  atomic_store(&world.silent, false);
  wait_for(&world.ended[first]);
  ck_assert_uint_eq(atomic_load(&ring_of(0)->tail), 2);
}
END_TEST

/* The program closes the descriptor that lingers, and uses its number. */
START_TEST(reused_descriptor_is_left_alone) {
  int fd, ends[2];
  char byte;
  struct fcache *cache = open_cache(DEADLINE_MS);
  atomic_store(&world.silent, true);
  ck_assert_int_eq(get(cache, "b"), 'm');
  ck_assert_int_eq(connections(&fd), 1);
  ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  ck_assert_int_eq(dup3(ends[0], fd, O_CLOEXEC), fd);
  ck_assert_int_eq(close(ends[0]), 0);
  atomic_store(&world.silent, false);
  uint64_t end_ms = runner_now_ms() + LONG_MS;
  while (get(cache, "b") != 's')
    ck_assert_uint_lt(runner_now_ms(), end_ms);
  fcache_close(cache);
  ck_assert_int_eq((int)recv(ends[1], &byte, 1, MSG_DONTWAIT), -1); /* open, and nothing came */
  ck_assert_int_eq(close(fd), 0);
  ck_assert_int_eq((int)recv(ends[1], &byte, 1, MSG_DONTWAIT), 0);
  ck_assert_int_eq(close(ends[1]), 0);
}
END_TEST

/* The daemon hung up, with or without having taken what the ring held: no hit goes uncounted. */
START_TEST(hits_after_the_end_are_unrecorded_and_told) {
  struct fcache *cache = open_cache(LONG_MS);
  unsigned hits = 4, untaken = _i == 0 ? 0 : 4;
  for (unsigned i = 0; i < hits; i++)
    ck_assert_int_eq(get(cache, "a"), 'r');
  atomic_store(&world.takes_nothing, _i == 1);
  atomic_store(&world.hangs_up, true);
  ck_assert_int_eq(get(cache, "b"), 'm');
  unsigned after = hit_until_connected(cache, 2);
  ck_assert_int_eq(get(cache, "a"), 'r');
  hits += after + 1;
  ck_assert_uint_eq(head_of(0), 5);
  struct fcache_counters counters = counters_of(cache);
  ck_assert_uint_eq(counters.cache_hits, hits);
  /* The hit that found the new connection is told there. */
  uint64_t in_new = head_of(1) - 1;
  ck_assert_uint_ge(in_new, 1);
  ck_assert_uint_eq(counters.unrecorded, untaken + after + 1 - in_new);
  ck_assert_uint_eq(atomic_load(&ring_of(1)->unrecorded), counters.unrecorded);
  fcache_close(cache);
}
END_TEST

/* ---- a daemon that died, and a region that does not say so ---- */

/* What a killed daemon's connection looks like. */
static void cut_connection(unsigned nth) {
  ck_assert_int_eq(pthread_mutex_lock(&world.peer.lock), 0);
  ck_assert(world.peer.connections[nth].open);
  ck_assert_int_eq(shutdown(world.peer.connections[nth].fd, SHUT_RDWR), 0);
  ck_assert_int_eq(pthread_mutex_unlock(&world.peer.lock), 0);
}

/* 0: the ring has room all the time. 1: it gets full before. 2: nobody may be asked. 3: a missed
 * deadline left the connection open, and then the daemon dies. */
START_TEST(unmarked_region_of_a_dead_daemon_serves_few_hits) {
  struct fcache *cache = open_cache(_i == 3 ? DEADLINE_MS : LONG_MS);
  char away[PEER_PATH_SIZE + 4];
  unsigned flags = _i == 2 ? FCACHE_LOCAL : 0, hits = 0;
  (void)snprintf(away, sizeof away, "%s.old", world.peer.path);
  ck_assert_int_eq(get_with(cache, "a", flags), 'r');
  ck_assert_int_eq(rename(world.peer.path, away), 0);
  if (_i == 3) {
    atomic_store(&world.silent, true);
    ck_assert_int_eq(get(cache, "b"), 'm');
  }
  cut_connection(first);
  while (get_with(cache, "a", flags) == 'r') {
    ck_assert_uint_le(++hits, SHM_UNCHECKED_MAX);
    if (_i != 1)
      take(first);
  }
  ck_assert_uint_ge(hits, SHM_UNCHECKED_MAX - 8); /* the look is seldom */
  ck_assert(!fcache_connected(cache));
  ck_assert_int_eq(get_with(cache, "a", flags), 'm');
  if (_i != 2)
    ck_assert_uint_eq(mappings("test-region"), 1); /* ours */
  /* It is there again, or another one is. */
  atomic_store(&world.silent, false);
  ck_assert_int_eq(rename(away, world.peer.path), 0);
  uint64_t end_ms = runner_now_ms() + LONG_MS;
  while (get(cache, "a") != 'r')
    ck_assert_uint_lt(runner_now_ms(), end_ms);
  fcache_close(cache);
}
END_TEST

/* It lives, and ended the connection for its own reasons. */
START_TEST(hits_go_on_where_the_daemon_hung_up) {
  struct fcache *cache = open_cache(LONG_MS);
  uint64_t end_ms = runner_now_ms() + LONG_MS;
  cut_connection(first);
  while (counters_of(cache).reconnects == 0) {
    ck_assert_int_eq(get(cache, "a"), 'r');
    take(first);
    ck_assert_uint_lt(runner_now_ms(), end_ms);
  }
  ck_assert_int_eq(get(cache, "a"), 'r');
  ck_assert_uint_eq(counters_of(cache).degraded, 0);
  fcache_close(cache);
}
END_TEST

/* Many hits on a connection that lasts: each look finds it. */
START_TEST(hits_go_on_while_the_connection_lasts) {
  struct fcache *cache = open_cache(LONG_MS);
  for (unsigned i = 0; i < 3 * SHM_UNCHECKED_MAX; i++) {
    ck_assert_int_eq(get(cache, "a"), 'r');
    take(first);
  }
  ck_assert_uint_eq(counters_of(cache).unrecorded, 0);
  ck_assert_uint_eq(atomic_load(&world.peer.accepted), first + 1);
  ck_assert_uint_eq(atomic_load(&world.pings), 0);
  fcache_close(cache);
}
END_TEST

/* ---- forks ---- */

static pid_t fork_raw(void) {
  return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

START_TEST(child_leaves_the_parents_plane_alone) {
  int status, fd;
  struct fcache *cache = open_cache(_i / 2 == 0 ? LONG_MS : DEADLINE_MS);
  ck_assert_int_eq(get(cache, "a"), 'r');
  if (_i / 2 == 1) { /* with a connection that lingers */
    atomic_store(&world.silent, true);
    ck_assert_int_eq(get(cache, "b"), 'm');
    ck_assert_int_eq(connections(&fd), 1);
  } else {
    peer_wait_idle(&world.peer);
  }
  pid_t child = _i % 2 == 0 ? fork() : fork_raw();
  ck_assert_int_ge(child, 0);
  if (child == 0) {
    char one = get(cache, "a"), two = get(cache, "a"); /* the first one opens its own */
    bool right = _i / 2 == 0 ? one == 's' && two == 'r' && counters_of(cache).region_hits == 1
                             : one == 'm' && two == 'm';
    fcache_close(cache);
    _exit(right && mappings("test-region") == 1 ? 0 : 1);
  }
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert(WIFEXITED(status));
  ck_assert_int_eq(WEXITSTATUS(status), 0);
  ck_assert_uint_eq(head_of(0), 2);
  ck_assert(!atomic_load(&world.ended[first]));
  ck_assert_int_eq(get(cache, "a"), 'r');
  ck_assert_uint_eq(head_of(0), 3);
  if (_i / 2 == 0)
    ck_assert_uint_eq(head_of(1), 2); /* the child's own */
  ck_assert_uint_eq(counters_of(cache).unrecorded, 0);
  fcache_close(cache);
}
END_TEST

/* ---- the shm alone: what a daemon has not heard from the last ring ---- */

static void welcome_with_ring(struct shm *shm, uint64_t boot_id, struct fc_ring_header **ring) {
  struct fc_welcome welcome = {.boot_id = boot_id, .namespace_id = boot_id, .client_id = 1};
  struct received_fds passed = {.n = 2};
  int ring_fd = ring_build_fd(ring, SLOTS, SEALS), region_fd = dup(world.region_fd);
  world.region.header->boot_id = boot_id;
  ck_assert_int_eq(fd_identity_set(&passed.fds[0], region_fd), 0);
  ck_assert_int_eq(fd_identity_set(&passed.fds[1], ring_fd), 0);
  shm_welcome(shm, &welcome, &passed);
  fd_passing_close(&passed);
  ck_assert(shm->ring_read);
}

START_TEST(each_daemon_is_told_once) {
  struct shm *shm = malloc(sizeof *shm);
  struct fc_ring_header *rings[4];
  ck_assert_ptr_nonnull(shm);
  shm_init(shm);
  welcome_with_ring(shm, 1, &rings[0]);
  for (int i = 0; i < 3; i++)
    shm_count_unrecorded(shm);
  ck_assert_uint_eq(atomic_load(&rings[0]->unrecorded), 3);
  shm_connection_ended(shm);
  shm_count_unrecorded(shm);
  welcome_with_ring(shm, 1, &rings[1]); /* the same daemon: it has seen the three */
  ck_assert_uint_eq(atomic_load(&rings[1]->unrecorded), 1);
  shm_connection_ended(shm);
  welcome_with_ring(shm, 2, &rings[2]); /* another: it has seen nothing of the last ring */
  ck_assert_uint_eq(atomic_load(&rings[2]->unrecorded), 1);
  shm_connection_ended(shm);
  struct fc_welcome socket_alone = {.boot_id = 3};
  shm_welcome(shm, &socket_alone, &(struct received_fds){0});
  ck_assert(!shm->ring_read);
  welcome_with_ring(shm, 3, &rings[3]); /* kept until there is a ring */
  ck_assert_uint_eq(atomic_load(&rings[3]->unrecorded), 1);
  ck_assert_uint_eq(shm->unrecorded, 4);
  shm_deinit(shm);
  free(shm);
  for (int i = 0; i < 4; i++)
    ck_assert_int_eq(munmap(rings[i], fc_ring_bytes(SLOTS)), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("client_plane");
  TCase *tcase = tcase_create("client_plane");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, hit_is_no_message_and_is_told);
  tcase_add_test(tcase, hit_makes_no_system_call);
  tcase_add_test(tcase, what_the_region_lacks_goes_by_the_socket);
  tcase_add_test(tcase, unrecorded_hit_promotes_and_is_not_counted);
  tcase_add_test(tcase, probe_is_told_with_the_hit);
  tcase_add_test(tcase, batch_asks_the_daemon_for_the_rest_alone);
  tcase_add_loop_test(tcase, region_is_not_asked_for, 0, 2);
  tcase_add_test(tcase, another_layout);
  tcase_add_test(tcase, another_daemons_region);
  tcase_add_loop_test(tcase, wrong_descriptors, 0, 4);
  tcase_add_loop_test(tcase, descriptors_of_other_things, 0, 3);
  tcase_add_test(tcase, ring_that_may_be_cut);
  tcase_add_test(tcase, daemon_of_version_1);
  tcase_add_test(tcase, no_descriptors_left);
  tcase_add_test(tcase, no_room_for_the_mapping);
  tcase_add_test(tcase, standard_streams_are_left_alone);
  tcase_add_loop_test(tcase, dead_or_retired_region_is_let_go_of, 0, 2);
  tcase_add_test(tcase, local_hit_is_as_any);
  tcase_add_test(tcase, local_miss_asks_nobody);
  tcase_add_test(tcase, local_hit_that_cannot_be_recorded_is_a_miss);
  tcase_add_test(tcase, full_ring_is_emptied_by_a_ping);
  tcase_add_test(tcase, full_ring_of_a_stopped_daemon);
  tcase_add_test(tcase, full_ring_makes_place_for_a_larger_one);
  tcase_add_test(tcase, full_ring_is_emptied_where_there_is_no_larger_one);
  tcase_add_test(tcase, ring_that_a_stopped_daemon_was_asked_for);
  tcase_add_test(tcase, another_ring_that_cannot_be_mapped);
  tcase_add_test(tcase, hit_in_a_sleeping_ring_is_followed_by_a_ping);
  tcase_add_test(tcase, hit_in_a_sleeping_ring_of_a_stopped_daemon);
  tcase_add_loop_test(tcase, revoked_ring_is_not_written_to, 0, 2);
  tcase_add_test(tcase, ended_ring_is_told_nothing);
  tcase_add_loop_test(tcase, region_is_asked_for_again, 0, 2);
  tcase_add_loop_test(tcase, region_that_is_not_to_be_had_is_asked_for_seldom, 0, 2);
  tcase_add_loop_test(tcase, stopped_daemons_hits_go_on, 0, 2);
  tcase_add_test(tcase, connection_that_cannot_let_go_does_not_linger);
  tcase_add_test(tcase, close_lets_go_of_what_lingers);
  tcase_add_test(tcase, reused_descriptor_is_left_alone);
  tcase_add_loop_test(tcase, hits_after_the_end_are_unrecorded_and_told, 0, 2);
  tcase_add_loop_test(tcase, unmarked_region_of_a_dead_daemon_serves_few_hits, 0, 4);
  tcase_add_test(tcase, hits_go_on_where_the_daemon_hung_up);
  tcase_add_test(tcase, hits_go_on_while_the_connection_lasts);
  tcase_add_loop_test(tcase, child_leaves_the_parents_plane_alone, 0, 4);
  tcase_add_test(tcase, each_daemon_is_told_once);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
