/* All rings: whose memory they are, when they are read, and what happens while the trace is behind.
 */
#include "daemon/rings/rings.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/rings/rings_idle.h"
#include "daemon/store/namespace_table.h"
#include "tests/support/private_store.h"
#include "tests/support/ring_builder.h"
#include "tests/support/runner.h"
#include "tests/support/traced.h"

#define POOL (64u << 20)
#define BUSY_MS 1u
#define USED_MS 50u
#define IDLE_MS 100u

static struct region region;
static struct store store;
static struct namespace_table table;
static struct namespace *ns;
static struct counters counters; /* of the daemon */
static struct traced traced;
static struct rings rings;

static void start_rings(size_t pool_bytes, unsigned max_clients) {
  struct rings_config config = {.store = &store,
                                .trace = &traced.trace,
                                .counters = &counters,
                                .pool_bytes = pool_bytes,
                                .max_clients = max_clients};
  rings_init(&rings, &config);
}

static void set_up(void) {
  private_store_init(&store, &region, 1 << 20, 4096, 7);
  namespace_table_init(&table, &store, 8);
  ck_assert_int_eq(namespace_table_open(&table, fc_str_of("ns"), NULL, &ns), 0);
  traced_start(&traced);
  memset(&counters, 0, sizeof counters);
  start_rings(POOL, 4); /* the base is the largest size */
}

static void tear_down(void) {
  while (rings.first != NULL)
    rings_detach(&rings, rings.first);
  while (rings.asleep != NULL)
    rings_detach(&rings, rings.asleep);
  rings_pay_all(&rings);
  rings_deinit(&rings);
  traced_end(&traced);
  namespace_table_deinit(&table);
  private_store_deinit(&store, &region);
}

/* A client with its ring. */
struct client {
  struct client_ring *ring;
  struct ring_writer writer;
};

static struct client_time client_time; /* of all: connected when the machine started */

static struct client_ring *attach_one(const char *name, bool knows_state) {
  struct hits_account account = {.store = &store,
                                 .ns = ns,
                                 .counters = &counters,
                                 .trace = &traced.trace,
                                 .name_space = ns->name,
                                 .client = fc_str_of(name),
                                 .time = &client_time};
  return rings_attach(&rings, knows_state, &account);
}

/* Of a client that does not look at the ring's state. */
static struct client_ring *attach(const char *name) {
  return attach_one(name, false);
}

static struct client join_with(struct client_ring *ring) {
  struct client client = {.ring = ring};
  ck_assert_ptr_nonnull(client.ring);
  ring_writer_open(&client.writer, rings_fd(client.ring));
  rings_handed_over(client.ring);
  ck_assert_int_eq(rings_fd(client.ring), -1);
  ring_writer_context(&client.writer, 0, "op", "base", NULL);
  return client;
}

static struct client join(const char *name) {
  return join_with(attach(name));
}

static struct fc_key key_of(uint32_t n) {
  return (struct fc_key){.op = fc_str_of("op"), .view = fc_str_of("base"), .top_k = n};
}

/* Hits on keys first, first + 1, ... */
static void hit(struct client *client, uint32_t first, uint32_t n) {
  for (uint32_t i = first; i < first + n; i++) {
    struct fc_key key = key_of(i);
    struct fc_ring_hit record = ring_writer_hit_on(ns->seed, 0, &key);
    ring_writer_hit(&client->writer, &record);
  }
  ring_writer_publish(&client->writer);
}

static void hit_with_bad_flags(struct client *client) {
  struct fc_key key = key_of(0);
  struct fc_ring_hit record = ring_writer_hit_on(ns->seed, 0, &key);
  record.flags = 0x8000;
  ring_writer_hit(&client->writer, &record);
  ring_writer_publish(&client->writer);
}

/* The file has a line for each of the keys 1 to n of that client, in order, and no other of it. */
static void assert_lines(const char *client, uint32_t n) {
  uint32_t seen = 0;
  char name[64], field[32];
  (void)snprintf(name, sizeof name, "\"client\": \"%s\"}\n", client);
  const char *line = traced_text(&traced), *past = line + traced.size;
  for (const char *end; line < past; line = end + 1) {
    end = memchr(line, '\n', (size_t)(past - line));
    if (memmem(line, (size_t)(end - line) + 1, name, strlen(name)) == NULL)
      continue;
    int size = snprintf(field, sizeof field, "\"top_k\": %u,", ++seen);
    ck_assert_msg(memmem(line, (size_t)(end - line), field, (size_t)size) != NULL, "%.*s",
                  (int)(end - line), line);
  }
  ck_assert_uint_eq(seen, n);
}

/* ---- the pool ---- */

static const struct {
  size_t budget_bytes;
  unsigned max_clients;
  uint32_t slots;
} pools[] = {{64u << 20, 1000, FC_RING_SLOTS_MIN},
             {1u << 20, 1000, FC_RING_SLOTS_MIN},
             {64u << 20, 100, 4096},
             {64u << 20, 4, FC_RING_SLOTS_MAX},
             {64u << 20, 1, FC_RING_SLOTS_MAX}};

START_TEST(every_client_gets_the_same_ring) {
  start_rings(rings_pool_bytes(pools[_i].budget_bytes, pools[_i].max_clients),
              pools[_i].max_clients);
  for (unsigned n = 0; n < pools[_i].max_clients; n++) {
    const struct client_ring *ring = attach_one("client", n % 2 == 0);
    ck_assert_ptr_nonnull(ring);
    ck_assert_uint_eq(ring->ring.n_slots, pools[_i].slots);
  }
  ck_assert_uint_eq(rings.used_bytes, pools[_i].max_clients * rings_charge(pools[_i].slots));
  ck_assert_uint_le(rings.used_bytes, rings.config.pool_bytes);
}
END_TEST

