#include "daemon/tier/tier_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/check.h"
#include "daemon/os/epoll_watch.h"
#include "proto/errors.h"

#define KEEPALIVE_S 30u

struct tier_stream {
  union {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
  } uv;
  uv_connect_t connect;
  uv_write_t write;
  const struct tier_stream_events *events;
  void *arg;
  struct tier_read_buffers *buffers;
  struct tls_session tls; /* if has_tls */
  bool has_tls, is_tcp;
  bool open;    /* connected, and the handshake of TLS is done */
  bool writing; /* `write` is in use */
  bool filled;  /* tier_stream_send has bytes that have not left */
  bool closed, failed, paused;
  bool erased;            /* the first bytes that were sent */
  unsigned reads;         /* in a row, without a turn of others */
  struct resp_buffer out; /* the memory is behind the struct */
  char *cipher;           /* encrypted bytes on their way; NULL without TLS */
  char text[TIER_STREAM_TEXT_BYTES];
};

static int set_error(struct tier_stream *stream, const char *what, const char *text) {
  (void)snprintf(stream->text, sizeof stream->text, "%s%s", what, text);
  return FC_EREFUSED;
}

/* For failures within a callback of the loop. */
static void fail(struct tier_stream *stream) {
  if (stream->closed || stream->failed)
    return;
  stream->failed = true;
  stream->events->on_failed(stream->arg, stream->text);
}

/* ---- sending ---- */

static int send_encrypted(struct tier_stream *stream);

/* What is sent first may have a password, which does not stay in memory. */
static void empty_buffer(struct tier_stream *stream) {
  if (!stream->erased)
    explicit_bzero(stream->out.bytes, stream->out.size);
  stream->erased = true;
  stream->out.size = 0;
}

static void on_written(uv_write_t *request, int status) {
  struct tier_stream *stream = request->data;
  stream->writing = false;
  if (stream->closed)
    return;
  if (status < 0) {
    (void)set_error(stream, "cannot send: ", uv_strerror(status));
    fail(stream);
    return;
  }
  if (stream->has_tls && send_encrypted(stream) < 0) {
    fail(stream);
    return;
  }
  if (stream->writing || !stream->filled)
    return;
  stream->filled = false;
  empty_buffer(stream);
  stream->events->on_room(stream->arg);
}

/* Writes as much as the kernel takes, and gives the rest to the loop. The bytes stay in place until
 * then. */
static int write_bytes(struct tier_stream *stream, char *bytes, size_t size) {
  uv_buf_t piece = uv_buf_init(bytes, (unsigned)size);
  int n = uv_try_write(&stream->uv.stream, &piece, 1);
  if (n == UV_EAGAIN)
    n = 0;
  if (n < 0)
    return set_error(stream, "cannot send: ", uv_strerror(n));
  if ((size_t)n == size)
    return 0;
  piece = uv_buf_init(bytes + n, (unsigned)(size - (size_t)n));
  if (epoll_watch_add(&stream->uv.handle) < 0)
    return set_error(stream, "", EPOLL_WATCH_FULL);
  n = uv_write(&stream->write, &stream->uv.stream, &piece, 1, on_written);
  if (n < 0)
    return set_error(stream, "cannot send: ", uv_strerror(n));
  stream->writing = true;
  return 0;
}

static int send_encrypted(struct tier_stream *stream) {
  while (!stream->writing) {
    size_t n = tls_session_output(&stream->tls, stream->cipher, TIER_STREAM_CIPHER_BYTES);
    if (n == 0)
      return 0;
    int error = write_bytes(stream, stream->cipher, n);
    if (error)
      return error;
  }
  return 0;
}

struct resp_buffer *tier_stream_room(struct tier_stream *stream) {
  return stream->open && !stream->filled ? &stream->out : NULL;
}

