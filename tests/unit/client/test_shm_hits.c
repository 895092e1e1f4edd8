/* Hits from the region: recorded in the ring, without a message. */
#include <check.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fcache.h"
#include "tests/support/client_fixture.h"
#include "tests/support/library.h"
#include "tests/support/region_builder.h"
#include "tests/support/runner.h"
#include "tests/support/scripted_daemon.h"
#include "tests/support/sharing_daemon.h"

START_TEST(hit_in_region_recorded_without_message) {
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  ck_assert_uint_eq(atomic_load(&sharing.scripted.layout), FC_REGION_LAYOUT);
  uint64_t before_ns = runner_now_ms() * 1000000u;
  ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  ck_assert_int_eq(sharing_get(cache, "c"), 'r');
  ck_assert_uint_eq(atomic_load(&sharing.scripted.seen), 1); /* hello */
  ck_assert_uint_eq(sharing_head(0), 3);
  struct fc_ring_hit hit = sharing_hit(0, 1);
  struct fc_key key = sharing_key("a");
  ck_assert_uint_eq(hit.kind, FC_RING_HIT);
  ck_assert_uint_eq(hit.digest, fc_key_digest(SHARING_SPACE, &key));
  ck_assert_mem_eq(hit.prompt, key.prompt.bytes, FC_HASH_SIZE);
  ck_assert_uint_eq(hit.top_k, 0);
  ck_assert_uint_eq(hit.flags, 0);
  ck_assert_uint_eq(hit.compute_ns, 1000);
  ck_assert_uint_eq((uint32_t)hit.origin, 9);
  ck_assert_uint_ge(hit.end_ns, before_ns);
  ck_assert_uint_lt(hit.wall_ns, (uint64_t)CLIENT_LONG_MS * 1000000u);
  struct fcache_counters counters = library_counters(cache);
  ck_assert_uint_eq(counters.cache_hits, 2);
  ck_assert_uint_eq(counters.region_hits, 2);
  ck_assert_uint_eq(counters.scoring_wall_ns, hit.wall_ns + sharing_hit(0, 2).wall_ns);
  ck_assert_uint_eq(counters.unrecorded, 0);
  ck_assert_uint_eq(counters.degraded, 0);
  fcache_close(cache);
  ck_assert_uint_eq(sharing_mappings("test-region"), 1); /* ours */
  ck_assert_uint_eq(sharing_mappings("test-ring"), 1);
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

/* Runs in a child that may make no system call but exit once it is connected. If the clock of this
 * machine (or of valgrind) needs a system call, the test proves nothing and is skipped. */
static bool hits_without_kernel(struct fcache *cache, int n) {
  int status;
  scripted_wait_idle(&sharing.scripted);
  pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0) {
    struct fcache_key key = client_key("a");
    struct fcache_value value = {0};
    struct timespec now;
    int misses = 0;
    for (int i = 0; i < 2; i++) /* connects, and allocates the value's buffer */
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

START_TEST(hit_in_region_no_system_call) {
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  if (hits_without_kernel(cache, 0)) {
    ck_assert(hits_without_kernel(cache, 400));
    ck_assert_uint_eq(sharing_head(2), 1 + 1 + 400);
  } else {
    printf("skipped: hit_in_region_no_system_call: the clock needs the kernel here\n");
  }
  fcache_close(cache);
}
END_TEST

START_TEST(miss_in_region_uses_socket) {
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  ck_assert_int_eq(sharing_get(cache, "b"), 's');
  ck_assert_int_eq(sharing_get(cache, "none"), 'm');
  struct fc_key key = sharing_key("a");
  struct fc_region_bucket *bucket = region_build_bucket(&sharing.region, SHARING_SPACE, &key);
  atomic_fetch_add(&bucket->sequence, 1); /* the daemon is in the middle of a change */
  ck_assert_int_eq(sharing_get(cache, "a"), 's');
  atomic_fetch_add(&bucket->sequence, 1);
  ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  ck_assert_uint_eq(atomic_load(&sharing.gets), 3);
  ck_assert_uint_eq(library_counters(cache).cache_hits, 3);
  ck_assert_uint_eq(library_counters(cache).region_hits, 1);
  fcache_close(cache);
}
END_TEST

START_TEST(hit_unrecorded_promoted_not_counted) {
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  ck_assert_int_eq(sharing_get_with(cache, "a", FCACHE_UNRECORDED), 'r');
  ck_assert_uint_eq(sharing_hit(0, 1).flags, FC_RING_UNRECORDED);
  ck_assert_uint_eq(library_counters(cache).cache_hits, 0);
  ck_assert_uint_eq(library_counters(cache).region_hits, 0);
  ck_assert_uint_eq(library_counters(cache).scoring_wall_ns, 0);
  fcache_close(cache);
}
END_TEST

/* Gets the key of "a" with other names. */
static int get_named(struct fcache *cache, const char *op, const char *view) {
  struct fcache_key key = client_key("a");
  struct fcache_value value = {0};
  key.op = op;
  key.view = view;
  int rc = fcache_get(cache, &key, FCACHE_LOCAL, &value);
  fcache_value_free(&value);
  return rc;
}

/* The names are compared with those of the latest hit, which begin or end alike. */
START_TEST(hit_after_similar_names_by_whole_names) {
  static const char *const others[][2] = {{"o", "base"},   {"opx", "base"}, {"op", "bas"},
                                          {"op", "basex"}, {"opb", "ase"},  {"o", "pbase"},
                                          {"base", "op"},  {"opbase", "b"}};
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
    ck_assert_int_eq(get_named(cache, "op", "base"), FCACHE_OK);
    ck_assert_int_eq(get_named(cache, others[i][0], others[i][1]), FCACHE_MISS);
  }
  char op[] = "op";
  ck_assert_int_eq(get_named(cache, op, "base"), FCACHE_OK);
  op[0] = 'x'; /* the same address */
  ck_assert_int_eq(get_named(cache, op, "base"), FCACHE_MISS);
  ck_assert_int_eq(get_named(cache, "op", "base"), FCACHE_OK);
  ck_assert_int_eq(get_named(cache, "", "base"), FCACHE_ENAME);
  ck_assert_int_eq(get_named(cache, "op\n", "base"), FCACHE_ENAME);
  ck_assert_int_eq(get_named(cache, NULL, "base"), FCACHE_EINVAL);
  ck_assert_int_eq(get_named(cache, "op", NULL), FCACHE_EINVAL);
  ck_assert_int_eq(fcache_get(cache, NULL, 0, NULL), FCACHE_EINVAL);
  ck_assert_uint_eq(library_counters(cache).region_hits, 10);
  fcache_close(cache);
}
END_TEST

START_TEST(hit_after_probe_changed_recorded_with_new_one) {
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  ck_assert_int_eq(fcache_set_probe(cache, "new"), FCACHE_OK);
  ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  ck_assert_uint_eq(sharing_head(0), 5);
  const char *record = ring_build_slot(sharing_ring(0), 3);
  ck_assert_mem_eq(record + 8, "opbasenew", 9);
  ck_assert_uint_eq(sharing_hit(0, 2).context, sharing_hit(0, 1).context);
  ck_assert_uint_ne(sharing_hit(0, 4).context, sharing_hit(0, 1).context);
  fcache_close(cache);
}
END_TEST

/* Each hit of a batch has its record, and together their times are the batch's. */
START_TEST(hits_of_batch_recorded_each) {
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  const struct fcache_hash prompts[] = {client_key("a").prompt, client_key("c").prompt,
                                        client_key("a").prompt};
  struct fcache_value values[3] = {{0}};
  bool hit[3];
  uint64_t wall_ns = 0;
  ck_assert_int_eq(fcache_get_many(cache, "op", "base", 0, prompts, 3, 0, values, hit), FCACHE_OK);
  ck_assert_uint_eq(sharing_head(0), 4);
  for (uint64_t i = 0; i < 3; i++) {
    ck_assert(hit[i]);
    ck_assert_mem_eq(values[i].data, "region", 6);
    ck_assert_mem_eq(sharing_hit(0, i + 1).prompt, prompts[i].bytes, FC_HASH_SIZE);
    wall_ns += sharing_hit(0, i + 1).wall_ns;
    fcache_value_free(&values[i]);
  }
  ck_assert_uint_eq(library_counters(cache).scoring_wall_ns, wall_ns);
  ck_assert_uint_eq(library_counters(cache).region_hits, 3);
  ck_assert_uint_eq(library_counters(cache).cache_hits, 3);
  ck_assert_uint_eq(atomic_load(&sharing.scripted.seen), 1); /* hello */
  fcache_close(cache);
}
END_TEST

/* More hits than the ring has slots, and than are served between two checks of the connection. */
START_TEST(hits_beyond_ring_and_check_all_served) {
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  const unsigned hits = 5000;
  for (unsigned i = 0; i < hits; i++)
    ck_assert_int_eq(sharing_get(cache, i % 3 == 0 ? "c" : "a"), 'r');
  struct fcache_counters counters = library_counters(cache);
  ck_assert_uint_eq(counters.cache_hits, hits);
  ck_assert_uint_eq(counters.region_hits, hits);
  ck_assert_uint_eq(counters.unrecorded, 0);
  uint64_t head = sharing_head(0);
  ck_assert_uint_eq(head, 1 + hits);
  for (uint64_t i = head - SHARING_SLOTS + 1; i < head; i++)
    ck_assert_uint_ge(sharing_hit(0, i).end_ns, sharing_hit(0, i - 1).end_ns);
  fcache_close(cache);
}
END_TEST

START_TEST(hit_with_probe_recorded_with_it) {
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  ck_assert_int_eq(fcache_set_probe(cache, "probe"), FCACHE_OK);
  ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  const char *record = ring_build_slot(sharing_ring(0), 0);
  ck_assert_mem_eq(record + 8, "opbaseprobe", 11);
  fcache_close(cache);
}
END_TEST

START_TEST(get_many_partly_in_region_rest_requested) {
  static const char *const prompts[] = {"b", "a", "none", "c", "a", "d"};
  struct fcache_hash hashes[6];
  struct fcache_value values[6] = {{0}};
  bool hit[6];
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  for (int i = 0; i < 6; i++)
    hashes[i] = fcache_hash(prompts[i], strlen(prompts[i]));
  ck_assert_int_eq(fcache_get_many(cache, "op", "base", 0, hashes, 6, 0, values, hit), FCACHE_OK);
  for (int i = 0; i < 6; i++) {
    ck_assert_int_eq(hit[i], i != 2);
    if (hit[i])
      ck_assert_mem_eq(values[i].data, i == 0 || i == 5 ? "socket" : "region", 6);
  }
  ck_assert_uint_eq(atomic_load(&sharing.keys), 3);
  ck_assert_uint_eq(sharing_head(0), 4); /* a context, a, c, a */
  struct fcache_counters counters = library_counters(cache);
  ck_assert_uint_eq(counters.cache_hits, 5);
  ck_assert_uint_eq(counters.region_hits, 3);
  /* Each hit has its own share of the time. */
  uint64_t shares_ns = 0;
  for (uint64_t i = 1; i < 4; i++)
    shares_ns += sharing_hit(0, i).wall_ns;
  ck_assert_uint_le(shares_ns, counters.scoring_wall_ns);
  /* Hits alone send nothing. */
  unsigned seen = atomic_load(&sharing.scripted.seen);
  ck_assert_int_eq(fcache_get_many(cache, "op", "base", 0, &hashes[3], 2, 0, values, hit),
                   FCACHE_OK);
  ck_assert(hit[0] && hit[1]);
  ck_assert_uint_eq(atomic_load(&sharing.scripted.seen), seen);
  for (int i = 0; i < 6; i++)
    fcache_value_free(&values[i]);
  fcache_close(cache);
}
END_TEST

START_TEST(local_hit_recorded_and_counted) {
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  ck_assert_int_eq(sharing_get_with(cache, "a", FCACHE_LOCAL), 'r');
  ck_assert_int_eq(sharing_get_with(cache, "a", FCACHE_LOCAL | FCACHE_UNRECORDED), 'r');
  ck_assert_uint_eq(sharing_head(0), 3);
  ck_assert_uint_eq(sharing_hit(0, 1).flags, 0);
  ck_assert_uint_eq(sharing_hit(0, 2).flags, FC_RING_UNRECORDED);
  ck_assert_uint_eq(library_counters(cache).cache_hits, 1);
  ck_assert_uint_eq(library_counters(cache).region_hits, 1);
  ck_assert_uint_gt(library_counters(cache).scoring_wall_ns, 0);
  fcache_close(cache);
}
END_TEST

/* It does not count as a lookup: a later put has no epoch. */
START_TEST(local_miss_no_message) {
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  ck_assert_int_eq(sharing_get_with(cache, "b", FCACHE_LOCAL | FCACHE_LEASE), 'm');
  ck_assert_uint_eq(atomic_load(&sharing.scripted.seen), 1); /* hello */
  ck_assert_uint_eq(sharing_head(0), 0);
  ck_assert_int_eq(sharing_get(cache, "b"), 's');
  atomic_store(&sharing.hangs_up, true);
  ck_assert_int_eq(sharing_get(cache, "none"), 'm');
  uint64_t degraded = library_counters(cache).degraded;
  ck_assert_uint_eq(degraded, 0); /* the daemon was back at once */
  ck_assert_int_eq(sharing_get_with(cache, "b", FCACHE_LOCAL), 'm');
  ck_assert_uint_eq(library_counters(cache).degraded, degraded);
  fcache_close(cache);
}
END_TEST

/* The ring is full and only a message would make room, or there is none. */
START_TEST(local_hit_not_recordable_miss) {
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  for (unsigned i = 0; i < SHARING_SLOTS - 1; i++)
    ck_assert_int_eq(sharing_get_with(cache, "a", FCACHE_LOCAL), 'r');
  ck_assert_int_eq(sharing_get_with(cache, "a", FCACHE_LOCAL), 'm');
  struct fcache_counters counters = library_counters(cache);
  ck_assert_uint_eq(counters.cache_hits, SHARING_SLOTS - 1);
  ck_assert_uint_eq(counters.region_hits, SHARING_SLOTS - 1);
  ck_assert_uint_eq(counters.unrecorded, 0);
  ck_assert_uint_eq(atomic_load(&sharing.pings), 0);
  ck_assert_uint_eq(atomic_load(&sharing.ring_requests), 0);
  ck_assert_int_eq(sharing_get(cache, "a"), 'r'); /* the message made room */
  ck_assert_int_eq(sharing_get_with(cache, "a", FCACHE_LOCAL), 'r');
  atomic_store(&sharing.hangs_up, true);
  sharing.n_fds = 0; /* the next connection has neither ring nor region */
  ck_assert_int_eq(sharing_get(cache, "b"), 's');
  ck_assert_int_eq(sharing_get_with(cache, "a", FCACHE_LOCAL), 'm');
  ck_assert_uint_eq(library_counters(cache).unrecorded, 0);
  fcache_close(cache);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("shm_hits");
  TCase *tcase = tcase_create("shm_hits");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, sharing_set_up, sharing_tear_down);
  tcase_add_test(tcase, hit_in_region_recorded_without_message);
  tcase_add_test(tcase, hit_in_region_no_system_call);
  tcase_add_test(tcase, miss_in_region_uses_socket);
  tcase_add_test(tcase, hit_unrecorded_promoted_not_counted);
  tcase_add_test(tcase, hit_after_similar_names_by_whole_names);
  tcase_add_test(tcase, hit_after_probe_changed_recorded_with_new_one);
  tcase_add_test(tcase, hits_of_batch_recorded_each);
  tcase_add_test(tcase, hits_beyond_ring_and_check_all_served);
  tcase_add_test(tcase, hit_with_probe_recorded_with_it);
  tcase_add_test(tcase, get_many_partly_in_region_rest_requested);
  tcase_add_test(tcase, local_hit_recorded_and_counted);
  tcase_add_test(tcase, local_miss_no_message);
  tcase_add_test(tcase, local_hit_not_recordable_miss);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