START_TEST(a_pool_that_is_used_up_gives_none) {
  start_rings(2 * rings_charge(FC_RING_SLOTS_MIN), 1);
  struct client_ring *one = attach("client"), *two = attach("another");
  ck_assert_ptr_nonnull(one);
  ck_assert_ptr_nonnull(two);
  ck_assert_ptr_null(attach("one more"));
  ck_assert(rings.refused);
  rings_detach(&rings, two);
  ck_assert_ptr_nonnull(attach("one more"));
}
END_TEST

/* Takes the place of the client's ring, as the dispatcher does it. */
static bool grow(struct client *client, uint32_t most_slots) {
  struct client_ring *ring = rings_attach_anew(&rings, client->ring, most_slots);
  if (ring == NULL)
    return false;
  ring_writer_close(&client->writer);
  rings_detach_replaced(&rings, client->ring);
  *client = join_with(ring);
  return true;
}

START_TEST(rings_grow_out_of_what_none_to_come_will_need) {
  enum { CLIENTS = 100 };
  struct client clients[CLIENTS / 2];
  uint32_t slots = FC_RING_SLOTS_MAX;
  start_rings(64u << 20, CLIENTS);
  for (int i = 0; i < CLIENTS / 2; i++)
    clients[i] = join_with(attach_one("client", true));
  ck_assert(grow(&clients[0], FC_RING_SLOTS_MIN) == false); /* no larger one was asked for */
  for (int i = 0; i < CLIENTS / 2; i++) {
    if (!grow(&clients[i], FC_RING_SLOTS_MAX))
      break;
    uint32_t grown = clients[i].writer.header->n_slots;
    ck_assert_uint_gt(grown, rings.base_slots);
    ck_assert_uint_le(grown, slots); /* each gets a part of what is left */
    slots = grown;
  }
  ck_assert_uint_gt(clients[3].writer.header->n_slots, rings.base_slots);
  ck_assert_uint_le(rings.used_bytes, rings.config.pool_bytes);
  for (int i = CLIENTS / 2; i < CLIENTS; i++)
    ck_assert_ptr_nonnull(attach("to come"));
  ck_assert_uint_le(rings.used_bytes, rings.config.pool_bytes);
  for (int i = 0; i < CLIENTS / 2; i++)
    ring_writer_close(&clients[i].writer);
}
END_TEST

/* It could not be taken back from a client that does not look at the state. */
START_TEST(rings_of_older_clients_do_not_grow) {
  start_rings(64u << 20, 1000);
  struct client one = join("one");
  ck_assert(!grow(&one, FC_RING_SLOTS_MAX));
  ck_assert(grow(&one, 0));
  ck_assert(!one.ring->ring.knows_state);
  ck_assert_uint_eq(one.writer.header->n_slots, FC_RING_SLOTS_MIN);
  ring_writer_close(&one.writer);
}
END_TEST

START_TEST(a_larger_ring_goes_on_with_the_counts) {
  start_rings(64u << 20, 1000);
  struct client one = join_with(attach_one("one", true));
  hit(&one, 1, 100);
  ck_assert(rings_drain(&rings, one.ring));
  ck_assert(grow(&one, FC_RING_SLOTS_MAX));
  hit(&one, 101, 1000);
  ck_assert(rings_drain(&rings, one.ring));
  ck_assert_uint_eq(one.ring->account.hits, 1100);
  ck_assert_uint_eq(counters.hits, 1100);
  ck_assert_uint_eq(rings.n, 1);
  ck_assert_uint_eq(rings.used_bytes, rings_charge(one.writer.header->n_slots));
  assert_lines("one", 1100);
  ring_writer_close(&one.writer);
}
END_TEST

/* ---- rings without news ---- */

#define SECOND_NS UINT64_C(1000000000)

static uint64_t now_ns;

/* Sweeps every 100 ms for so long. */
static void pass(uint64_t time_ns) {
  for (uint64_t end_ns = now_ns + time_ns; now_ns < end_ns;) {
    now_ns += SECOND_NS / 10;
    (void)rings_sweep(&rings, now_ns);
  }
}

static uint32_t state_of(const struct client *client) {
  return atomic_load_explicit(&client->writer.header->state, memory_order_relaxed);
}

/* Memory of the file, as the system has it. */
static uint64_t allocated_bytes(int fd) {
  struct stat status;
  ck_assert_int_eq(fstat(fd, &status), 0);
  return (uint64_t)status.st_blocks * 512;
}

/* So many that idle ones fall asleep. */
static void attach_awake(void) {
  start_rings(64u << 20, 1000);
  while (rings_n_awake(&rings) < RINGS_AWAKE)
    ck_assert_ptr_nonnull(attach("awake"));
}

START_TEST(few_rings_stay_awake) {
  now_ns = 100 * SECOND_NS;
  for (unsigned i = 0; i < RINGS_AWAKE; i++)
    ck_assert_uint_eq(attach_one("client", true)->state, 0);
  pass(3 * SECOND_NS);
  ck_assert_uint_eq(rings.n_asleep, 0);
  ck_assert_uint_eq(attach_one("one more", true)->state, FC_RING_ASLEEP);
  pass(3 * SECOND_NS);
  ck_assert_uint_eq(rings.n_asleep, 1);
}
END_TEST

START_TEST(a_ring_sleeps_until_its_client_makes_a_request) {
  attach_awake();
  struct client one = join_with(attach_one("one", true));
  now_ns = 100 * SECOND_NS;
  ck_assert_uint_eq(state_of(&one), FC_RING_ASLEEP); /* a new one */
  for (int i = 0; i < 3; i++) {
    ck_assert_uint_eq(rings.n_asleep, 1);
    ck_assert(rings_drain(&rings, one.ring)); /* with nothing recorded */
    ck_assert_uint_eq(state_of(&one), FC_RING_ASLEEP);
    hit(&one, 1 + (uint32_t)i, 1);
    ck_assert(rings_drain(&rings, NULL)); /* anybody's */
    ck_assert_uint_eq(counters.hits, i);
    ck_assert(rings_drain(&rings, one.ring));
    ck_assert_uint_eq(counters.hits, i + 1);
    ck_assert_uint_eq(rings.n_asleep, 0);
    ck_assert_uint_eq(state_of(&one), 0);
    pass(SECOND_NS / 2);
    ck_assert_uint_eq(state_of(&one), 0);
    /* It is shown before it is so: there is another look between. */
    while (state_of(&one) == 0)
      pass(1);
    ck_assert_uint_eq(rings.n_asleep, 0);
    pass(1);
  }
  ring_writer_close(&one.writer);
}
END_TEST

