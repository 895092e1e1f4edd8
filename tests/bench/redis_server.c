#include "tests/bench/redis_server.h"

#include <stdio.h>

int redis_server_start(struct child *child, const struct bench_env *env, const char *name,
                       char socket[REDIS_SOCKET_BYTES]) {
  char program[512], libraries[512], dir[256];
  int length = snprintf(program, sizeof(program), "%s/bin/redis-server", env->peers);
  if (length >= (int)sizeof(program)) {
    fprintf(stderr, "bench: path too long for redis-server in %s\n", env->peers);
    return -1;
  }
  (void)snprintf(libraries, sizeof(libraries), "%s/libs", env->peers); /* shorter than program */
  (void)snprintf(dir, sizeof(dir), "%s", env->dir);                    /* it is short */
  (void)snprintf(socket, REDIS_SOCKET_BYTES, "%s/%s.sock", env->dir, name);
  const char *const argv[] = {
      program, "--port", "0", "--unixsocket", socket, "--save", "", "--appendonly",
      "no",    "--dir",  dir, "--daemonize",  "no",   NULL};
  return child_start(child, name, env->cpu, env->dir, libraries, argv);
}
