/* libFuzzer: decodes any bytes as a reply's body. An accepted reply, encoded again with its lists,
 * must be accepted too, and encode to the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "proto/errors.h"
#include "proto/wire/frame.h"
#include "tests/support/proto_samples.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int truth) {
  if (!truth)
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fc_reply reply, again;
  struct fc_buf first = {0}, second = {0};
  int error = fc_decode_reply(data, size, &reply);

  if (error) {
    require(error == FC_EPROTOCOL || error == FC_ENAME);
    return 0;
  }
  require(proto_encode_reply(&first, &reply) == 0);
  require(fc_decode_reply(first.data + FC_FRAME_HEADER, first.size - FC_FRAME_HEADER, &again) == 0);
  require(again.type == reply.type && again.id == reply.id);
  require(proto_encode_reply(&second, &again) == 0);
  require(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
  fc_buf_free(&first);
  fc_buf_free(&second);
  return 0;
}
