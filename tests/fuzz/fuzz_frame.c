/* libFuzzer: the bytes of a stream, cut into frames as a connection does it, with
 * any limit, in one piece and byte by byte. Both ways must end alike. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/errors.h"
#include "proto/wire/frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int truth) {
  if (!truth)
    abort();
}

/* The result for the bytes at once must be the first result other than MORE for
 * their prefixes, or MORE. */
static void check_prefixes(const uint8_t *data, size_t size, uint32_t max_body, int whole) {
  uint32_t body;
  int result = FC_FRAME_MORE;
  size_t fed = 0, bound = size < 4096 ? size : 4096;

  while (result == FC_FRAME_MORE && fed < bound) {
    uint8_t *copy = malloc(++fed); /* of its exact size: a read past it is seen */

    require(copy != NULL);
    memcpy(copy, data, fed);
    result = fc_frame_peek(copy, fed, max_body, &body);
    free(copy);
  }
  require(result == whole || (result == FC_FRAME_MORE && bound < size));
  if (result == FC_FRAME_DONE)
    require(fed == FC_FRAME_HEADER + (size_t)body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  uint8_t header[FC_FRAME_HEADER];
  uint32_t max_body, body;
  int result;

  if (size < sizeof max_body)
    return 0;
  memcpy(&max_body, data, sizeof max_body);
  data += sizeof max_body;
  size -= sizeof max_body;
  do {
    result = fc_frame_peek(data, size, max_body, &body);
    check_prefixes(data, size, max_body, result);
    if (result == FC_FRAME_DONE) {
      require(body >= 1 && body <= max_body && body <= size - FC_FRAME_HEADER);
      fc_frame_put_header(header, body);
      require(memcmp(header, data, sizeof header) == 0);
      data += FC_FRAME_HEADER + body;
      size -= FC_FRAME_HEADER + body;
    }
  } while (result == FC_FRAME_DONE);
  require(result == FC_FRAME_MORE || result == FC_EPROTOCOL || result == FC_EFRAME);
  return 0;
}
