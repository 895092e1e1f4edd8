/* TLS without I/O: files that change, a key with a passphrase, and a server that asks for replies
 * of the protocol and does not take them. */
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/tier/tls_session.h"
#include "proto/errors.h"
#include "tests/support/harness.h"
#include "tests/support/tier_certificates.h"

#define PATH_SIZE (HARNESS_PATH_SIZE + 16)

struct files {
  char ca[PATH_SIZE], cert[PATH_SIZE], key[PATH_SIZE], locked[PATH_SIZE];
};

/* Runs a script with $1. */
static void run(const char *script, const char *argument) {
  char *out, *err;
  const char *const argv[] = {"sh", "-c", script, "sh", argument, NULL};
  ck_assert_int_eq(harness_run(argv, &out, &err), 0);
  free(out);
  free(err);
}

/* Makes certificates in a new directory. */
static void make_files(struct files *files) {
  char dir[HARNESS_PATH_SIZE];
  harness_make_dir(dir);
  tier_certificates_make(dir);
  (void)snprintf(files->ca, PATH_SIZE, "%s/%s", dir, TIER_CERTIFICATES_CA);
  (void)snprintf(files->cert, PATH_SIZE, "%s/%s", dir, TIER_CERTIFICATES_CERT);
  (void)snprintf(files->key, PATH_SIZE, "%s/%s", dir, TIER_CERTIFICATES_KEY);
  (void)snprintf(files->locked, PATH_SIZE, "%s/locked", dir);
}

/* ---- files ---- */

START_TEST(damaged_file_is_refused_once_until_it_changes) {
  struct files files;
  struct tls_context context;
  struct error_text error;
  make_files(&files);
  ck_assert_int_eq(tls_context_load(&context, &(struct tls_files){.ca = files.ca}, &error), 0);
  const void *first = context.ssl;
  ck_assert_int_eq(tls_context_refresh(&context, &error), 0);
  run("mv \"$1\" \"$1.good\" && echo damaged >\"$1\"", files.ca);
  ck_assert_int_eq(tls_context_refresh(&context, &error), FC_EINVAL);
  ck_assert_ptr_nonnull(strstr(error.text, "tier-ca: cannot use "));
  ck_assert_int_eq(tls_context_refresh(&context, &error), 0);
  ck_assert_ptr_eq(context.ssl, first);
  run("mv \"$1.good\" \"$1\"", files.ca);
  ck_assert_int_eq(tls_context_refresh(&context, &error), 0);
  ck_assert_ptr_ne(context.ssl, first);
  tls_context_deinit(&context);
}
END_TEST

START_TEST(key_with_passphrase_is_refused) {
  struct files files;
  struct tls_context context;
  struct error_text error;
  make_files(&files);
  run("openssl pkey -aes128 -passout pass:secret -in \"$1\" -out \"$(dirname \"$1\")/locked\"",
      files.key);
  const struct tls_files wanted = {.ca = files.ca, .cert = files.cert, .key = files.locked};
  ck_assert_int_eq(tls_context_load(&context, &wanted, &error), FC_EINVAL);
  ck_assert_msg(strstr(error.text, "tier-key: cannot use ") != NULL, "%s", error.text);
  ck_assert_msg(strstr(error.text, "it has a passphrase") != NULL, "%s", error.text);
}
END_TEST

/* ---- a server that does not take replies ---- */

struct peer {
  SSL_CTX *context;
  SSL *ssl;
  BIO *in, *out;
};

/* TLS 1.2, in which a server may ask for another handshake at any time. */
static void start_peer(struct peer *peer, const struct files *files) {
  peer->context = SSL_CTX_new(TLS_server_method());
  ck_assert_int_eq(SSL_CTX_set_max_proto_version(peer->context, TLS1_2_VERSION), 1);
  ck_assert_int_eq(SSL_CTX_use_certificate_chain_file(peer->context, files->cert), 1);
  ck_assert_int_eq(SSL_CTX_use_PrivateKey_file(peer->context, files->key, SSL_FILETYPE_PEM), 1);
  peer->ssl = SSL_new(peer->context);
  peer->in = BIO_new(BIO_s_mem());
  peer->out = BIO_new(BIO_s_mem());
  SSL_set_bio(peer->ssl, peer->in, peer->out);
  SSL_set_accept_state(peer->ssl);
}

static void stop_peer(struct peer *peer) {
  SSL_free(peer->ssl);
  SSL_CTX_free(peer->context);
}

/* Moves what the peer has written to the session. Returns what tls_session_input does. */
static int take_from_peer(struct tls_session *session, struct peer *peer) {
  char bytes[4096];
  int n, code = 0;
  while (code == 0 && (n = BIO_read(peer->out, bytes, sizeof bytes)) > 0)
    code = tls_session_input(session, bytes, (size_t)n);
  return code;
}

static void shake_hands(struct tls_session *session, struct peer *peer) {
  char bytes[4096];
  for (int i = 0; i < 10; i++) {
    size_t n;
    ck_assert_int_eq(tls_session_handshake(session), 0);
    while ((n = tls_session_output(session, bytes, sizeof bytes)) > 0)
      ck_assert_int_eq(BIO_write(peer->in, bytes, (int)n), (int)n);
    (void)SSL_do_handshake(peer->ssl);
    ck_assert_int_eq(take_from_peer(session, peer), 0);
  }
  ck_assert(session->ready && SSL_is_init_finished(peer->ssl));
}

START_TEST(server_that_takes_no_replies_is_refused) {
  struct files files;
  struct tls_context context;
  struct tls_session session;
  struct error_text error;
  struct peer peer;
  char byte;
  int code = 0;
  make_files(&files);
  ck_assert_int_eq(tls_context_load(&context, &(struct tls_files){.ca = files.ca}, &error), 0);
  ck_assert_int_eq(tls_session_init(&session, &context, "localhost"), 0);
  start_peer(&peer, &files);
  shake_hands(&session, &peer);
  for (int i = 0; i < 100000 && code == 0; i++) {
    ck_assert_int_eq(SSL_renegotiate(peer.ssl), 1);
    (void)SSL_do_handshake(peer.ssl);
    code = take_from_peer(&session, &peer);
    if (code == 0)
      ck_assert_int_eq(tls_session_read(&session, &byte, 1), 0);
  }
  ck_assert_int_eq(code, FC_EPROTOCOL);
  ck_assert_str_eq(session.error, "TLS: the server takes no replies");
  tls_session_deinit(&session);
  tls_context_deinit(&context);
  stop_peer(&peer);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("tls_session");
  TCase *tc = tcase_create("tls_session");
  tcase_set_timeout(tc, 60);
  tcase_add_test(tc, damaged_file_is_refused_once_until_it_changes);
  tcase_add_test(tc, key_with_passphrase_is_refused);
  tcase_add_test(tc, server_that_takes_no_replies_is_refused);
  suite_add_tcase(suite, tc);
  return harness_main(suite);
}
