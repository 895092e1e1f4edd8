/* host_lookup.h - finds the addresses of a host without blocking the loop.
 *
 * getaddrinfo can take many seconds and cannot be cancelled. Each lookup has a thread of its own,
 * which nothing waits for: neither the end of the daemon nor other work of libuv's threads. A
 * lookup that is closed leaves its thread behind, which frees the rest when the system's resolver
 * returns. One lookup at a time per struct, so a resolver that hangs holds one thread per server.
 *
 * The functions are for the loop's thread, and so is the callback. */
#ifndef FC_DAEMON_HOST_LOOKUP_H
#define FC_DAEMON_HOST_LOOKUP_H

#include <stdbool.h>
#include <sys/socket.h>
#include <uv.h>

#define HOST_ADDRESSES_MAX 8u /* of a host; others are ignored */

struct host_addresses {
  size_t n;
  struct sockaddr_storage list[HOST_ADDRESSES_MAX];
};

struct lookup_shared;

struct host_lookup {
  uv_async_t *async; /* owned; NULL: closed */
  struct lookup_shared *shared;
  /* Called in the loop's thread when a lookup has ended. `error` is NULL, or a static text. */
  void (*on_done)(void *arg, const struct host_addresses *addresses, const char *error);
  void *arg;
  bool running;
};

/* Returns 0, FC_ENOMEM, or FC_EREFUSED if the loop has no descriptors. */
int host_lookup_init(struct host_lookup *lookup, uv_loop_t *loop,
                     void (*on_done)(void *arg, const struct host_addresses *addresses,
                                     const char *error),
                     void *arg);

/* Begins a lookup. None is running (lookup->running). A host that is a number needs no resolver,
 * but takes the same way. Returns 0, FC_ENOMEM, or FC_EREFUSED if no thread can be created. */
int host_lookup_start(struct host_lookup *lookup, const char *host, uint16_t port);

/* No callback follows. The loop must run until its handles are closed. Idempotent. */
void host_lookup_close(struct host_lookup *lookup);

#endif