/* A client that looked at the state before it was asleep, and was stopped until now. */
START_TEST(a_hit_without_a_request_is_found_by_the_timer) {
  attach_awake();
  struct client one = join_with(attach_one("one", true)), other = join("other");
  now_ns = 100 * SECOND_NS;
  pass(2 * SECOND_NS);
  ck_assert_uint_eq(rings.n_asleep, 1);
  hit(&one, 1, 1);
  hit(&other, 1, 1);
  rings_drain_awake(&rings);
  ck_assert_uint_eq(counters.hits, 1);
  pass(1);
  ck_assert_uint_eq(counters.hits, 2);
  ck_assert_uint_eq(rings.n_asleep, 0);
  ck_assert_uint_eq(state_of(&one), 0);
  hit(&one, 2, 1);
  rings_drain_awake(&rings);
  ck_assert_uint_eq(counters.hits, 3);
  pass(3 * SECOND_NS);
  ck_assert_uint_eq(rings.n_asleep, 1);
  hit(&one, 3, 1);
  ck_assert(rings_drain_all(&rings)); /* a figure is exact in any case */
  ck_assert_uint_eq(counters.hits, 4);
  ring_writer_close(&one.writer);
  ring_writer_close(&other.writer);
}
END_TEST

START_TEST(what_is_left_in_a_sleeping_ring_is_read_at_the_end) {
  attach_awake();
  uint32_t before = rings.n;
  struct client one = join_with(attach_one("one", true));
  hit(&one, 1, 10);
  rings_detach(&rings, one.ring);
  ck_assert_uint_eq(counters.hits, 10);
  ck_assert_uint_eq(rings.n, before);
  ck_assert_uint_eq(rings.n_asleep, 0);
  ring_writer_close(&one.writer);
}
END_TEST

/* They do not look at the state; among many an idle one is looked at by the timer alone. */
START_TEST(rings_of_older_clients_sleep_among_very_many) {
  struct client clients[RINGS_TOGETHER + 1];
  start_rings(64u << 20, 1000);
  for (unsigned i = 0; i <= RINGS_TOGETHER; i++) {
    clients[i] = join("client");
    ck_assert_uint_eq(state_of(&clients[i]), 0);
  }
  ck_assert_uint_eq(rings.n_asleep, 1);
  now_ns = 100 * SECOND_NS;
  pass(3 * SECOND_NS);
  ck_assert_uint_eq(rings_n_awake(&rings), RINGS_TOGETHER);
  for (unsigned i = 0; i <= RINGS_TOGETHER; i++)
    hit(&clients[i], 1, 1);
  pass(1);
  ck_assert_uint_eq(counters.hits, RINGS_TOGETHER + 1);
  ck_assert_uint_eq(rings.n_asleep, 0);
  pass(3 * SECOND_NS);
  ck_assert_uint_eq(rings_n_awake(&rings), RINGS_TOGETHER);
  for (unsigned i = 0; i <= RINGS_TOGETHER; i++) {
    ck_assert_uint_eq(state_of(&clients[i]), 0);
    ring_writer_close(&clients[i].writer);
  }
}
END_TEST

/* A client whose ring has grown: `fd` is its file. */
static struct client join_grown(const char *name, int *fd) {
  struct client client = join_with(attach_one(name, true));
  struct client_ring *ring = rings_attach_anew(&rings, client.ring, FC_RING_SLOTS_MAX);
  ck_assert_ptr_nonnull(ring);
  *fd = fcntl(rings_fd(ring), F_DUPFD_CLOEXEC, 0);
  ck_assert_int_ge(*fd, 0);
  ring_writer_close(&client.writer);
  rings_detach(&rings, client.ring);
  return join_with(ring);
}

static void until_revoked(const struct client *client, uint64_t least_ns) {
  uint64_t start_ns = now_ns;
  while ((state_of(client) & FC_RING_REVOKED) == 0)
    pass(1);
  ck_assert_uint_ge(now_ns - start_ns, least_ns);
  ck_assert_uint_lt(now_ns - start_ns, least_ns + 2 * SECOND_NS);
}

#define KEPT_BYTES (3u * 65536u) /* three pages at most, the largest that there are */

START_TEST(a_ring_that_had_grown_gives_its_memory_back) {
  int fd;
  trace_off(&traced.trace); /* of more lines than it has room for */
  start_rings(64u << 20, 1000);
  now_ns = 100 * SECOND_NS;
  struct client one = join_grown("one", &fd);
  uint32_t n_slots = one.writer.header->n_slots, at = _i == 0 ? 100 : n_slots - 5;
  ck_assert_uint_gt(n_slots, 4096);
  pass(1);
  hit(&one, 1, at); /* up to the place in the ring, the end of it too */
  pass(SECOND_NS);
  ck_assert_uint_eq(counters.hits, at);
  ck_assert_uint_eq(allocated_bytes(fd), (fc_ring_bytes(n_slots) + 4095) / 4096 * 4096);
  until_revoked(&one, 3 * SECOND_NS);
  ck_assert_uint_gt(rings.used_bytes, rings_charge(FC_RING_SLOTS_MIN)); /* not yet */
  pass(1);
  ck_assert_uint_eq(rings.used_bytes, rings_charge(FC_RING_SLOTS_MIN));
  ck_assert_uint_le(allocated_bytes(fd), KEPT_BYTES);
  /* One record may still come, the longest that there is: of a client that was stopped. */
  char name[FC_NAME_MAX + 1];
  memset(name, 'n', FC_NAME_MAX);
  name[FC_NAME_MAX] = '\0';
  uint64_t before = allocated_bytes(fd);
  ring_writer_context(&one.writer, 1, name, name, name);
  hit(&one, 1, 1);
  ck_assert_uint_eq(allocated_bytes(fd), before);
  ck_assert(rings_drain(&rings, one.ring));
  ck_assert_ptr_null(rings_fault(one.ring));
  ck_assert_uint_eq(counters.hits, at + 1);
  /* It gets one like any other. */
  ck_assert(grow(&one, 0));
  ck_assert_uint_eq(one.writer.header->n_slots, FC_RING_SLOTS_MIN);
  ck_assert_uint_eq(rings.used_bytes, rings_charge(FC_RING_SLOTS_MIN));
  ck_assert_uint_eq(allocated_bytes(fd), 0); /* whoever keeps it */
  ck_assert_int_eq(close(fd), 0);
  ring_writer_close(&one.writer);
}
END_TEST

