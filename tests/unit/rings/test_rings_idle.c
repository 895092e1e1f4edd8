/* Rings without news: which fall asleep, what wakes them, and which give their memory back. */

#include <check.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/rings_fixture.h"
#include "tests/support/runner.h"

#define SECOND_NS UINT64_C(1000000000)

static uint64_t now_ns;

/* Sweeps every 100 ms for that time. */
static void pass(uint64_t time_ns) {
  for (uint64_t end_ns = now_ns + time_ns; now_ns < end_ns;) {
    now_ns += SECOND_NS / 10;
    (void)rings_sweep(&fix.rings, now_ns);
  }
}

static uint32_t state_of(const struct ring_client *client) {
  return atomic_load_explicit(&client->builder.header->state, memory_order_relaxed);
}

/* Memory of the file, as the system has it. */
static uint64_t allocated_bytes(int fd) {
  struct stat status;
  ck_assert_int_eq(fstat(fd, &status), 0);
  return (uint64_t)status.st_blocks * 512;
}

/* Attaches so many rings that idle ones fall asleep. */
static void attach_awake(void) {
  rings_fixture_resize(64u << 20, 1000);
  while (rings_n_awake(&fix.rings) < RINGS_AWAKE)
    ck_assert_ptr_nonnull(rings_fixture_attach("awake", false));
}

START_TEST(idle_ring_among_few_stays_awake) {
  now_ns = 100 * SECOND_NS;
  for (unsigned i = 0; i < RINGS_AWAKE; i++)
    ck_assert_uint_eq(rings_fixture_attach("client", true)->state, 0);
  pass(3 * SECOND_NS);
  ck_assert_uint_eq(fix.rings.n_asleep, 0);
  ck_assert_uint_eq(rings_fixture_attach("one more", true)->state, FC_RING_ASLEEP);
  pass(3 * SECOND_NS);
  ck_assert_uint_eq(fix.rings.n_asleep, 1);
}
END_TEST

START_TEST(asleep_ring_request_wakes) {
  attach_awake();
  struct ring_client one = ring_client_open(rings_fixture_attach("one", true));
  now_ns = 100 * SECOND_NS;
  ck_assert_uint_eq(state_of(&one), FC_RING_ASLEEP); /* a new one */
  for (int i = 0; i < 3; i++) {
    ck_assert_uint_eq(fix.rings.n_asleep, 1);
    ck_assert(rings_drain(&fix.rings, one.ring)); /* with nothing recorded */
    ck_assert_uint_eq(state_of(&one), FC_RING_ASLEEP);
    ring_client_hit(&one, 1 + (uint32_t)i, 1);
    ck_assert(rings_drain(&fix.rings, NULL)); /* a client without a ring */
    ck_assert_uint_eq(fix.totals.counters.hits, i);
    ck_assert(rings_drain(&fix.rings, one.ring));
    ck_assert_uint_eq(fix.totals.counters.hits, i + 1);
    ck_assert_uint_eq(fix.rings.n_asleep, 0);
    ck_assert_uint_eq(state_of(&one), 0);
    pass(SECOND_NS / 2);
    ck_assert_uint_eq(state_of(&one), 0);
    /* The state is shown one look before the ring falls asleep. */
    while (state_of(&one) == 0)
      pass(1);
    ck_assert_uint_eq(fix.rings.n_asleep, 0);
    pass(1);
  }
  ring_client_close(&one);
}
END_TEST

/* A client that read the state before the ring was asleep, and was stopped until now. */
START_TEST(asleep_ring_silent_hit_found_by_sweep) {
  attach_awake();
  struct ring_client one = ring_client_open(rings_fixture_attach("one", true)),
                     other = ring_client_join("other");
  now_ns = 100 * SECOND_NS;
  pass(2 * SECOND_NS);
  ck_assert_uint_eq(fix.rings.n_asleep, 1);
  ring_client_hit(&one, 1, 1);
  ring_client_hit(&other, 1, 1);
  rings_drain_before_eviction(&fix.rings);
  ck_assert_uint_eq(fix.totals.counters.hits, 1);
  pass(1);
  ck_assert_uint_eq(fix.totals.counters.hits, 2);
  ck_assert_uint_eq(fix.rings.n_asleep, 0);
  ck_assert_uint_eq(state_of(&one), 0);
  ring_client_hit(&one, 2, 1);
  rings_drain_before_eviction(&fix.rings);
  ck_assert_uint_eq(fix.totals.counters.hits, 3);
  pass(3 * SECOND_NS);
  ck_assert_uint_eq(fix.rings.n_asleep, 1);
  ring_client_hit(&one, 3, 1);
  rings_drain_all(&fix.rings); /* a figure is always exact */
  ck_assert_uint_eq(fix.totals.counters.hits, 4);
  ring_client_close(&one);
  ring_client_close(&other);
}
END_TEST

