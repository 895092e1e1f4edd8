/* explain.h - what is wrong with a request that fc_decode_request has refused, in
 * words: which message, which field, and what belongs there. It reads the body again
 * by a table of the fields, so that the decoder need not keep account of where it is.
 *
 * Pure; reads nothing outside the body. */
#ifndef FC_PROTO_EXPLAIN_H
#define FC_PROTO_EXPLAIN_H

#include <stddef.h>
#include <stdint.h>

#define FC_EXPLANATION_SIZE 192u /* what the longest text takes, its NUL included */

/* One line without control characters, NUL-terminated. */
void fc_explain_request(const uint8_t *body, size_t size, char text[FC_EXPLANATION_SIZE]);

#endif
