#include "daemon/tier/tls_session.h"

#include <arpa/inet.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/check.h"
#include "proto/errors.h"

/* Returns the oldest error of OpenSSL in this thread and forgets the others. */
static const char *take_ssl_error(char *text, size_t size) {
  unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
  if (reason == NULL && code != 0 && ERR_GET_LIB(code) == ERR_LIB_SYS)
    reason = strerror(ERR_GET_REASON(code));
  (void)snprintf(text, size, "%s", reason != NULL ? reason : "unknown error of OpenSSL");
  return text;
}

/* ---- the context ---- */

static int load_error(struct error_text *error, const char *option, const char *path) {
  char reason[TLS_ERROR_BYTES];
  return error_text_set(error, FC_EINVAL, "%s: cannot use %s: %s", option, path,
                        take_ssl_error(reason, sizeof reason));
}

/* Without this, OpenSSL asks for it on the terminal. `asked` may be NULL. */
static int refuse_passphrase(char *text, int size, int writing, void *asked) {
  (void)text, (void)size, (void)writing;
  if (asked != NULL)
    *(bool *)asked = true;
  return -1;
}

static int load_key(SSL_CTX *ssl, const char *path, struct error_text *error) {
  bool asked = false;
  SSL_CTX_set_default_passwd_cb_userdata(ssl, &asked);
  int loaded = SSL_CTX_use_PrivateKey_file(ssl, path, SSL_FILETYPE_PEM);
  SSL_CTX_set_default_passwd_cb_userdata(ssl, NULL);
  if (asked)
    return error_text_set(error, FC_EINVAL,
                          "tier-key: cannot use %s: it has a passphrase: give a key without", path);
  if (loaded != 1 || SSL_CTX_check_private_key(ssl) != 1)
    return load_error(error, "tier-key", path);
  return 0;
}

static int load_files(SSL_CTX *ssl, const struct tls_files *files, struct error_text *error) {
  if (files->ca == NULL) {
    if (SSL_CTX_set_default_verify_paths(ssl) != 1)
      return load_error(error, "tier", "the system's certificates");
  } else if (SSL_CTX_load_verify_locations(ssl, files->ca, NULL) != 1) {
    return load_error(error, "tier-ca", files->ca);
  }
  if (files->cert == NULL)
    return 0;
  if (SSL_CTX_use_certificate_chain_file(ssl, files->cert) != 1)
    return load_error(error, "tier-cert", files->cert);
  return load_key(ssl, files->key, error);
}

static SSL_CTX *new_ssl_context(const struct tls_files *files, struct error_text *error) {
  ERR_clear_error();
  SSL_CTX *ssl = SSL_CTX_new(TLS_client_method());
  if (ssl == NULL) {
    (void)load_error(error, "tier", "TLS");
    return NULL;
  }
  SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, NULL);
  SSL_CTX_set_default_passwd_cb(ssl, refuse_passphrase);
  (void)SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_max_cert_list(ssl, TLS_CHAIN_BYTES_MAX);
  (void)SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
  if (SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 && load_files(ssl, files, error) == 0)
    return ssl;
  SSL_CTX_free(ssl);
  return NULL;
}

/* A file that is missing is seen as zeros. */
static void look_at_files(const struct tls_files *files, struct stat seen[3]) {
  const char *paths[3] = {files->ca, files->cert, files->key};
  memset(seen, 0, 3 * sizeof *seen);
  for (size_t i = 0; i < 3; i++)
    if (paths[i] != NULL && stat(paths[i], &seen[i]) != 0)
      memset(&seen[i], 0, sizeof seen[i]);
}