START_TEST(asleep_ring_detached_is_read) {
  attach_awake();
  uint32_t before = fix.rings.n;
  struct ring_client one = ring_client_open(rings_fixture_attach("one", true));
  ring_client_hit(&one, 1, 10);
  rings_detach(&fix.rings, one.ring);
  ck_assert_uint_eq(fix.totals.counters.hits, 10);
  ck_assert_uint_eq(fix.rings.n, before);
  ck_assert_uint_eq(fix.rings.n_asleep, 0);
  ring_client_close(&one);
}
END_TEST

/* Older clients do not read the state. Among many, only the timer looks at an idle ring. */
START_TEST(older_client_among_many_sleeps) {
  struct ring_client clients[RINGS_TOGETHER + 1];
  rings_fixture_resize(64u << 20, 1000);
  for (unsigned i = 0; i <= RINGS_TOGETHER; i++) {
    clients[i] = ring_client_join("client");
    ck_assert_uint_eq(state_of(&clients[i]), 0);
  }
  ck_assert_uint_eq(fix.rings.n_asleep, 1);
  now_ns = 100 * SECOND_NS;
  pass(3 * SECOND_NS);
  ck_assert_uint_eq(rings_n_awake(&fix.rings), RINGS_TOGETHER);
  for (unsigned i = 0; i <= RINGS_TOGETHER; i++)
    ring_client_hit(&clients[i], 1, 1);
  pass(1);
  ck_assert_uint_eq(fix.totals.counters.hits, RINGS_TOGETHER + 1);
  ck_assert_uint_eq(fix.rings.n_asleep, 0);
  pass(3 * SECOND_NS);
  ck_assert_uint_eq(rings_n_awake(&fix.rings), RINGS_TOGETHER);
  for (unsigned i = 0; i <= RINGS_TOGETHER; i++) {
    ck_assert_uint_eq(state_of(&clients[i]), 0);
    ring_client_close(&clients[i]);
  }
}
END_TEST

/* A client whose ring has grown: `fd` is its file. */
static struct ring_client join_grown(const char *name, int *fd) {
  struct ring_client client = ring_client_open(rings_fixture_attach(name, true));
  struct client_ring *ring = rings_attach_anew(&fix.rings, client.ring, FC_RING_SLOTS_MAX);
  ck_assert_ptr_nonnull(ring);
  *fd = fcntl(rings_fd(ring), F_DUPFD_CLOEXEC, 0);
  ck_assert_int_ge(*fd, 0);
  ring_client_close(&client);
  rings_detach(&fix.rings, client.ring);
  return ring_client_open(ring);
}

static void until_revoked(const struct ring_client *client, uint64_t least_ns) {
  uint64_t start_ns = now_ns;
  while ((state_of(client) & FC_RING_REVOKED) == 0)
    pass(1);
  ck_assert_uint_ge(now_ns - start_ns, least_ns);
  ck_assert_uint_lt(now_ns - start_ns, least_ns + 2 * SECOND_NS);
}

#define KEPT_BYTES (3u * 65536u) /* three pages at most, the largest that there are */

START_TEST(grown_idle_ring_gives_memory_back) {
  int fd;
  trace_off(&fix.traced.trace); /* there are more lines than it has room for */
  rings_fixture_resize(64u << 20, 1000);
  now_ns = 100 * SECOND_NS;
  struct ring_client one = join_grown("one", &fd);
  uint32_t n_slots = one.builder.header->n_slots, at = _i == 0 ? 100 : n_slots - 5;
  ck_assert_uint_gt(n_slots, 4096);
  pass(1);
  ring_client_hit(&one, 1, at); /* to the middle or the end of the ring */
  pass(SECOND_NS);
  ck_assert_uint_eq(fix.totals.counters.hits, at);
  ck_assert_uint_eq(allocated_bytes(fd), (fc_ring_bytes(n_slots) + 4095) / 4096 * 4096);
  until_revoked(&one, 3 * SECOND_NS);
  ck_assert_uint_gt(fix.rings.used_bytes, rings_charge(FC_RING_SLOTS_MIN)); /* not yet */
  pass(1);
  ck_assert_uint_eq(fix.rings.used_bytes, rings_charge(FC_RING_SLOTS_MIN));
  ck_assert_uint_le(allocated_bytes(fd), KEPT_BYTES);
  /* A stopped client may still write one record, here the longest. */
  char name[FC_NAME_MAX + 1];
  memset(name, 'n', FC_NAME_MAX);
  name[FC_NAME_MAX] = '\0';
  uint64_t before = allocated_bytes(fd);
  ring_builder_context(&one.builder, 1, name, name, name);
  ring_client_hit(&one, 1, 1);
  ck_assert_uint_eq(allocated_bytes(fd), before);
  ck_assert(rings_drain(&fix.rings, one.ring));
  ck_assert_ptr_null(rings_error(one.ring));
  ck_assert_uint_eq(fix.totals.counters.hits, at + 1);
  /* The client gets a ring like any other. */
  ck_assert(ring_client_grow(&one, 0));
  ck_assert_uint_eq(one.builder.header->n_slots, FC_RING_SLOTS_MIN);
  ck_assert_uint_eq(fix.rings.used_bytes, rings_charge(FC_RING_SLOTS_MIN));
  ck_assert_uint_eq(allocated_bytes(fd), 0); /* even while it is mapped */
  ck_assert_int_eq(close(fd), 0);
  ring_client_close(&one);
}
END_TEST

