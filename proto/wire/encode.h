/* encode.h - what the two encoders share: msgpack-c's packer, writing into an
 * fc_buf. Internal to proto/; the contract of encoding is in message.h.
 *
 * The packing functions' results are not looked at one by one: a write that
 * fails marks the buffer, and fc_encode_end reports that. */
#ifndef FC_PROTO_ENCODE_H
#define FC_PROTO_ENCODE_H

#include <msgpack.h>

#include "proto/wire/frame.h"
#include "proto/wire/message.h"

/* What packs is inline down to the copy: a message is a dozen writes of a few bytes, and through
 * pointers they took as long as all else that the daemon does for a small hit. */
static inline int fc_write_to_buf(void *buf, const char *data, size_t size) {
  return fc_buf_append(buf, data, size);
}

/* A packer that appends to `buf`. */
static inline msgpack_packer fc_packer(struct fc_buf *buf) {
  return (msgpack_packer){.data = buf, .callback = fc_write_to_buf};
}

/* Begins a frame: room for the header, then [type, id, and `fields` more.
 * *start is the frame's offset, for fc_encode_end. */
static inline msgpack_packer fc_encode_begin(struct fc_buf *buf, uint32_t type, uint32_t id,
                                             uint32_t fields, size_t *start) {
  static const uint8_t header[FC_FRAME_HEADER]; /* fc_frame_finish fills it in */
  msgpack_packer packer = fc_packer(buf);

  *start = buf->size;
  (void)fc_buf_append(buf, header, sizeof header); /* the buffer notes a failure */
  msgpack_pack_array(&packer, 2 + (size_t)fields);
  msgpack_pack_uint32(&packer, type);
  msgpack_pack_uint32(&packer, id);
  return packer;
}

/* Writes the frame's length, counting `extra` bytes that follow from elsewhere.
 * 0, or FC_ENOMEM with the frame taken out of the buffer again. */
int fc_encode_end(struct fc_buf *buf, size_t start, size_t extra);

/* For heads, whose frame ends later: 0 or FC_ENOMEM. */
int fc_encode_so_far(const struct fc_buf *buf);

static inline void fc_pack_str(msgpack_packer *packer, struct fc_str str) {
  msgpack_pack_str(packer, str.size);
  msgpack_pack_str_body(packer, str.data, str.size);
}

/* None: nil. */
static inline void fc_pack_str_or_nil(msgpack_packer *packer, struct fc_str str) {
  if (str.data)
    fc_pack_str(packer, str);
  else
    msgpack_pack_nil(packer);
}

static inline void fc_pack_bin(msgpack_packer *packer, const void *data, uint32_t size) {
  msgpack_pack_bin(packer, size);
  msgpack_pack_bin_body(packer, data, size);
}

#endif