START_TEST(a_grown_ring_is_taken_at_once_where_another_was_refused) {
  int fd;
  start_rings(64u << 20, 1000);
  now_ns = 100 * SECOND_NS;
  struct client one = join_grown("one", &fd);
  pass(SECOND_NS / 2);
  for (uint64_t end_ns = now_ns + 2 * SECOND_NS; (state_of(&one) & FC_RING_REVOKED) == 0;) {
    ck_assert_uint_lt(now_ns, end_ns);
    rings.refused = true;
    pass(1);
  }
  ck_assert(grow(&one, FC_RING_SLOTS_MAX)); /* which it asked for before it saw that */
  ck_assert_uint_eq(one.writer.header->n_slots, FC_RING_SLOTS_MIN);
  ck_assert_int_eq(close(fd), 0);
  ring_writer_close(&one.writer);
}
END_TEST

START_TEST(who_goes_on_in_a_ring_that_was_taken_is_cut) {
  int fd;
  start_rings(64u << 20, 1000);
  now_ns = 100 * SECOND_NS;
  struct client one = join_grown("one", &fd);
  pass(1);
  until_revoked(&one, 4 * SECOND_NS);
  pass(1);
  hit(&one, 1, FC_RING_RECORD_SLOTS_MAX + 1);
  ck_assert(rings_drain(&rings, one.ring));
  ck_assert_ptr_nonnull(strstr(rings_fault(one.ring), "revoked"));
  ck_assert_uint_eq(counters.hits, 0);
  ck_assert_int_eq(close(fd), 0);
  ring_writer_close(&one.writer);
}
END_TEST

/* What the client keeps of a ring after the end is not the daemon's memory; but for the header, by
 * which it finds what it wrote there after that. */
START_TEST(the_end_gives_the_memory_back) {
  struct client_ring *ring = attach_one("one", _i == 0);
  int fd = fcntl(rings_fd(ring), F_DUPFD_CLOEXEC, 0);
  struct client one = join_with(ring);
  hit(&one, 1, 1000);
  rings_detach(&rings, one.ring);
  ck_assert_uint_eq(counters.hits, 1000);
  ck_assert_uint_le(allocated_bytes(fd), 65536); /* the largest page that there is */
  ck_assert_uint_eq(ring_writer_used(&one.writer), 0);
  hit(&one, 1, 1);
  ck_assert_uint_eq(ring_writer_used(&one.writer), 1);
  ck_assert_int_eq(close(fd), 0);
  ring_writer_close(&one.writer);
}
END_TEST

/* ---- reading ---- */

START_TEST(a_drain_reads_all_of_all_rings) {
  struct client one = join("one"), other = join("other");
  hit(&one, 1, 100);
  hit(&other, 1, 7);
  ck_assert(rings_drain(&rings, one.ring));
  ck_assert_uint_eq(counters.hits, 107);
  ck_assert_uint_eq(ns->counters.hits, 107);
  ck_assert_uint_eq(rings.hits, 107);
  ck_assert_uint_eq(rings.records, 107);
  ck_assert_uint_gt(rings.drain_ns, 0);
  ck_assert_uint_eq(ring_writer_used(&one.writer), 0);
  ck_assert_uint_eq(ring_writer_used(&other.writer), 0);
  hit(&other, 8, 3);
  ck_assert(rings_drain(&rings, NULL)); /* a request of one without a ring */
  ck_assert_uint_eq(counters.hits, 110);
  assert_lines("one", 100);
  assert_lines("other", 10);
  ring_writer_close(&one.writer);
  ring_writer_close(&other.writer);
}
END_TEST

START_TEST(a_request_among_very_many_reads_its_own_ring) {
  start_rings(POOL, 1000);
  struct client one = join("one"), other = join("other");
  while (rings_n_awake(&rings) < RINGS_TOGETHER)
    ck_assert_ptr_nonnull(attach("another"));
  rings_wake(&rings, attach("one that has hits"));
  hit(&one, 1, 100);
  hit(&other, 1, 7);
  ck_assert(rings_drain(&rings, NULL));
  ck_assert_uint_eq(counters.hits, 0);
  ck_assert(rings_drain(&rings, one.ring));
  ck_assert_uint_eq(counters.hits, 100);
  ck_assert_uint_eq(ring_writer_used(&other.writer), 8);
  ck_assert(rings_drain_all(&rings));
  ck_assert_uint_eq(counters.hits, 107);
  ring_writer_close(&one.writer);
  ring_writer_close(&other.writer);
}
END_TEST

/* ---- the order ---- */

static void put_keys(uint32_t n) {
  struct store_put_info info = {.now_ns = 1};
  for (uint32_t i = 1; i <= n; i++) {
    struct fc_key key = key_of(i);
    ck_assert_int_eq(store_put(&store, ns, &key, "v", 1, &info), FC_STORED);
  }
}

