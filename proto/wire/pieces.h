/* pieces.h - a message as a list of pieces for one gathering write: stretches of
 * an encoder's buffer, with values between them that stay where they are.
 *
 * The buffer may move while it grows, so stretches are kept as lengths until
 * fc_pieces_finish. The list is the caller's, and must have room: two for each
 * value and one for the rest. */
#ifndef FC_PROTO_PIECES_H
#define FC_PROTO_PIECES_H

#include <stddef.h>
#include <sys/uio.h>

#include "proto/wire/buf.h"

struct fc_pieces {
  struct iovec *list;
  size_t n;
  size_t stretch_start; /* offset in the buffer */
  size_t outside_bytes; /* of values: what fc_frame_finish has to be told */
};

/* For a buffer whose frame starts at its beginning. */
void fc_pieces_init(struct fc_pieces *pieces, struct iovec *list);

/* What the buffer holds by now comes first, then the value; an empty one is left out. */
void fc_pieces_add(struct fc_pieces *pieces, const struct fc_buf *buf, const void *value,
                   size_t size);

/* The rest of the buffer, which must not change any more. */
void fc_pieces_finish(struct fc_pieces *pieces, const struct fc_buf *buf);

#endif
