/* tier_proxy.h - a proxy between a node and a tier server, which misbehaves as a test says. It
 * listens on a port of 127.0.0.1, and runs in a child process, which dies with the test. A function
 * that cannot do its work fails the test. */
#ifndef FC_TESTS_TIER_PROXY_H
#define FC_TESTS_TIER_PROXY_H

#include <stdint.h>
#include <sys/types.h>

enum tier_proxy_mode {
  TIER_PROXY_PASS,    /* forwards everything */
  TIER_PROXY_SLOW,    /* forwards each reply after a delay */
  TIER_PROXY_RESETS,  /* resets each connection at its first byte */
  TIER_PROXY_SILENT,  /* accepts connections, reads, and never replies */
  TIER_PROXY_ANSWERS, /* answers each command with a text, without the server */
};

#define TIER_PROXY_TEXT_SIZE 256u

struct tier_proxy {
  uint16_t port;
  char url[48]; /* of the proxy, for --tier */
  pid_t pid;    /* 0: not running */
  int control_fd;
};

/* Starts a proxy for the server whose Unix socket has the path. It forwards. */
void tier_proxy_start(struct tier_proxy *proxy, const char *server_socket);

/* Sets the mode of all connections, also of those that exist, and returns when it applies. `text`
 * is the reply of TIER_PROXY_ANSWERS with its end of line, else NULL. `delay_ms` is that of
 * TIER_PROXY_SLOW, else 0. Back in TIER_PROXY_PASS, the proxy closes the connections that have
 * commands without a reply. */
void tier_proxy_set(struct tier_proxy *proxy, enum tier_proxy_mode mode, const char *text,
                    uint32_t delay_ms);

/* Ends the child. Idempotent. */
void tier_proxy_stop(struct tier_proxy *proxy);

#endif