/* Unpublished. */
static void hit_at(struct client *client, uint32_t n, uint64_t end_ns) {
  struct fc_key key = key_of(n);
  struct fc_ring_hit record = ring_writer_hit_on(ns->seed, 0, &key);
  record.end_ns = end_ns;
  ring_writer_hit(&client->writer, &record);
}

/* The entries, from the least recently used on, are those of these keys, and no more. */
static void assert_order(const uint32_t *keys, uint32_t n) {
  const struct entry *at = store_oldest(&store, NULL);
  for (uint32_t i = 0; i < n; i++, at = store_newer(&store, NULL, at)) {
    struct fc_key key = key_of(keys[i]);
    const struct entry *entry = store_peek(&store, ns, &key);
    ck_assert_ptr_nonnull(entry);
    ck_assert_msg(at == entry, "another stands where %u should", keys[i]);
  }
  ck_assert_uint_eq(store.entries, n);
}

/* Keys 1, 2, ... are hit in that order by the clients, and a context comes between now and then. */
static void hit_in_turns(struct client *clients, uint32_t n_clients, uint32_t n_keys) {
  for (uint32_t i = 1; i <= n_keys; i++) {
    struct client *client = &clients[i * i / 3 % n_clients];
    if (i % 11 == 0)
      ring_writer_context(&client->writer, 0, "op", "base", "probe");
    hit_at(client, i, 1000 + i);
  }
  for (uint32_t i = 0; i < n_clients; i++)
    ring_writer_publish(&clients[i].writer);
}

/* By whatever reads them: a request, an eviction, the timer, an end. */
START_TEST(hits_of_several_count_as_they_were_served) {
  enum { KEYS = 500, CLIENTS = 5 };
  uint32_t keys[KEYS];
  struct client clients[CLIENTS];
  for (int i = 0; i < CLIENTS; i++)
    clients[i] = join("client");
  put_keys(KEYS);
  hit_in_turns(clients, CLIENTS, KEYS);
  if (_i == 0)
    ck_assert(rings_drain(&rings, clients[0].ring));
  else if (_i == 1)
    ck_assert(rings_drain_all(&rings));
  else if (_i == 2)
    (void)rings_sweep(&rings, 0);
  else
    rings_detach(&rings, clients[0].ring);
  for (uint32_t i = 0; i < KEYS; i++)
    keys[i] = i + 1;
  assert_order(keys, KEYS);
  ck_assert_uint_eq(counters.hits, KEYS);
  ck_assert_uint_eq(traced_count(&traced, "\n"), KEYS);
  for (int i = 0; i < CLIENTS; i++)
    ring_writer_close(&clients[i].writer);
}
END_TEST

START_TEST(three_that_alternate_while_the_trace_is_behind) {
  struct client clients[] = {join("a"), join("b"), join("c")};
  put_keys(90);
  uint32_t keys[90];
  for (uint32_t i = 0; i < 90; i++) {
    keys[i] = i % 3 * 30 + i / 3 + 1; /* the first one's are 1 to 30 */
    hit_at(&clients[i % 3], keys[i], 1000 + i);
  }
  for (int i = 0; i < 3; i++)
    ring_writer_publish(&clients[i].writer);
  traced_fall_behind(&traced);
  ck_assert(!rings_drain_all(&rings));
  assert_order(keys, 90);
  traced_write_out(&traced);
  ck_assert(rings_drain_all(&rings));
  ck_assert_uint_eq(traced_count(&traced, "\n"), 90);
  assert_lines("a", 30);
  for (int i = 0; i < 3; i++)
    ring_writer_close(&clients[i].writer);
}
END_TEST

/* Whatever a client says about the time, its own hits stay in their order, and so do the others'.
 */
START_TEST(times_that_are_lies_move_ones_own_hits_alone) {
  static const uint64_t lies[][3] = {
      {0, 0, 0}, {UINT64_MAX, UINT64_MAX, UINT64_MAX}, {900, 20, 1}, {UINT64_MAX, 0, 15}};
  struct client liar = join("liar"), one = join("one"), two = join("two");
  put_keys(7);
  for (uint32_t i = 0; i < 3; i++)
    hit_at(&liar, 1 + i, lies[_i][i]);
  hit_at(&one, 4, 10);
  hit_at(&two, 5, 20);
  hit_at(&one, 6, 30);
  hit_at(&two, 7, 40);
  ring_writer_publish(&liar.writer);
  ring_writer_publish(&one.writer);
  ring_writer_publish(&two.writer);
  ck_assert(rings_drain_all(&rings));
  ck_assert_ptr_null(rings_fault(liar.ring));
  ck_assert_uint_eq(counters.hits, 7);
  uint32_t last_of_liar = 0, last_of_others = 3;
  for (const struct entry *at = store_oldest(&store, NULL); at != NULL;
       at = store_newer(&store, NULL, at))
    for (uint32_t n = 1; n <= 7; n++) {
      struct fc_key key = key_of(n);
      if (at != store_peek(&store, ns, &key))
        continue;
      uint32_t *last = n <= 3 ? &last_of_liar : &last_of_others;
      ck_assert_uint_eq(n, *last + 1);
      *last = n;
    }
  ck_assert_uint_eq(last_of_liar + last_of_others, 10);
  ring_writer_close(&liar.writer);
  ring_writer_close(&one.writer);
  ring_writer_close(&two.writer);
}
END_TEST

