/* scripted_daemon.h - a scripted daemon within a test. It listens on a private socket and runs
 * the test's script, in a thread of its own, on each connection that it accepts.
 *
 * What goes wrong within a script is not reported by Check's macros, which belong to
 * the test's thread: a script returns, which closes its connection, and the test sees
 * that. The fields of struct scripted_daemon that scripts and tests share are atomic. */
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
#define SCRIPTED_PASSED_MAX 16
#define SCRIPTED_BOOT_ID 0x1122334455667788u

struct scripted_daemon;

/* Serves a connection, the nth (from 0) that was accepted; returning closes it. */
typedef void scripted_script(struct scripted_daemon *scripted, int fd, unsigned nth);

struct scripted_daemon {
  char dir[SCRIPTED_PATH_SIZE], path[SCRIPTED_PATH_SIZE];
  int listener;
  scripted_script *script;
  void *arg;                 /* the script's own */
  struct fc_welcome welcome; /* what scripted_handshake answers; set before connecting */
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

/* Makes a private folder with a socket in it and serves it. Ends the test on failure. */
void scripted_start(struct scripted_daemon *scripted, scripted_script *script, void *arg);

/* Ends all connections and threads, and removes the folder. */
void scripted_stop(struct scripted_daemon *scripted);

/* One request, whole. *body is the caller's to free, and what `request` borrows from.
 * False at the end of the connection or at an invalid request. */
bool scripted_read(struct scripted_daemon *scripted, int fd, uint8_t **body,
                   struct fc_request *request);

/* Sends all of it. False where the other side has closed. */
bool scripted_write(int fd, const void *data, size_t size);

/* Sends an encoded reply, and frees it. */
void scripted_send(int fd, struct fc_buf *buf);

/* The same with descriptors beside it, which stay the caller's. */
void scripted_send_with(int fd, struct fc_buf *buf, const int *fds, unsigned n);

/* Reads hello and sends scripted->welcome. */
bool scripted_handshake(struct scripted_daemon *scripted, int fd);

/* The same with descriptors beside the welcome, which stay the caller's. */
bool scripted_handshake_with(struct scripted_daemon *scripted, int fd, const int *fds, unsigned n);

/* Waits until the other side has closed. */
void scripted_wait_closed(int fd);

/* Waits (bounded) until the test has set scripted->released. */
void scripted_wait_released(struct scripted_daemon *scripted);

/* Waits (bounded) until every script waits for its next request, and so holds no memory and no
 * lock. Call it before a fork: the child has only its own thread, so memory and locks of the others
 * would be lost in it, which valgrind reports. */
void scripted_wait_idle(struct scripted_daemon *scripted);

/* Replies, ready to be sent. */
void scripted_send_hit(int fd, uint32_t id, const void *value, uint32_t size);
void scripted_send_miss(int fd, uint32_t id, uint64_t clear_generation);

#endif