int tier_stream_send(struct tier_stream *stream) {
  check_eq(stream->open && !stream->filled, true);
  if (stream->out.size == 0)
    return 0;
  int error;
  if (!stream->has_tls) {
    error = write_bytes(stream, stream->out.bytes, stream->out.size);
  } else if (tls_session_write(&stream->tls, stream->out.bytes, stream->out.size) < 0) {
    error = set_error(stream, "", stream->tls.error);
  } else {
    error = send_encrypted(stream);
  }
  if (error)
    return error;
  stream->filled = stream->writing;
  if (!stream->filled)
    empty_buffer(stream);
  return 0;
}

/* ---- receiving ---- */

/* libuv reads up to 32 times in a turn while the socket has more. Thousands of small values would
 * be stored one after the other, and other clients would wait. The loop reads the rest in its next
 * turn. */
#define READS_A_TURN 4u

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf) {
  (void)suggested;
  struct tier_stream *stream = handle->data;
  bool is_last = ++stream->reads > READS_A_TURN;
  *buf = uv_buf_init(stream->buffers->received, is_last ? 0 : sizeof stream->buffers->received);
}

/* Returns false if the stream has failed. */
static bool shake_hands(struct tier_stream *stream) {
  int error = tls_session_handshake(&stream->tls);
  bool sent = send_encrypted(stream) == 0; /* also the alert that says why the server is refused */
  if (error)
    (void)set_error(stream, "", stream->tls.error);
  if (!sent || error) {
    fail(stream);
    return false;
  }
  if (stream->tls.ready) {
    stream->open = true;
    stream->events->on_open(stream->arg);
  }
  return !stream->closed;
}

static void receive_encrypted(struct tier_stream *stream, const char *bytes, size_t size) {
  struct tier_read_buffers *buffers = stream->buffers;
  if (tls_session_input(&stream->tls, bytes, size) < 0) {
    (void)set_error(stream, "", stream->tls.error);
    fail(stream);
    return;
  }
  if (!stream->open && (!shake_hands(stream) || !stream->open))
    return;
  while (!stream->closed) {
    ssize_t n = tls_session_read(&stream->tls, buffers->decrypted, sizeof buffers->decrypted);
    if (n < 0) {
      (void)set_error(stream, "", stream->tls.error);
      fail(stream);
      return;
    }
    if (n == 0)
      break;
    stream->events->on_bytes(stream->arg, buffers->decrypted, (size_t)n);
  }
  if (!stream->closed && send_encrypted(stream) < 0) /* replies of the protocol itself */
    fail(stream);
}

static void on_read(uv_stream_t *handle, ssize_t n, const uv_buf_t *buf) {
  struct tier_stream *stream = handle->data;
  if (n < (ssize_t)buf->len || n < 0) /* libuv reads no more in this turn */
    stream->reads = 0;
  if (stream->closed || n == 0 || n == UV_ENOBUFS) /* on_alloc ends the turn */
    return;
  if (n < 0) {
    (void)set_error(stream, "",
                    n == UV_EOF ? "the server closed the connection" : uv_strerror((int)n));
    fail(stream);
  } else if (stream->has_tls) {
    receive_encrypted(stream, buf->base, (size_t)n);
  } else {
    stream->events->on_bytes(stream->arg, buf->base, (size_t)n);
  }
}

static int start_reading(struct tier_stream *stream) {
  int error = uv_read_start(&stream->uv.stream, on_alloc, on_read);
  if (error < 0)
    return set_error(stream, "cannot receive: ", uv_strerror(error));
  if (epoll_watch_add(&stream->uv.handle) < 0)
    return set_error(stream, "", EPOLL_WATCH_FULL);
  return 0;
}

void tier_stream_pause(struct tier_stream *stream) {
  if (stream->paused || stream->closed)
    return;
  stream->paused = true;
  (void)uv_read_stop(&stream->uv.stream); /* always succeeds */
}