START_TEST(grown_idle_ring_after_refusal_revoked_sooner) {
  int fd;
  rings_fixture_resize(64u << 20, 1000);
  now_ns = 100 * SECOND_NS;
  struct ring_client one = join_grown("one", &fd);
  pass(SECOND_NS / 2);
  for (uint64_t end_ns = now_ns + 2 * SECOND_NS; (state_of(&one) & FC_RING_REVOKED) == 0;) {
    ck_assert_uint_lt(now_ns, end_ns);
    fix.rings.refused = true;
    pass(1);
  }
  ck_assert(ring_client_grow(&one, FC_RING_SLOTS_MAX)); /* requested before it saw the state */
  ck_assert_uint_eq(one.builder.header->n_slots, FC_RING_SLOTS_MIN);
  ck_assert_int_eq(close(fd), 0);
  ring_client_close(&one);
}
END_TEST

START_TEST(revoked_ring_second_record_is_error) {
  int fd;
  rings_fixture_resize(64u << 20, 1000);
  now_ns = 100 * SECOND_NS;
  struct ring_client one = join_grown("one", &fd);
  pass(1);
  until_revoked(&one, 4 * SECOND_NS);
  pass(1);
  ring_client_hit(&one, 1, FC_RING_RECORD_SLOTS_MAX + 1);
  ck_assert(rings_drain(&fix.rings, one.ring));
  ck_assert_ptr_nonnull(strstr(rings_error(one.ring), "revoked"));
  ck_assert_uint_eq(fix.totals.counters.hits, 0);
  ck_assert_int_eq(close(fd), 0);
  ring_client_close(&one);
}
END_TEST

/* After the end, a client that keeps the mapping holds only the page of the header, in which it
 * finds its later records. */
START_TEST(detached_ring_gives_memory_back) {
  struct client_ring *ring = rings_fixture_attach("one", _i == 0);
  int fd = fcntl(rings_fd(ring), F_DUPFD_CLOEXEC, 0);
  struct ring_client one = ring_client_open(ring);
  ring_client_hit(&one, 1, 1000);
  rings_detach(&fix.rings, one.ring);
  ck_assert_uint_eq(fix.totals.counters.hits, 1000);
  ck_assert_uint_le(allocated_bytes(fd), 65536); /* the largest page that there is */
  ck_assert_uint_eq(ring_builder_used(&one.builder), 0);
  ring_client_hit(&one, 1, 1);
  ck_assert_uint_eq(ring_builder_used(&one.builder), 1);
  ck_assert_int_eq(close(fd), 0);
  ring_client_close(&one);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("rings_idle");
  TCase *tcase = tcase_create("rings_idle");
  tcase_add_checked_fixture(tcase, rings_fixture_start, rings_fixture_end);
  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, idle_ring_among_few_stays_awake);
  tcase_add_test(tcase, asleep_ring_request_wakes);
  tcase_add_test(tcase, asleep_ring_silent_hit_found_by_sweep);
  tcase_add_test(tcase, asleep_ring_detached_is_read);
  tcase_add_test(tcase, older_client_among_many_sleeps);
  tcase_add_loop_test(tcase, grown_idle_ring_gives_memory_back, 0, 2);
  tcase_add_test(tcase, grown_idle_ring_after_refusal_revoked_sooner);
  tcase_add_test(tcase, revoked_ring_second_record_is_error);
  tcase_add_loop_test(tcase, detached_ring_gives_memory_back, 0, 2);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
