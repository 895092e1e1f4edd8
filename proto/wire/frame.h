/* frame.h - frames: an 8-byte header and one msgpack array as the body.
 *
 *   bytes 0..3  magic 'F' 'C' 'A' '1': refuses a stranger before anything is read
 *   bytes 4..7  length of the body, big-endian, 1 to the connection's limit
 *
 * Pure functions over buffers; no I/O, no allocation. */
#ifndef FC_PROTO_FRAME_H
#define FC_PROTO_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define FC_FRAME_HEADER 8u

void fc_frame_put_header(uint8_t header[FC_FRAME_HEADER], uint32_t body_size);

enum fc_frame_result {
  FC_FRAME_DONE = 0, /* a whole frame stands at the start of the bytes */
  FC_FRAME_MORE = 1, /* not yet: feed more */
};

/* Looks at the start of `data[0..size)`, which may be cut anywhere. As soon as
 * the header is whole *body_size is set (else 0), so that a caller can make room
 * for the rest. Returns an fc_frame_result, FC_EPROTOCOL for a wrong magic (as
 * soon as one byte of it is wrong) or an empty body, FC_EFRAME for a body over
 * `max_body`. */
int fc_frame_peek(const uint8_t *data, size_t size, uint32_t max_body, uint32_t *body_size);

#endif
