#include "proto/wire/frame.h"

#include "proto/errors.h"

static const uint8_t magic[4] = {'F', 'C', 'A', '1'};

void fc_frame_put_header(uint8_t header[FC_FRAME_HEADER], uint32_t body_size) {
  for (size_t i = 0; i < 4; i++) {
    header[i] = magic[i];
    header[4 + i] = (uint8_t)(body_size >> (24 - 8 * i));
  }
}

int fc_frame_peek(const uint8_t *data, size_t size, uint32_t max_body, uint32_t *body_size) {
  uint32_t body;

  *body_size = 0;
  for (size_t i = 0; i < sizeof magic && i < size; i++)
    if (data[i] != magic[i])
      return FC_EPROTOCOL;
  if (size < FC_FRAME_HEADER)
    return FC_FRAME_MORE;
  body = (uint32_t)data[4] << 24 | (uint32_t)data[5] << 16 | (uint32_t)data[6] << 8 | data[7];
  *body_size = body;
  if (body == 0)
    return FC_EPROTOCOL;
  if (body > max_body)
    return FC_EFRAME;
  return size - FC_FRAME_HEADER >= body ? FC_FRAME_DONE : FC_FRAME_MORE;
}
