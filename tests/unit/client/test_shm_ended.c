/* Connections and regions that end, and forks. Hits go on, and each is counted. */
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/lib/shm/shm.h"
#include "fcache.h"
#include "proto/limits.h"
#include "tests/support/client_fixture.h"
#include "tests/support/library.h"
#include "tests/support/runner.h"
#include "tests/support/scripted_daemon.h"
#include "tests/support/sharing_daemon.h"

#define DEADLINE_MS 600u

START_TEST(region_dead_or_retired_unmapped) {
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  if (_i == 0)
    atomic_store(&sharing.region.header->retired, 1);
  else
    atomic_store(&sharing.region.header->owner, 0x40000000u);
  ck_assert_int_eq(sharing_get(cache, "a"), 's');
  ck_assert_uint_eq(sharing_mappings("test-region"), 1); /* ours */
  ck_assert_int_eq(sharing_get(cache, "a"), 's');
  ck_assert_uint_eq(client_lines.n, 0);
  /* The next connection brings a live region. */
  atomic_store(&sharing.region.header->retired, 0);
  atomic_store(&sharing.region.header->owner, BUILD_OWNER);
  atomic_store(&sharing.hangs_up, true);
  ck_assert_int_eq(sharing_get(cache, "a"), 's');
  uint64_t end_ms = runner_now_ms() + CLIENT_LONG_MS;
  while (sharing_get(cache, "a") != 'r')
    ck_assert_uint_lt(runner_now_ms(), end_ms);
  ck_assert_uint_eq(library_counters(cache).unrecorded, 0);
  fcache_close(cache);
}
END_TEST

/* After a miss that timed out, hits are recorded in the old ring until there is a new one. */
START_TEST(daemon_stopped_hits_go_on) {
  int fd;
  sharing.scripted.welcome.version = _i == 0 ? 3 : 2;
  struct fcache *cache = sharing_open(DEADLINE_MS);
  atomic_store(&sharing.silent, true);
  ck_assert_int_eq(sharing_get(cache, "b"), 'm');
  ck_assert(!fcache_connected(cache));
  ck_assert_int_eq(sharing_connections(&fd), 1);
  for (int i = 0; i < 5; i++)
    ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  ck_assert_uint_eq(sharing_head(0), 6);
  ck_assert_uint_eq(library_counters(cache).unrecorded, 0);
  atomic_store(&sharing.silent, false);
  uint64_t end_ms = runner_now_ms() + CLIENT_LONG_MS;
  while (sharing_get(cache, "b") != 's')
    ck_assert_uint_lt(runner_now_ms(), end_ms);
  sharing_wait_for(&sharing.ended[sharing.first]); /* the client closes it */
  ck_assert_uint_eq(atomic_load(&sharing_ring(0)->tail), 6);
  /* A lease that the daemon grants later ends when the daemon continues. */
  ck_assert_uint_eq(atomic_load(&sharing.gives_up), _i == 0 ? 1 : 0);
  ck_assert_int_eq(sharing_connections(&fd), 1);
  ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  ck_assert_uint_eq(sharing_head(0), 6);
  ck_assert_uint_eq(library_counters(cache).unrecorded, 0);
  ck_assert_uint_eq(sharing_mappings("test-region"), 2);
  fcache_close(cache);
}
END_TEST

/* The socket has half a message, so the client can send nothing more, not even that it gives up its
 * leases. */
START_TEST(connection_with_cut_message_does_not_linger) {
  int fd;
  size_t size = 8u << 20;
  char *data = calloc(1, size);
  struct fcache_key key = client_key("b");
  ck_assert_ptr_nonnull(data);
  atomic_store(&sharing.stops_reading, true);
  struct fcache *cache = sharing_open(DEADLINE_MS);
  ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  ck_assert_int_eq(fcache_put(cache, &key, data, size, 1, 0), FCACHE_NOT_STORED);
  ck_assert_int_eq(sharing_connections(&fd), 0);
  ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  atomic_store(&sharing.stops_reading, false);
  sharing_wait_for(&sharing.ended[sharing.first]);
  ck_assert_uint_eq(atomic_load(&sharing.gives_up), 0);
  fcache_close(cache);
  free(data);
}
END_TEST

START_TEST(close_lingering_connection_closed) {
  struct fcache *cache = sharing_open(DEADLINE_MS);
  atomic_store(&sharing.silent, true);
  ck_assert_int_eq(sharing_get(cache, "b"), 'm');
  ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  fcache_close(cache);
  ck_assert_uint_eq(sharing_mappings("test-region"), 1);
  atomic_store(&sharing.silent, false);
  sharing_wait_for(&sharing.ended[sharing.first]);
  ck_assert_uint_eq(atomic_load(&sharing_ring(0)->tail), 2);
}
END_TEST

