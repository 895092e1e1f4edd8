/* frame.h - frames: an 8-byte header and one msgpack array as the body.
 *
 *   bytes 0..3  magic 'F' 'C' 'A' '1'
 *   bytes 4..7  length of the body, big-endian, 1 to the connection's limit
 *
 * Pure functions over buffers, without I/O and allocation. */
#ifndef FC_PROTO_FRAME_H
#define FC_PROTO_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define FC_FRAME_HEADER 8u

void fc_frame_put_header(uint8_t header[FC_FRAME_HEADER], uint32_t body_size);

enum fc_frame_result {
  FC_FRAME_DONE = 0, /* the bytes begin with a whole frame */
  FC_FRAME_MORE = 1, /* more bytes are needed */
};

/* Checks the start of `size` bytes, which may end anywhere in a frame. Sets *body_size if the
 * header is complete, else to 0. Returns an fc_frame_result, FC_EPROTOCOL for an empty body or a
 * wrong magic (from its first wrong byte on), or FC_EFRAME for a body over `max_body`. */
int fc_frame_peek(const uint8_t *data, size_t size, uint32_t max_body, uint32_t *body_size);

#endif
