#include "tests/bench/bench_daemon.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* The daemon rests if it used less than REST_NS of CPU in a step, which its timers alone never do.
 * A step is longer than the pause between two writes of its trace. */
enum { STEP_MS = 120, MAX_STEPS = 17, REST_NS = 1200000 };

int daemon_start(struct daemon *daemon, const struct bench_env *env,
                 const struct daemon_options *options) {
  char program[512];
  int length = snprintf(program, sizeof(program), "%s", env->fcached);
  if (length >= (int)sizeof(program)) {
    fprintf(stderr, "bench: the daemon's path is too long: %s\n", env->fcached);
    return -1;
  }
  /* The directory's path is short, and so are the names. */
  (void)snprintf(daemon->socket, sizeof(daemon->socket), "%s/%s.sock", env->dir, options->name);
  const char *argv[12] = {program, "--socket", daemon->socket, "--max-bytes", options->max_bytes};
  size_t n = 5;
  if (options->trace != NULL) {
    argv[n++] = "--trace";
    argv[n++] = options->trace;
  }
  char url[128];
  if (options->tier != NULL) {
    (void)snprintf(url, sizeof(url), "unix://%s", options->tier); /* the path is short */
    argv[n++] = "--tier";
    argv[n++] = url;
    argv[n++] = "--tier-queue=64M"; /* the bench stores faster than any model computes */
  }
  if (child_start(&daemon->child, options->name, env->cpu, env->dir, NULL, argv) != 0)
    return -1;
  int fd = child_connect(&daemon->child, daemon->socket);
  if (fd < 0)
    return -1;
  (void)close(fd); /* the connection only showed that the daemon serves */
  return 0;
}

void daemon_stop(struct daemon *daemon) {
  child_stop(&daemon->child);
}

int daemon_cpu_ns(pid_t pid, uint64_t *ns) {
  clockid_t clock;
  struct timespec spent;
  if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &spent) != 0) {
    fprintf(stderr, "bench: cannot read the CPU time of process %d: has it ended?\n", (int)pid);
    return -1;
  }
  *ns = (uint64_t)spent.tv_sec * 1000000000u + (uint64_t)spent.tv_nsec;
  return 0;
}

void daemon_settle(pid_t pid) {
  uint64_t before_ns = 0;
  uint64_t now_ns = 0;
  const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};
  if (daemon_cpu_ns(pid, &before_ns) != 0)
    return; /* printed there */
  for (int i = 0; i < MAX_STEPS; i++, before_ns = now_ns) {
    (void)nanosleep(&step, NULL); /* an interrupted pause is another step */
    if (daemon_cpu_ns(pid, &now_ns) != 0 || now_ns - before_ns < REST_NS)
      return;
  }
  fprintf(stderr, "bench: the daemon %d goes on working with nothing asked of it\n", (int)pid);
}