/* What was good before it has its place among the others' hits, and they go on. */
START_TEST(a_ring_that_turns_out_bad_does_not_stop_the_others) {
  static const uint32_t keys[] = {1, 2, 3, 4, 5};
  struct client bad = join("bad"), one = join("one"), two = join("two");
  put_keys(5);
  hit_at(&one, 1, 10);
  hit_at(&bad, 2, 20);
  hit_with_bad_flags(&bad);
  hit_at(&bad, 5, 25);
  hit_at(&two, 3, 30);
  hit_at(&one, 4, 40);
  hit_at(&two, 5, 50);
  ring_writer_publish(&bad.writer);
  ring_writer_publish(&one.writer);
  ring_writer_publish(&two.writer);
  ck_assert(rings_drain_all(&rings));
  ck_assert_ptr_nonnull(rings_fault(bad.ring));
  ck_assert_ptr_null(rings_fault(one.ring));
  ck_assert_uint_eq(counters.hits, 5);
  assert_order(keys, 5);
  ring_writer_close(&bad.writer);
  ring_writer_close(&one.writer);
  ring_writer_close(&two.writer);
}
END_TEST

START_TEST(the_end_reads_what_is_left) {
  struct client one = join("one");
  hit(&one, 1, 10);
  rings_detach(&rings, one.ring);
  ck_assert_uint_eq(counters.hits, 10);
  ck_assert_uint_eq(rings.n, 0);
  ck_assert_uint_eq(rings.used_bytes, 0);
  assert_lines("one", 10);
  ring_writer_close(&one.writer);
}
END_TEST

START_TEST(unrecorded_hits_of_all_are_summed) {
  struct client one = join("one"), other = join("other");
  atomic_store_explicit(&one.writer.header->unrecorded, 3, memory_order_relaxed);
  atomic_store_explicit(&other.writer.header->unrecorded, 4, memory_order_relaxed);
  for (int i = 0; i < 2; i++)
    ck_assert(rings_drain_all(&rings));
  ck_assert_uint_eq(rings.unrecorded, 7);
  ring_writer_close(&one.writer);
  ring_writer_close(&other.writer);
}
END_TEST

START_TEST(a_bad_ring_harms_no_other) {
  struct client bad = join("bad"), good = join("good");
  hit(&bad, 1, 5);
  hit_with_bad_flags(&bad);
  hit(&bad, 6, 5);
  hit(&good, 1, 5);
  ck_assert(rings_drain_all(&rings));
  ck_assert_uint_eq(counters.hits, 10); /* what was before it counts */
  ck_assert_ptr_nonnull(rings_fault(bad.ring));
  ck_assert_ptr_null(rings_fault(good.ring));
  ck_assert(rings.attention);
  ck_assert(rings_drain(&rings, bad.ring)); /* nobody waits for it */
  ck_assert_uint_eq(counters.hits, 10);
  assert_lines("bad", 5);
  ring_writer_close(&bad.writer);
  ring_writer_close(&good.writer);
}
END_TEST

START_TEST(a_head_that_is_nonsense_is_a_fault) {
  struct client bad = join("bad");
  atomic_store_explicit(&bad.writer.header->head, UINT64_MAX, memory_order_release);
  ck_assert_uint_eq(rings_sweep(&rings, 0), BUSY_MS); /* somebody has to look at it */
  ck_assert_ptr_nonnull(strstr(rings_fault(bad.ring), "head"));
  ck_assert_uint_eq(counters.hits, 0);
  ring_writer_close(&bad.writer);
}
END_TEST

/* ---- the timer ---- */

START_TEST(the_period_follows_the_load) {
  ck_assert_uint_eq(rings_period_ms(&rings), 0);
  ck_assert_uint_eq(rings_sweep(&rings, 0), 0);
  struct client one = join("one");
  ck_assert_uint_eq(rings_period_ms(&rings), IDLE_MS);
  ck_assert_uint_eq(rings_sweep(&rings, 0), IDLE_MS);
  hit(&one, 1, 1);
  ck_assert_uint_eq(rings_sweep(&rings, 0), USED_MS);
  hit(&one, 2, FC_RING_SLOTS_MAX / 8 + 1);
  ck_assert_uint_eq(rings_sweep(&rings, 0), BUSY_MS);
  ck_assert_uint_eq(rings_sweep(&rings, 0), IDLE_MS);
  hit(&one, 2, FC_RING_SLOTS_MAX / 8 + 1);
  ck_assert(rings_drain(&rings, one.ring)); /* a request found it so */
  ck_assert_uint_eq(rings_period_ms(&rings), BUSY_MS);
  rings_detach(&rings, one.ring);
  ck_assert_uint_eq(rings_sweep(&rings, 0), 0);
  ring_writer_close(&one.writer);
}
END_TEST

START_TEST(a_sweep_is_bounded_and_goes_on_in_turns) {
  struct client clients[4];
  uint64_t left = 0;
  trace_off(&traced.trace);
  for (int i = 0; i < 4; i++) {
    clients[i] = join("client");
    hit(&clients[i], 1, clients[i].writer.header->n_slots - 1);
    left += clients[i].writer.header->n_slots - 1;
  }
  ck_assert_uint_eq(left, 131068);
  ck_assert_uint_eq(rings_sweep(&rings, 0), BUSY_MS);
  ck_assert_uint_ge(counters.hits, 64u << 10);
  ck_assert_uint_lt(counters.hits, left);
  ck_assert_uint_eq(rings_sweep(&rings, 0), BUSY_MS); /* those that were left come first */
  ck_assert_uint_eq(counters.hits, left);
  for (int i = 0; i < 4; i++)
    ring_writer_close(&clients[i].writer);
}
END_TEST

/* ---- the trace behind ---- */

START_TEST(while_the_trace_is_behind_rings_fill) {
  struct client one = join("one");
  hit(&one, 1, 100);
  traced_fall_behind(&traced);
  ck_assert_uint_eq(rings_sweep(&rings, 0), BUSY_MS);
  ck_assert(!rings_drain(&rings, one.ring));
  ck_assert_uint_eq(rings_period_ms(&rings), BUSY_MS);
  ck_assert_uint_eq(counters.hits, 0);
  ck_assert_uint_eq(ring_writer_used(&one.writer), 101);
  traced_write_out(&traced);
  ck_assert(rings_drain(&rings, one.ring));
  ck_assert_uint_eq(counters.hits, 100);
  assert_lines("one", 100);
  ck_assert_uint_eq(traced.trace.lost, 0);
  ring_writer_close(&one.writer);
}
END_TEST

