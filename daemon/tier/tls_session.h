/* tls_session.h - TLS by OpenSSL without I/O: encrypted bytes go in and out through memory.
 *
 * The server's certificate is always verified, and must be for the host that was asked for. TLS 1.2
 * is the oldest version. One thread. */
#ifndef FC_DAEMON_TLS_SESSION_H
#define FC_DAEMON_TLS_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "daemon/base/error_text.h"

/* Memory of OpenSSL. Measured with 3.0: 0.4 MiB for the library, 0.9 MiB for the certificates of
 * the system, and 188 KiB for a session that receives values of 1 MB, which is more than one that
 * sends them. A chain of certificates is TLS_CHAIN_BYTES_MAX at most. */
#define TLS_LIBRARY_BYTES_MAX (1024u * 1024u)
#define TLS_CONTEXT_BYTES_MAX (2u * 1024u * 1024u)
#define TLS_SESSION_BYTES_MAX (288u * 1024u)
#define TLS_CHAIN_BYTES_MAX (32u * 1024u)
/* Encrypted bytes that wait to be sent. A server that asks for replies of the protocol and does not
 * take them is refused. */
#define TLS_OUTPUT_BYTES_MAX (64u * 1024u)
#define TLS_ERROR_BYTES 256u

/* Paths, borrowed. */
struct tls_files {
  const char *ca;   /* PEM; NULL: the system's certificates */
  const char *cert; /* PEM, of this client; NULL: none */
  const char *key;  /* of `cert` */
};

/* The part that all sessions of a daemon share. */
struct tls_context {
  struct tls_files files;
  struct ssl_ctx_st *ssl; /* NULL: not loaded */
  struct stat seen[3];    /* of the files, when they were loaded or refused last */
};

struct tls_session {
  struct ssl_st *ssl;
  struct bio_st *in, *out; /* owned by `ssl` */
  bool ready;              /* the handshake is done */
  char error[TLS_ERROR_BYTES];
};

/* Loads the files. Returns 0, or FC_EINVAL with a text that names the file and its fault. */
int tls_context_load(struct tls_context *context, const struct tls_files *files,
                     struct error_text *error);

/* Loads the files again if one of them has changed, so that a renewed certificate is used. Returns
 * 0, or FC_EINVAL with a text: the earlier files are then used, and the new ones are not tried
 * again until they change. A key with a passphrase cannot be used. */
int tls_context_refresh(struct tls_context *context, struct error_text *error);
/* Idempotent. Sessions may outlive the context. */
void tls_context_deinit(struct tls_context *context);

/* Begins a session with a server that must have a certificate for `host`, a name or the text of an
 * IP address. Returns 0 or FC_ENOMEM. */
int tls_session_init(struct tls_session *session, struct tls_context *context, const char *host);
/* Idempotent. */
void tls_session_deinit(struct tls_session *session);

/* Goes on with the handshake. Returns 0, or FC_EPROTOCOL with session->error. Check `ready`. */
int tls_session_handshake(struct tls_session *session);

/* Takes encrypted bytes from the server. Returns 0, FC_ENOMEM, or FC_EPROTOCOL if more than
 * TLS_OUTPUT_BYTES_MAX wait to be sent, with session->error. */
int tls_session_input(struct tls_session *session, const char *bytes, size_t size);

/* Returns the number of decrypted bytes, 0 if more input is needed, or FC_EPROTOCOL with
 * session->error: the server ended the session, or a record is damaged. */
ssize_t tls_session_read(struct tls_session *session, char *room, size_t size);

/* Encrypts bytes, after the handshake. Returns 0, or FC_EPROTOCOL with session->error. */
int tls_session_write(struct tls_session *session, const char *bytes, size_t size);

/* Takes up to `size` encrypted bytes for the server. Returns their number, or 0 if none is left. */
size_t tls_session_output(struct tls_session *session, char *room, size_t size);

#endif
