/* http_client.h - sends bytes to a port of 127.0.0.1 and reads the whole reply. A failure ends the
 * test. */
#ifndef FC_TESTS_HTTP_CLIENT_H
#define FC_TESTS_HTTP_CLIENT_H

#include <stdint.h>

/* Returns a connected socket, which the caller closes. */
int http_client_connect(uint16_t port);

/* Sends `request`, and reads until the server closes. Returns the reply, which the caller frees. */
__attribute__((warn_unused_result)) char *http_client_send(uint16_t port, const char *request);

/* Gets the path with the Host header "localhost". Fails the test unless the status is `status`.
 * Returns the body, which the caller frees. */
__attribute__((warn_unused_result)) char *http_client_get(uint16_t port, const char *path,
                                                          unsigned status);

#endif
