/* From the stop of a server to the first hit on the next one, and to the hit on the last of 100,000
 * entries of 3,100 bytes: fcached from memory and from a snapshot, beside `memcached -e`, whose
 * memory is a file in memory too. */
#include "tests/bench/survive/survive.h"

#include "tests/bench/bench_children.h"
#include "tests/bench/wire.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { VALUE_BYTES = 3100, ENTRIES = 100000, END_BYTES = 5, MEMORY_MB = 512, STOP_S = 30 };

static void report(const char *row, double first_s, double last_s, double hits, double least) {
  survive_metric(row, "first_hit_s", first_s, 0);
  survive_metric(row, "last_hit_s", last_s, 0);
  survive_metric(row, "entries_left", hits, -least);
}

/* ---- fcached ---- */

/* The client is that of before the restart, and notices the new daemon by itself. */
static int measure_fcached(const struct survive_env *env, const char *row, struct workload *load,
                           bool state) {
  struct service_manager manager;
  struct fcache_value value = {0};
  service_manager_init(&manager);
  (void)survive_start(&manager, env, state, "512M");
  struct fcache *cache = survive_open(manager.daemon.socket, true);
  int rc = survive_fill(cache, load);
  if (rc == 0 && survive_get(cache, load, 0, &value) != 1)
    rc = -1;
  double start_s = survive_now_s(), hits = 0;
  if (state)
    (void)service_manager_stop(&manager);
  else
    (void)service_manager_end(&manager);
  (void)survive_start(&manager, env, state, "512M");
  while (rc == 0 && survive_now_s() < start_s + STOP_S && survive_get(cache, load, 0, &value) != 1)
    ;
  double first_s = survive_now_s() - start_s;
  for (uint32_t i = 0, index = 0; rc == 0 && i < load->n; i++, index = workload_next(load, index))
    hits += survive_get(cache, load, index, &value) == 1;
  report(row, first_s, survive_now_s() - start_s, hits, ENTRIES);
  fcache_value_free(&value);
  fcache_close(cache);
  service_manager_deinit(&manager);
  return rc;
}

/* ---- memcached ---- */

struct memcached {
  struct child child;
  struct wire wire;
  char program[512], libraries[512], file[256], socket[256];
};

/* `-e FILE` keeps items in FILE, and with SIGUSR1 the rest of its state in FILE.meta. */
static int memcached_start(struct memcached *server, const struct survive_env *env) {
  char memory[16];
  (void)snprintf(memory, sizeof memory, "%d", MEMORY_MB);
  const char *const argv[] = {server->program, "-s", server->socket, "-t", "1",          "-m",
                              memory,          "-u", "root",         "-e", server->file, NULL};
  (void)unlink(server->socket); /* it may be there */
  if (child_start(&server->child, "memcached-e", -1, env->dir, server->libraries, argv) != 0)
    return -1;
  int fd = child_connect(&server->child, server->socket);
  return fd < 0 ? -1 : wire_init(&server->wire, "memcached -e", fd);
}

static int memcached_fill(struct memcached *server, struct workload *load) {
  char request[WORKLOAD_KEY_BYTES + 32], key[WORKLOAD_KEY_BYTES + 1] = "", end[] = "\r\n";
  for (uint32_t i = 0; i < load->n; i++) {
    *workload_key_text(load, i, key) = '\0';
    int n = snprintf(request, sizeof request, "set %s 0 0 %u\r\n", key, load->size);
    struct iovec iov[] = {
        {.iov_base = request, .iov_len = (size_t)n},
        {.iov_base = (void *)(uintptr_t)workload_value(load, i), .iov_len = load->size},
        {.iov_base = end, .iov_len = 2}};
    if (wire_send(&server->wire, iov, 3) != 0 || wire_receive(&server->wire, 8) != 0)
      return -1;
  }
  return 0;
}

