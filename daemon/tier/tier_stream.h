/* tier_stream.h - one connection to a tier server: TCP or a Unix socket, with TLS or without.
 *
 * The stream moves bytes and knows nothing of them. It has no deadlines: its owner closes it. Its
 * memory belongs to the loop from tier_stream_close on.
 *
 * To send, the owner appends to the buffer that tier_stream_room returns, and calls
 * tier_stream_send. There is no room while earlier bytes have not left, so the memory is bounded.
 * One thread, that of the loop. */
#ifndef FC_DAEMON_TIER_STREAM_H
#define FC_DAEMON_TIER_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <uv.h>

#include "daemon/tier/resp_writer.h"
#include "daemon/tier/tls_session.h"

#define TIER_STREAM_SEND_BYTES (32u * 1024u)
#define TIER_STREAM_READ_BYTES (32u * 1024u)
#define TIER_STREAM_TEXT_BYTES 320u
/* A record of TLS is 16 KiB and has up to 256 bytes more when it is encrypted. */
#define TIER_STREAM_CIPHER_BYTES (TIER_STREAM_SEND_BYTES + 2048u)

/* Where received bytes are for the duration of a callback. All streams of a loop share one. */
struct tier_read_buffers {
  char received[TIER_STREAM_READ_BYTES];
  char decrypted[TIER_STREAM_READ_BYTES / 2];
};

struct tier_stream_events {
  void (*on_open)(void *arg);
  void (*on_bytes)(void *arg, const char *bytes, size_t size);
  void (*on_room)(void *arg); /* all that was sent has left */
  /* The connection has failed: close the stream. The text is the stream's. */
  void (*on_failed)(void *arg, const char *text);
};

struct tier_stream_config {
  uv_loop_t *loop;
  const struct sockaddr *address; /* or NULL: */
  const char *path;               /* of a Unix socket */
  struct tls_context *tls;        /* NULL: without TLS */
  const char *host;               /* for the certificate */
  struct tier_read_buffers *buffers;
  const struct tier_stream_events *events;
  void *arg; /* of the events */
};

struct tier_stream;

/* Begins to connect. Returns 0, FC_ENOMEM, or FC_EREFUSED (the system has no socket for it). No
 * event is called before it returns. */
int tier_stream_open(struct tier_stream **out, const struct tier_stream_config *config);

/* Ends the connection. No event follows. NULL: does nothing. */
void tier_stream_close(struct tier_stream *stream);

/* Returns the empty buffer for bytes to send, or NULL while there is no room. */
struct resp_buffer *tier_stream_room(struct tier_stream *stream);

/* Sends the buffer's bytes. Returns 0, or FC_EREFUSED with tier_stream_error. Then close the
 * stream. */
int tier_stream_send(struct tier_stream *stream);

/* Receives nothing, or again. A few bytes may still come after the pause begins. */
void tier_stream_pause(struct tier_stream *stream);
void tier_stream_resume(struct tier_stream *stream);

const char *tier_stream_error(const struct tier_stream *stream);

#endif