static bool is_same_file(const struct stat *a, const struct stat *b) {
  return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
         a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

int tls_context_load(struct tls_context *context, const struct tls_files *files,
                     struct error_text *error) {
  *context = (struct tls_context){.files = *files};
  look_at_files(files, context->seen);
  context->ssl = new_ssl_context(files, error);
  return context->ssl != NULL ? 0 : FC_EINVAL;
}

int tls_context_refresh(struct tls_context *context, struct error_text *error) {
  struct stat now[3];
  bool same = true;
  look_at_files(&context->files, now);
  for (size_t i = 0; i < 3; i++)
    same = same && is_same_file(&now[i], &context->seen[i]);
  if (same)
    return 0;
  memcpy(context->seen, now, sizeof now);
  SSL_CTX *ssl = new_ssl_context(&context->files, error);
  if (ssl == NULL)
    return FC_EINVAL;
  SSL_CTX_free(context->ssl);
  context->ssl = ssl;
  return 0;
}

void tls_context_deinit(struct tls_context *context) {
  SSL_CTX_free(context->ssl);
  context->ssl = NULL;
}

/* ---- a session ---- */

static bool set_host(SSL *ssl, const char *host) {
  struct in6_addr address; /* the larger one */
  if (inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1)
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  /* SSL_set_tlsext_host_name without its cast */
  return SSL_set1_host(ssl, host) == 1 &&
         SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                  (void *)(uintptr_t)host) == 1;
}

int tls_session_init(struct tls_session *session, struct tls_context *context, const char *host) {
  *session = (struct tls_session){.ssl = SSL_new(context->ssl)};
  BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
  if (session->ssl == NULL || in == NULL || out == NULL || !set_host(session->ssl, host)) {
    BIO_free(in);
    BIO_free(out);
    tls_session_deinit(session);
    return FC_ENOMEM;
  }
  (void)BIO_set_mem_eof_return(in, -1); /* no bytes means: not yet */
  (void)BIO_set_mem_eof_return(out, -1);
  SSL_set_bio(session->ssl, in, out);
  session->in = in;
  session->out = out;
  SSL_set_connect_state(session->ssl);
  return 0;
}

void tls_session_deinit(struct tls_session *session) {
  SSL_free(session->ssl);
  session->ssl = NULL;
  session->in = session->out = NULL;
}

/* Sets the text of a failed call, and returns FC_EPROTOCOL. */
static int fail(struct tls_session *session, int ssl_error) {
  char reason[TLS_ERROR_BYTES - 64];
  long verified = SSL_get_verify_result(session->ssl);
  if (ssl_error == SSL_ERROR_ZERO_RETURN)
    (void)snprintf(reason, sizeof reason, "the server ended the session");
  else if (verified != X509_V_OK)
    (void)snprintf(reason, sizeof reason, "the server's certificate is refused: %s",
                   X509_verify_cert_error_string(verified));
  else
    (void)take_ssl_error(reason, sizeof reason);
  ERR_clear_error();
  (void)snprintf(session->error, sizeof session->error, "TLS: %s", reason);
  return FC_EPROTOCOL;
}

int tls_session_handshake(struct tls_session *session) {
  ERR_clear_error();
  int done = SSL_do_handshake(session->ssl);
  if (done == 1) {
    session->ready = true;
    return 0;
  }
  int error = SSL_get_error(session->ssl, done);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
    return 0;
  return fail(session, error);
}

int tls_session_input(struct tls_session *session, const char *bytes, size_t size) {
  check_le(size, INT_MAX);
  if (BIO_ctrl_pending(session->out) > TLS_OUTPUT_BYTES_MAX) {
    (void)snprintf(session->error, sizeof session->error, "TLS: the server takes no replies");
    return FC_EPROTOCOL;
  }
  if (BIO_write(session->in, bytes, (int)size) == (int)size)
    return 0;
  (void)snprintf(session->error, sizeof session->error, "TLS: out of memory");
  return FC_ENOMEM;
}

ssize_t tls_session_read(struct tls_session *session, char *room, size_t size) {
  check_le(size, INT_MAX);
  ERR_clear_error();
  int n = SSL_read(session->ssl, room, (int)size);
  if (n > 0)
    return n;
  int error = SSL_get_error(session->ssl, n);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
    return 0;
  return fail(session, error);
}

/* A memory BIO takes all bytes at once. */
int tls_session_write(struct tls_session *session, const char *bytes, size_t size) {
  check_le(size, INT_MAX);
  if (size == 0)
    return 0;
  ERR_clear_error();
  int n = SSL_write(session->ssl, bytes, (int)size);
  return n == (int)size ? 0 : fail(session, SSL_get_error(session->ssl, n));
}

size_t tls_session_output(struct tls_session *session, char *room, size_t size) {
  check_le(size, INT_MAX);
  if (BIO_ctrl_pending(session->out) == 0)
    return 0;
  int n = BIO_read(session->out, room, (int)size);
  return n > 0 ? (size_t)n : 0;
}