/* Returns 1 for a hit with the right value, 0 for a miss, or -1. */
static int memcached_get(struct memcached *server, struct workload *load, uint32_t index) {
  char request[WORKLOAD_KEY_BYTES + 8], key[WORKLOAD_KEY_BYTES + 1] = "";
  *workload_key_text(load, index, key) = '\0';
  int n = snprintf(request, sizeof request, "get %s\r\n", key);
  struct iovec iov = {.iov_base = request, .iov_len = (size_t)n};
  size_t head = strlen("VALUE ") + load->key_bytes + strlen(" 0 ") + load->size_digits + 2;
  size_t whole = head + load->size + 2 + END_BYTES;
  if (wire_send(&server->wire, &iov, 1) != 0 || wire_receive(&server->wire, END_BYTES) != 0)
    return -1;
  if (memcmp(server->wire.reply, "END\r\n", END_BYTES) == 0)
    return 0;
  if (wire_receive_rest(&server->wire, END_BYTES, whole - END_BYTES) != 0)
    return -1;
  return workload_check(load, index, server->wire.reply + head, load->size) ? 1 : -1;
}

/* Asks it to write its state and end, and waits for the end. */
static int memcached_stop(struct memcached *server) {
  struct pollfd end = {.fd = server->child.pidfd, .events = POLLIN};
  if (kill(server->child.pid, SIGUSR1) != 0 || poll(&end, 1, STOP_S * 1000) <= 0)
    return -1;
  child_stop(&server->child); /* reaps it */
  wire_deinit(&server->wire);
  return 0;
}

/* The pause of an administrator between stop and start. memcached refuses its memory if it stopped
 * and started in the same second of the clock. */
static void pause_ms(long ms) {
  const struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
  (void)nanosleep(&pause, NULL); /* a signal shortens it: then no entry is left, which is printed */
}

/* `pause`: milliseconds between stop and start. */
static int measure_memcached(const struct survive_env *env, const char *row, struct workload *load,
                             long pause) {
  struct memcached server = {0};
  char meta[300];
  (void)snprintf(server.program, sizeof server.program, "%s/bin/memcached", env->peers);
  (void)snprintf(server.libraries, sizeof server.libraries, "%s/libs", env->peers);
  (void)snprintf(server.file, sizeof server.file, "%s/memcached-e", env->dir);
  (void)snprintf(server.socket, sizeof server.socket, "%s/memcached-e.sock", env->dir);
  (void)snprintf(meta, sizeof meta, "%s.meta", server.file);
  int rc = memcached_start(&server, env);
  if (rc == 0)
    rc = memcached_fill(&server, load);
  double start_s = survive_now_s(), hits = 0;
  if (rc == 0)
    rc = memcached_stop(&server);
  if (rc == 0 && pause > 0)
    pause_ms(pause);
  survive_metric(row, "pause_s", (double)pause / 1e3, 0);
  if (rc == 0)
    rc = memcached_start(&server, env);
  int hit = rc == 0 ? memcached_get(&server, load, 0) : -1;
  double first_s = survive_now_s() - start_s;
  for (uint32_t i = 0, index = 0; hit >= 0 && i < load->n; i++, index = workload_next(load, index))
    hits += memcached_get(&server, load, index) == 1;
  if (hit >= 0)
    report(row, first_s, survive_now_s() - start_s, hits, 0);
  wire_deinit(&server.wire);
  child_stop(&server.child);
  (void)unlink(server.file); /* there may be none */
  (void)unlink(meta);
  return rc;
}

int restart_row(const struct survive_env *env) {
  struct workload load;
  int rc = workload_init(&load, VALUE_BYTES, ENTRIES);
  if (rc == 0)
    rc = measure_fcached(env, "restart/fcached", &load, false);
  if (rc == 0)
    rc = measure_fcached(env, "restart/fcached_snapshot", &load, true);
  if (rc == 0)
    rc = measure_memcached(env, "restart/memcached_e_same_second", &load, 0);
  if (rc == 0)
    rc = measure_memcached(env, "restart/memcached_e", &load, 1100);
  workload_deinit(&load);
  return rc;
}
