/* client_fixture.h - a handle of the library beside a scripted daemon: opens it, makes keys, gets
 * values, and inspects the log lines and descriptors of the process. A function that cannot do its
 * work fails the test. For the thread of the test. */
#ifndef FC_TESTS_CLIENT_FIXTURE_H
#define FC_TESTS_CLIENT_FIXTURE_H

#include <stdint.h>
#include <sys/types.h>

#include "fcache.h"
#include "tests/support/scripted_daemon.h"

#define CLIENT_LONG_MS 20000u /* a limit for things that are expected to happen */

/* The lines that handles logged since client_set_up. */
extern struct client_lines {
  unsigned n;
  char first[1024], last[1024];
} client_lines;

/* A fcache_log_fn that adds to client_lines. */
void client_log(void *arg, const char *line);

/* A fixture: unsets the library's variables; afterwards, no descriptor may be left open. */
void client_set_up(void);
void client_tear_down(void);

/* Opens a handle, connected or not, which the caller closes. */
struct fcache *client_open(const char *path, uint32_t deadline_ms);

/* Opens a connected handle. Retries, since the handshake may miss a short deadline on a busy
 * machine: a call would then be a miss at once, and show nothing of the deadline. */
struct fcache *client_open_connected(const char *path, uint32_t deadline_ms);

/* Returns a key of a prompt's text. */
struct fcache_key client_key(const char *prompt);

/* Gets a key, whose value must be "value" on a hit. Returns the result. */
int client_get(struct fcache *cache, const char *prompt);

/* Gets until the result is `rc`, within CLIENT_LONG_MS. */
void client_get_until(struct fcache *cache, int rc);

/* Returns the number of descriptors that are connected to `path`. *last, unless NULL, is one. */
int client_sockets_to(const char *path, int *last);

/* Returns the one descriptor that is connected to `path`. */
int client_socket_of(const char *path);

/* Waits for a child, which must exit with 0. */
void client_check_child(pid_t child);

/* Scripts: one answers every get with the hit "value", one answers nothing after hello. */
void client_serve_hits(struct scripted_daemon *scripted, int fd, unsigned nth);
void client_serve_nothing(struct scripted_daemon *scripted, int fd, unsigned nth);

#endif
