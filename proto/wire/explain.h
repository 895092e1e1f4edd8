/* explain.h - names the mistake in a request that fc_decode_request has refused: the message, the
 * field and the value that it should have. It decodes the body again, and reads nothing outside. */
#ifndef FC_PROTO_EXPLAIN_H
#define FC_PROTO_EXPLAIN_H

#include <stddef.h>
#include <stdint.h>

#define FC_EXPLANATION_SIZE 192u /* of the longest text, its NUL included */

/* Writes one line without control characters, NUL-terminated. */
void fc_explain_request(const uint8_t *body, size_t size, char text[FC_EXPLANATION_SIZE]);

#endif