/* The program closes the descriptor that lingers, and uses its number. */
START_TEST(lingering_descriptor_reused_untouched) {
  int fd, ends[2];
  char byte;
  struct fcache *cache = sharing_open(DEADLINE_MS);
  atomic_store(&sharing.silent, true);
  ck_assert_int_eq(sharing_get(cache, "b"), 'm');
  ck_assert_int_eq(sharing_connections(&fd), 1);
  ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  ck_assert_int_eq(dup3(ends[0], fd, O_CLOEXEC), fd);
  ck_assert_int_eq(close(ends[0]), 0);
  atomic_store(&sharing.silent, false);
  uint64_t end_ms = runner_now_ms() + CLIENT_LONG_MS;
  while (sharing_get(cache, "b") != 's')
    ck_assert_uint_lt(runner_now_ms(), end_ms);
  fcache_close(cache);
  ck_assert_int_eq((int)recv(ends[1], &byte, 1, MSG_DONTWAIT), -1); /* open, and nothing came */
  ck_assert_int_eq(close(fd), 0);
  ck_assert_int_eq((int)recv(ends[1], &byte, 1, MSG_DONTWAIT), 0);
  ck_assert_int_eq(close(ends[1]), 0);
}
END_TEST

/* The daemon closed the connection, with or without reading the ring: every hit is counted. */
START_TEST(connection_closed_hits_counted_and_published) {
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  unsigned hits = 4, untaken = _i == 0 ? 0 : 4;
  for (unsigned i = 0; i < hits; i++)
    ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  atomic_store(&sharing.reads_nothing, _i == 1);
  atomic_store(&sharing.hangs_up, true);
  ck_assert_int_eq(sharing_get(cache, "b"), 's');
  unsigned after = sharing_hit_until_connected(cache, 2);
  ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  hits += after + 2; /* "b" is one over the socket */
  ck_assert_uint_eq(sharing_head(0), 5);
  struct fcache_counters counters = library_counters(cache);
  ck_assert_uint_eq(counters.cache_hits, hits);
  /* The hit that opened the new connection is recorded in its ring. */
  uint64_t in_new = sharing_head(1) - 1;
  ck_assert_uint_ge(in_new, 1);
  ck_assert_uint_eq(counters.unrecorded, untaken + after + 1 - in_new);
  ck_assert_uint_eq(atomic_load(&sharing_ring(1)->unrecorded), counters.unrecorded);
  fcache_close(cache);
}
END_TEST

/* Closes the connection as a killed daemon does. */
static void cut_connection(unsigned nth) {
  ck_assert_int_eq(pthread_mutex_lock(&sharing.scripted.lock), 0);
  ck_assert(sharing.scripted.connections[nth].open);
  ck_assert_int_eq(shutdown(sharing.scripted.connections[nth].fd, SHUT_RDWR), 0);
  ck_assert_int_eq(pthread_mutex_unlock(&sharing.scripted.lock), 0);
}

/* 0: the ring always has room. 1: the ring is full. 2: FCACHE_LOCAL lookups, without messages. 3: a
 * missed deadline left the connection open, and then the daemon dies. */
START_TEST(daemon_dead_region_unmarked_few_hits) {
  struct fcache *cache = sharing_open(_i == 3 ? DEADLINE_MS : CLIENT_LONG_MS);
  char away[SCRIPTED_PATH_SIZE + 4];
  unsigned flags = _i == 2 ? FCACHE_LOCAL : 0, hits = 0;
  (void)snprintf(away, sizeof away, "%s.old", sharing.scripted.path);
  ck_assert_int_eq(sharing_get_with(cache, "a", flags), 'r');
  ck_assert_int_eq(rename(sharing.scripted.path, away), 0);
  if (_i == 3) {
    atomic_store(&sharing.silent, true);
    ck_assert_int_eq(sharing_get(cache, "b"), 'm');
  }
  cut_connection(sharing.first);
  while (sharing_get_with(cache, "a", flags) == 'r') {
    ck_assert_uint_le(++hits, SHM_UNCHECKED_MAX);
    if (_i != 1)
      sharing_read_ring(sharing.first);
  }
  ck_assert_uint_ge(hits, SHM_UNCHECKED_MAX - 8); /* the check of the connection is rare */
  ck_assert(!fcache_connected(cache));
  ck_assert_int_eq(sharing_get_with(cache, "a", flags), 'm');
  if (_i != 2)
    ck_assert_uint_eq(sharing_mappings("test-region"), 1); /* ours */
  /* The same daemon serves again, or another one. */
  atomic_store(&sharing.silent, false);
  ck_assert_int_eq(rename(away, sharing.scripted.path), 0);
  uint64_t end_ms = runner_now_ms() + CLIENT_LONG_MS;
  while (sharing_get(cache, "a") != 'r')
    ck_assert_uint_lt(runner_now_ms(), end_ms);
  fcache_close(cache);
}
END_TEST

