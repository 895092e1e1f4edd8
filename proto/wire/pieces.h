/* pieces.h - a message as a list of pieces for one writev: stretches of an encoder's buffer, and
 * values between them, which are not copied.
 *
 * The buffer may move while it grows, so stretches are lengths until fc_pieces_finish. The caller
 * owns the list, with room for two pieces for each value and one for the rest. */
#ifndef FC_PROTO_PIECES_H
#define FC_PROTO_PIECES_H

#include <stddef.h>
#include <sys/uio.h>

#include "proto/wire/buf.h"

struct fc_pieces {
  struct iovec *list;
  size_t n;
  size_t stretch_start; /* offset in the buffer */
  size_t outside_bytes; /* of values: fc_frame_finish needs it */
};

/* Starts the list of a frame that begins at the start of its buffer. */
void fc_pieces_init(struct fc_pieces *pieces, struct iovec *list);

/* Adds the new bytes of the buffer, and then the value. An empty value is left out. */
void fc_pieces_add(struct fc_pieces *pieces, const struct fc_buf *buf, const void *value,
                   size_t size);

/* Adds the rest of the buffer, which must not change after this. */
void fc_pieces_finish(struct fc_pieces *pieces, const struct fc_buf *buf);

#endif
