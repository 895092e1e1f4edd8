/* tier_server.h - a Valkey or Redis of the test's own, in a private directory.
 *
 * The server listens on a Unix socket in its directory, through which the test commands it, and on
 * a free port of 127.0.0.1 if the test wants one. It dies with the process that started it. The
 * program of the test must run its suite with harness_main. Each function fails the test
 * (ck_abort_msg) if it cannot do its work. */
#ifndef FC_TESTS_TIER_SERVER_H
#define FC_TESTS_TIER_SERVER_H

#include "tests/support/harness.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum tier_engine { TIER_ENGINE_REDIS, TIER_ENGINE_VALKEY };
#define TIER_ENGINES 2

/* Returns the engine's program: $REDIS_SERVER or $VALKEY_SERVER, the one in $TIER_PROGRAMS
 * (build/tier), or redis-server or valkey-server in PATH. Returns NULL after it has printed that
 * tests with it are skipped, and why. */
const char *tier_engine_program(enum tier_engine engine);

/* Returns the first engine's program that there is, or NULL after it has printed so. For tests of
 * what does not depend on the engine. */
const char *tier_any_program(void);

/* Returns false after it has printed that tests are skipped, if the program was built without TLS.
 */
bool tier_program_has_tls(const char *program);

/* How a server starts. Zeroed but for `program`: a Unix socket alone, no password, nothing is kept.
 */
struct tier_server_config {
  const char *program;
  bool tcp;                 /* listen on a free port of 127.0.0.1 */
  bool tls;                 /* the port speaks TLS; implies tcp */
  bool tls_clients;         /* and wants a certificate of each client */
  bool persistent;          /* a restart finds the data, also after SIGKILL */
  bool may_load;            /* a start does not wait until the data is loaded */
  bool cluster;             /* a server of a cluster, see tier_cluster.h; implies tcp */
  const char *password;     /* of the default user */
  const char *user, *rules; /* one more user, whose password is `password`, with these ACL rules */
};

struct tier_server {
  pid_t pid; /* 0: not running */
  struct tier_server_config config;
  char dir[HARNESS_PATH_SIZE];
  char socket[HARNESS_PATH_SIZE], log[HARNESS_PATH_SIZE]; /* in `dir` */
  uint16_t port;                                          /* 0: none */
  uint16_t bus_port;                                      /* of a cluster */
  char url[256];                                          /* for --tier */
  char unix_url[256];                                     /* for --tier, by the Unix socket */
  char password_file[HARNESS_PATH_SIZE];                  /* for --tier-password-file */
  char ca[HARNESS_PATH_SIZE];                             /* for --tier-ca */
  char cert[HARNESS_PATH_SIZE], key[HARNESS_PATH_SIZE];   /* for --tier-cert and --tier-key */
};

/* Starts a server and waits until it answers a PING, with an error too, except LOADING. The strings
 * of *config are borrowed as long as the server is used. */
void tier_server_start(struct tier_server *server, const struct tier_server_config *config);

/* Ends the server by SIGTERM or SIGKILL, and waits. Does nothing if it is not running. */
void tier_server_stop(struct tier_server *server);
void tier_server_kill9(struct tier_server *server);

/* Starts it again in its directory, with the same socket and port. */
void tier_server_restart(struct tier_server *server);

/* SIGSTOP, after which it is stopped, and SIGCONT. */
void tier_server_freeze(const struct tier_server *server);
void tier_server_thaw(const struct tier_server *server);

/* Sends a command by the Unix socket, as the default user, and returns the reply, which the caller
 * frees: a text, a number, "(nil)", an error such as "OOM command not allowed ...", or the items of
 * an array, each followed by a newline. */
char *tier_server_command(const struct tier_server *server, ... /* const char *, NULL */)
    __attribute__((sentinel));

/* Sends a command and discards the reply. An error fails the test. */
void tier_server_do(const struct tier_server *server, ... /* const char *, NULL */)
    __attribute__((sentinel));

/* Sends a command whose reply is a number, and returns that. Another reply fails the test. */
long long tier_server_number(const struct tier_server *server, ... /* const char *, NULL */)
    __attribute__((sentinel));

#endif