/* The daemon is alive, and closed this connection only. */
START_TEST(daemon_hangs_up_hits_go_on) {
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  uint64_t end_ms = runner_now_ms() + CLIENT_LONG_MS;
  cut_connection(sharing.first);
  while (library_counters(cache).reconnects == 0) {
    ck_assert_int_eq(sharing_get(cache, "a"), 'r');
    sharing_read_ring(sharing.first);
    ck_assert_uint_lt(runner_now_ms(), end_ms);
  }
  ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  ck_assert_uint_eq(library_counters(cache).degraded, 0);
  fcache_close(cache);
}
END_TEST

/* Many hits on a connection that stays open: each check succeeds. */
START_TEST(connection_checked_hits_go_on) {
  struct fcache *cache = sharing_open(CLIENT_LONG_MS);
  for (unsigned i = 0; i < 3 * SHM_UNCHECKED_MAX; i++) {
    ck_assert_int_eq(sharing_get(cache, "a"), 'r');
    sharing_read_ring(sharing.first);
  }
  ck_assert_uint_eq(library_counters(cache).unrecorded, 0);
  ck_assert_uint_eq(atomic_load(&sharing.scripted.accepted), sharing.first + 1);
  ck_assert_uint_eq(atomic_load(&sharing.pings), 0);
  fcache_close(cache);
}
END_TEST

static pid_t fork_raw(void) {
  return (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
}

START_TEST(fork_child_leaves_parents_ring_alone) {
  int status, fd;
  struct fcache *cache = sharing_open(_i / 2 == 0 ? CLIENT_LONG_MS : DEADLINE_MS);
  ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  if (_i / 2 == 1) { /* with a connection that lingers */
    atomic_store(&sharing.silent, true);
    ck_assert_int_eq(sharing_get(cache, "b"), 'm');
    ck_assert_int_eq(sharing_connections(&fd), 1);
  } else {
    scripted_wait_idle(&sharing.scripted);
  }
  pid_t child = _i % 2 == 0 ? fork() : fork_raw();
  ck_assert_int_ge(child, 0);
  if (child == 0) {
    char one = sharing_get(cache, "a"),
         two = sharing_get(cache, "a"); /* the first one opens its own */
    bool right = _i / 2 == 0 ? one == 's' && two == 'r' && library_counters(cache).region_hits == 1
                             : one == 'm' && two == 'm';
    fcache_close(cache);
    _exit(right && sharing_mappings("test-region") == 1 ? 0 : 1);
  }
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert(WIFEXITED(status));
  ck_assert_int_eq(WEXITSTATUS(status), 0);
  ck_assert_uint_eq(sharing_head(0), 2);
  ck_assert(!atomic_load(&sharing.ended[sharing.first]));
  ck_assert_int_eq(sharing_get(cache, "a"), 'r');
  ck_assert_uint_eq(sharing_head(0), 3);
  if (_i / 2 == 0)
    ck_assert_uint_eq(sharing_head(1), 2); /* the child's own */
  ck_assert_uint_eq(library_counters(cache).unrecorded, 0);
  fcache_close(cache);
}
END_TEST

static void welcome_with_ring(struct shm *shm, uint64_t boot_id, struct fc_ring_header **ring) {
  struct fc_welcome welcome = {.boot_id = boot_id, .namespace_id = boot_id, .client_id = 1};
  unsigned n = sharing.n_region_fds;
  struct received_fds passed = {.n = n + 1};
  int ring_fd = ring_build_fd(ring, SHARING_SLOTS, SHARING_SEALS);
  sharing.region.header->boot_id = boot_id;
  for (unsigned i = 0; i < n; i++)
    ck_assert_int_eq(fd_identity_set(&passed.fds[i], dup(sharing.region_fds[i])), 0);
  ck_assert_int_eq(fd_identity_set(&passed.fds[n], ring_fd), 0);
  shm_welcome(shm, &welcome, &passed);
  fd_passing_close(&passed);
  ck_assert(shm->ring_read);
}

START_TEST(unrecorded_count_published_once_per_daemon) {
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
    ck_assert_int_eq(munmap(rings[i], fc_ring_bytes(SHARING_SLOTS)), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("shm_ended");
  TCase *tcase = tcase_create("shm_ended");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, sharing_set_up, sharing_tear_down);
  tcase_add_loop_test(tcase, region_dead_or_retired_unmapped, 0, 2);
  tcase_add_loop_test(tcase, daemon_stopped_hits_go_on, 0, 2);
  tcase_add_test(tcase, connection_with_cut_message_does_not_linger);
  tcase_add_test(tcase, close_lingering_connection_closed);
  tcase_add_test(tcase, lingering_descriptor_reused_untouched);
  tcase_add_loop_test(tcase, connection_closed_hits_counted_and_published, 0, 2);
  tcase_add_loop_test(tcase, daemon_dead_region_unmarked_few_hits, 0, 4);
  tcase_add_test(tcase, daemon_hangs_up_hits_go_on);
  tcase_add_test(tcase, connection_checked_hits_go_on);
  tcase_add_loop_test(tcase, fork_child_leaves_parents_ring_alone, 0, 4);
  tcase_add_test(tcase, unrecorded_count_published_once_per_daemon);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