START_TEST(an_eviction_counts_them_and_their_lines_come_later) {
  struct client one = join("one");
  hit(&one, 1, 100);
  traced_fall_behind(&traced);
  ck_assert(!rings_drain_all(&rings));
  ck_assert_uint_eq(counters.hits, 100);
  ck_assert_uint_eq(ring_writer_used(&one.writer), 101); /* their slots are still needed */
  ring_writer_context(&one.writer, 0, "other", "base", NULL);
  hit(&one, 101, 100);
  ck_assert(!rings_drain_all(&rings));
  ck_assert_uint_eq(counters.hits, 200);
  ck_assert(!rings_drain(&rings, one.ring));
  traced_write_out(&traced);
  hit(&one, 201, 100);
  ck_assert(rings_drain(&rings, one.ring));
  ck_assert_uint_eq(counters.hits, 300);
  ck_assert_uint_eq(ring_writer_used(&one.writer), 0);
  assert_lines("one", 300);
  ck_assert_uint_eq(traced_count(&traced, "\"op\": \"op\""), 100);
  ck_assert_uint_eq(traced_count(&traced, "\"op\": \"other\""), 200);
  ring_writer_close(&one.writer);
}
END_TEST

/* A ring's lines are more than half of what may wait: it is read in parts. */
START_TEST(a_full_ring_loses_no_line) {
  struct client one = join("one");
  hit(&one, 1, FC_RING_SLOTS_MAX - 1);
  unsigned turns = 0;
  while (!rings_drain(&rings, one.ring)) {
    turns++;
    traced_write_out(&traced);
  }
  ck_assert_uint_ge(turns, 1);
  ck_assert_uint_eq(traced.trace.lost, 0);
  assert_lines("one", FC_RING_SLOTS_MAX - 1);
  ring_writer_close(&one.writer);
}
END_TEST

START_TEST(slots_that_change_while_their_lines_are_owed_are_a_fault) {
  struct client one = join("one");
  hit(&one, 1, 100);
  traced_fall_behind(&traced);
  ck_assert(!rings_drain_all(&rings));
  memset(one.writer.slots, 0xff, one.writer.bytes - sizeof(struct fc_ring_header));
  traced_write_out(&traced);
  ck_assert(rings_drain(&rings, one.ring));
  ck_assert_ptr_nonnull(rings_fault(one.ring));
  ck_assert_uint_eq(counters.hits, 100);
  ring_writer_close(&one.writer);
}
END_TEST

/* ---- orphans ---- */

/* The connection ends, and its namespace goes, with all that the account borrowed. */
static void end_with_namespace(struct client *client) {
  rings_detach(&rings, client->ring);
  namespace_table_close(&table, ns);
  for (char name[] = "a"; name[0] <= 'h'; name[0]++) {
    struct namespace *another;
    ck_assert_int_eq(namespace_table_open(&table, fc_str_of(name), NULL, &another), 0);
  }
  while (!namespace_table_step(&table, STORE_SLICE))
    ;
  ns = NULL;
}

START_TEST(the_lines_of_one_that_left_come_later) {
  char name[] = "one";
  struct client one = join(name);
  memset(name, 'x', strlen(name));
  hit(&one, 1, 100);
  traced_fall_behind(&traced);
  ck_assert(!rings_drain_all(&rings));
  ring_writer_context(&one.writer, 0, "other", "base", NULL);
  hit(&one, 101, 100);
  end_with_namespace(&one);
  ck_assert_uint_eq(counters.hits, 200); /* at once */
  ck_assert_uint_eq(rings.n, 0);
  ck_assert_uint_eq(rings.used_bytes, rings_charge(FC_RING_SLOTS_MAX));
  ck_assert_uint_eq(rings_period_ms(&rings), BUSY_MS);
  ck_assert_uint_eq(rings_sweep(&rings, 0), BUSY_MS);
  traced_write_out(&traced);
  ck_assert_uint_eq(rings_sweep(&rings, 0), 0);
  ck_assert_uint_eq(rings.used_bytes, 0);
  assert_lines("one", 200);
  ck_assert_uint_eq(traced_count(&traced, "\"op\": \"op\""), 100);
  ck_assert_uint_eq(traced_count(&traced, "\"namespace\": \"ns\""), 200);
  ck_assert_uint_eq(traced.trace.lost, 0);
  ring_writer_close(&one.writer);
}
END_TEST

/* What is counted is not the client's to report as lost, nor what is owed its to change. */
START_TEST(an_orphan_is_none_of_its_clients_business) {
  struct client one = join("one");
  hit(&one, 1, 100);
  traced_fall_behind(&traced);
  rings_detach(&rings, one.ring);
  ck_assert_uint_eq(ring_writer_used(&one.writer), 0);
  memset(one.writer.slots, 0xff, one.writer.bytes - sizeof(struct fc_ring_header));
  traced_write_out(&traced);
  ck_assert_uint_eq(rings_sweep(&rings, 0), 0);
  assert_lines("one", 100);
  ring_writer_close(&one.writer);
}
END_TEST