void tier_stream_resume(struct tier_stream *stream) {
  if (!stream->paused || stream->closed)
    return;
  stream->paused = false;
  if (start_reading(stream) < 0)
    fail(stream);
}

/* ---- the life of a stream ---- */

static void on_connected(uv_connect_t *request, int status) {
  struct tier_stream *stream = request->data;
  if (stream->closed)
    return;
  if (status < 0) {
    (void)set_error(stream, "cannot connect: ", uv_strerror(status));
    fail(stream);
    return;
  }
  if (stream->is_tcp) { /* without these the connection works too, only not as well */
    (void)uv_tcp_nodelay(&stream->uv.tcp, 1);
    (void)uv_tcp_keepalive(&stream->uv.tcp, 1, KEEPALIVE_S);
  }
  if (start_reading(stream) < 0) {
    fail(stream);
  } else if (stream->has_tls) {
    (void)shake_hands(stream); /* the first message of the handshake */
  } else {
    stream->open = true;
    stream->events->on_open(stream->arg);
  }
}

static void free_stream(uv_handle_t *handle) {
  struct tier_stream *stream = handle->data;
  if (stream->has_tls)
    tls_session_deinit(&stream->tls);
  empty_buffer(stream);
  free(stream);
}

static struct tier_stream *new_stream(const struct tier_stream_config *config) {
  size_t cipher = config->tls != NULL ? TIER_STREAM_CIPHER_BYTES : 0;
  struct tier_stream *stream = malloc(sizeof *stream + TIER_STREAM_SEND_BYTES + cipher);
  if (stream == NULL)
    return NULL;
  memset(stream, 0, sizeof *stream);
  stream->events = config->events;
  stream->arg = config->arg;
  stream->buffers = config->buffers;
  stream->is_tcp = config->address != NULL;
  stream->out =
      (struct resp_buffer){.bytes = (char *)(stream + 1), .capacity = TIER_STREAM_SEND_BYTES};
  stream->cipher = cipher > 0 ? (char *)(stream + 1) + TIER_STREAM_SEND_BYTES : NULL;
  if (config->tls != NULL && tls_session_init(&stream->tls, config->tls, config->host) < 0) {
    free(stream);
    return NULL;
  }
  stream->has_tls = config->tls != NULL;
  return stream;
}

static int begin(struct tier_stream *stream, const struct tier_stream_config *config) {
  stream->connect.data = stream->write.data = stream;
  if (!stream->is_tcp) {
    uv_os_fd_t fd;
    uv_pipe_connect(&stream->connect, &stream->uv.pipe, config->path, on_connected);
    /* Without a descriptor there is nothing to watch, and the callback has the failure. */
    return uv_fileno(&stream->uv.handle, &fd) < 0 ? 0 : epoll_watch_add(&stream->uv.handle);
  }
  if (uv_tcp_connect(&stream->connect, &stream->uv.tcp, config->address, on_connected) < 0)
    return FC_EREFUSED;
  return epoll_watch_add(&stream->uv.handle);
}

int tier_stream_open(struct tier_stream **out, const struct tier_stream_config *config) {
  struct tier_stream *stream = new_stream(config);
  if (stream == NULL)
    return FC_ENOMEM;
  int error = stream->is_tcp ? uv_tcp_init(config->loop, &stream->uv.tcp)
                             : uv_pipe_init(config->loop, &stream->uv.pipe, 0);
  stream->uv.handle.data = stream;
  if (error < 0) {
    free_stream(&stream->uv.handle);
    return FC_EREFUSED;
  }
  error = begin(stream, config);
  if (error) {
    tier_stream_close(stream);
    return error;
  }
  *out = stream;
  return 0;
}

void tier_stream_close(struct tier_stream *stream) {
  if (stream == NULL || stream->closed)
    return;
  stream->closed = true;
  uv_close(&stream->uv.handle, free_stream);
}

const char *tier_stream_error(const struct tier_stream *stream) {
  return stream->text;
}
