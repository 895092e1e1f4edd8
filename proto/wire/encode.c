#include "proto/wire/encode.h"

#include "proto/errors.h"
#include "proto/wire/frame.h"

void fc_frame_finish(struct fc_buf *buf, size_t start, size_t extra) {
  size_t body;

  if (!buf->failed) {
    body = buf->size - start - FC_FRAME_HEADER + extra;
    if (body <= UINT32_MAX) {
      fc_frame_put_header(buf->data + start, (uint32_t)body);
      return;
    }
    buf->failed = true; /* no such frame exists */
  }
  buf->size = start; /* whole frames alone stay */
}

int fc_encode_end(struct fc_buf *buf, size_t start, size_t extra) {
  fc_frame_finish(buf, start, extra);
  return fc_encode_so_far(buf);
}

int fc_encode_so_far(const struct fc_buf *buf) {
  return buf->failed ? FC_ENOMEM : 0;
}

int fc_encode_simple(struct fc_buf *buf, enum fc_type type, uint32_t id) {
  size_t start;

  (void)fc_encode_begin(buf, type, id, 0, &start); /* no field needs the packer */
  return fc_encode_end(buf, start, 0);
}

int fc_encode_bin_head(struct fc_buf *buf, uint32_t size) {
  msgpack_packer packer = fc_packer(buf);

  msgpack_pack_bin(&packer, size);
  return fc_encode_so_far(buf);
}

int fc_encode_nil(struct fc_buf *buf) {
  msgpack_packer packer = fc_packer(buf);

  msgpack_pack_nil(&packer);
  return fc_encode_so_far(buf);
}

int fc_encode_map_head(struct fc_buf *buf, uint32_t n) {
  msgpack_packer packer = fc_packer(buf);

  msgpack_pack_map(&packer, n);
  return fc_encode_so_far(buf);
}

int fc_encode_array_head(struct fc_buf *buf, uint32_t n) {
  msgpack_packer packer = fc_packer(buf);

  msgpack_pack_array(&packer, n);
  return fc_encode_so_far(buf);
}