/* Each leaves with more lines than the trace has room for. */
START_TEST(many_that_leave_at_once_lose_no_line) {
  enum { CLIENTS = 6 };
  struct client clients[CLIENTS];
  uint32_t n[CLIENTS];
  uint64_t sum = 0;
  char name[] = "0";
  for (int i = 0; i < CLIENTS; i++, name[0]++) {
    clients[i] = join(name);
    n[i] = clients[i].writer.header->n_slots - 1;
    hit(&clients[i], 1, n[i]);
    sum += n[i];
  }
  size_t used_bytes = rings.used_bytes;
  for (int i = 0; i < CLIENTS; i++)
    rings_detach(&rings, clients[i].ring);
  ck_assert_uint_eq(counters.hits, sum);
  ck_assert(rings_owe_lines(&rings));
  ck_assert_uint_gt(rings.used_bytes, used_bytes / 2); /* the pool is short by what is owed */
  struct client late = join("late");
  while (rings_owe_lines(&rings)) {
    traced_write_out(&traced);
    ck_assert_uint_eq(rings_sweep(&rings, 0), rings_period_ms(&rings));
  }
  ck_assert_uint_eq(rings.used_bytes, rings_charge(late.writer.header->n_slots));
  ck_assert_uint_eq(traced.trace.lost, 0);
  name[0] = '0';
  for (int i = 0; i < CLIENTS; i++, name[0]++) {
    assert_lines(name, n[i]);
    ring_writer_close(&clients[i].writer);
  }
  ring_writer_close(&late.writer);
}
END_TEST

START_TEST(orphans_come_before_who_is_there) {
  struct client one = join("one"), two = join("two");
  hit(&one, 1, FC_RING_SLOTS_MAX - 1);
  hit(&two, 1, 10);
  traced_fall_behind(&traced);
  rings_detach(&rings, one.ring);
  while (rings_owe_lines(&rings)) {
    ck_assert(!rings_drain_all(&rings)); /* who closes the file waits for them */
    ck_assert_uint_eq(counters.hits, FC_RING_SLOTS_MAX - 1 + 10);
    traced_write_out(&traced);
    (void)rings_sweep(&rings, 0);
  }
  traced_write_out(&traced);
  ck_assert(rings_drain_all(&rings));
  assert_lines("one", FC_RING_SLOTS_MAX - 1);
  assert_lines("two", 10);
  ring_writer_close(&one.writer);
  ring_writer_close(&two.writer);
}
END_TEST

START_TEST(at_the_end_all_is_paid) {
  struct client one = join("one"), two = join("two");
  hit(&one, 1, 100);
  hit(&two, 1, 100);
  traced_fall_behind(&traced);
  rings_detach(&rings, two.ring);
  rings_detach(&rings, one.ring);
  rings_pay_all(&rings);
  ck_assert_uint_eq(rings.used_bytes, 0);
  assert_lines("one", 100);
  assert_lines("two", 100);
  ring_writer_close(&one.writer);
  ring_writer_close(&two.writer);
}
END_TEST

START_TEST(where_no_trace_is_nothing_is_owed) {
  struct client one = join("one");
  hit(&one, 1, 100);
  traced_fall_behind(&traced);
  rings_detach(&rings, one.ring);
  trace_off(&traced.trace);
  ck_assert_uint_eq(rings_sweep(&rings, 0), 0);
  ck_assert_uint_eq(rings.used_bytes, 0);
  assert_lines("one", 0);
  ring_writer_close(&one.writer);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("rings");
  TCase *tcase = tcase_create("rings");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_set_timeout(tcase, 60);
  tcase_add_loop_test(tcase, every_client_gets_the_same_ring, 0, sizeof pools / sizeof pools[0]);
  tcase_add_test(tcase, a_pool_that_is_used_up_gives_none);
  tcase_add_test(tcase, rings_grow_out_of_what_none_to_come_will_need);
  tcase_add_test(tcase, rings_of_older_clients_do_not_grow);
  tcase_add_test(tcase, a_larger_ring_goes_on_with_the_counts);
  tcase_add_test(tcase, few_rings_stay_awake);
  tcase_add_test(tcase, a_ring_sleeps_until_its_client_makes_a_request);
  tcase_add_test(tcase, a_hit_without_a_request_is_found_by_the_timer);
  tcase_add_test(tcase, what_is_left_in_a_sleeping_ring_is_read_at_the_end);
  tcase_add_test(tcase, rings_of_older_clients_sleep_among_very_many);
  tcase_add_loop_test(tcase, a_ring_that_had_grown_gives_its_memory_back, 0, 2);
  tcase_add_test(tcase, a_grown_ring_is_taken_at_once_where_another_was_refused);
  tcase_add_test(tcase, who_goes_on_in_a_ring_that_was_taken_is_cut);
  tcase_add_loop_test(tcase, the_end_gives_the_memory_back, 0, 2);
  tcase_add_test(tcase, a_drain_reads_all_of_all_rings);
  tcase_add_test(tcase, a_request_among_very_many_reads_its_own_ring);
  tcase_add_loop_test(tcase, hits_of_several_count_as_they_were_served, 0, 4);
  tcase_add_test(tcase, three_that_alternate_while_the_trace_is_behind);
  tcase_add_loop_test(tcase, times_that_are_lies_move_ones_own_hits_alone, 0, 4);
  tcase_add_test(tcase, a_ring_that_turns_out_bad_does_not_stop_the_others);
  tcase_add_test(tcase, the_end_reads_what_is_left);
  tcase_add_test(tcase, unrecorded_hits_of_all_are_summed);
  tcase_add_test(tcase, a_bad_ring_harms_no_other);
  tcase_add_test(tcase, a_head_that_is_nonsense_is_a_fault);
  tcase_add_test(tcase, the_period_follows_the_load);
  tcase_add_test(tcase, a_sweep_is_bounded_and_goes_on_in_turns);
  tcase_add_test(tcase, while_the_trace_is_behind_rings_fill);
  tcase_add_test(tcase, an_eviction_counts_them_and_their_lines_come_later);
  tcase_add_test(tcase, a_full_ring_loses_no_line);
  tcase_add_test(tcase, slots_that_change_while_their_lines_are_owed_are_a_fault);
  tcase_add_test(tcase, the_lines_of_one_that_left_come_later);
  tcase_add_test(tcase, an_orphan_is_none_of_its_clients_business);
  tcase_add_test(tcase, many_that_leave_at_once_lose_no_line);
  tcase_add_test(tcase, orphans_come_before_who_is_there);
  tcase_add_test(tcase, at_the_end_all_is_paid);
  tcase_add_test(tcase, where_no_trace_is_nothing_is_owed);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
