/* scripted_daemon.h - a scripted daemon within a test. It listens on a private socket and runs the
 * test's script, in its own thread, on each connection that it accepts. A script must not use
 * Check's macros, which belong to the test's thread. On an error it returns, which closes its
 * connection, and the test detects that. The fields of struct scripted_daemon that scripts and
 * tests share are atomic. */
#ifndef FC_TESTS_SCRIPTED_DAEMON_H
#define FC_TESTS_SCRIPTED_DAEMON_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/wire/buf.h"
#include "proto/wire/message.h"

#define SCRIPTED_PATH_SIZE 108
#define SCRIPTED_CONNECTIONS 256
#define SCRIPTED_PASSED_MAX 80
#define SCRIPTED_BOOT_ID 0x1122334455667788u

struct scripted_daemon;

/* Serves a connection, the nth (from 0) that was accepted; returning closes it. */
typedef void scripted_script(struct scripted_daemon *scripted, int fd, unsigned nth);

struct scripted_daemon {
  char dir[SCRIPTED_PATH_SIZE], path[SCRIPTED_PATH_SIZE];
  int listener;
  scripted_script *script;
  void *arg;                 /* for the script */
  struct fc_welcome welcome; /* sent by scripted_handshake; set it before the client connects */
  atomic_uint accepted;      /* connections so far */
  atomic_uint busy;          /* scripts at work: not those that wait for a request */
  atomic_uint layout;        /* region_layout of the latest hello */
  atomic_uint seen;          /* requests that scripted_read returned, hellos among them */
  atomic_bool released;      /* by the test, for scripts that wait for it */
  atomic_bool stopping;
  pthread_t thread;
  pthread_mutex_t lock; /* of what follows */
  struct {
    pthread_t thread;
    int fd;
    bool open;
  } connections[SCRIPTED_CONNECTIONS];
};

/* Creates a private directory with a socket, and serves the socket. Ends the test on failure. */
void scripted_start(struct scripted_daemon *scripted, scripted_script *script, void *arg);

/* Ends all connections and threads, and removes the directory. */
void scripted_stop(struct scripted_daemon *scripted);

/* Reads one request. *body is the caller's to free; `request` borrows from it. Returns false at the
 * end of the connection or for an invalid request. */
bool scripted_read(struct scripted_daemon *scripted, int fd, uint8_t **body,
                   struct fc_request *request);

/* Sends all bytes. Returns false if the other side has closed. */
bool scripted_write(int fd, const void *data, size_t size);

/* Sends an encoded reply, and frees it. */
void scripted_send(int fd, struct fc_buf *buf);

/* Sends a reply with descriptors, which stay the caller's. */
void scripted_send_with(int fd, struct fc_buf *buf, const int *fds, unsigned n);

/* Reads hello and sends scripted->welcome. */
bool scripted_handshake(struct scripted_daemon *scripted, int fd);

/* Does the handshake, with descriptors beside the welcome. They stay the caller's. */
bool scripted_handshake_with(struct scripted_daemon *scripted, int fd, const int *fds, unsigned n);

/* A script: does the handshake, reads the next request and hangs up. */
void scripted_hello_alone(struct scripted_daemon *scripted, int fd, unsigned nth);

/* Waits until the other side has closed. */
void scripted_wait_closed(int fd);

/* Waits (bounded) until the test has set scripted->released. */
void scripted_wait_released(struct scripted_daemon *scripted);

/* Waits (bounded) until every script waits for its next request, and so holds no memory and no
 * lock. Call it before a fork: the child has only its own thread, so memory and locks of the others
 * would be lost in it, which valgrind reports. */
void scripted_wait_idle(struct scripted_daemon *scripted);

/* Send a reply to a get. */
void scripted_send_hit(int fd, uint32_t id, const void *value, uint32_t size);
void scripted_send_miss(int fd, uint32_t id, uint64_t clear_generation);

#endif
