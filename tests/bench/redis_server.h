/* redis_server.h - starts the redis-server of the bench. */
#ifndef BENCH_REDIS_SERVER_H
#define BENCH_REDIS_SERVER_H

#include "tests/bench/bench_children.h"
#include "tests/bench/env.h"

enum { REDIS_SOCKET_BYTES = 96 };

/* Starts it, as the caller's child of this name, and sets `socket` to the path of its Unix socket.
 * It keeps its data in memory only. Returns 0, or -1 with the reason on stderr. */
int redis_server_start(struct child *child, const struct bench_env *env, const char *name,
                       char socket[REDIS_SOCKET_BYTES]);

#endif
