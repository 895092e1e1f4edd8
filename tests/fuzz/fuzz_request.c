/* libFuzzer: decodes any bytes as a request's body. An accepted request, encoded again with its
 * lists, must be accepted too, and encode to the same bytes. A refused one must have a text. */
#include <stdlib.h>
#include <string.h>

#include "proto/errors.h"
#include "proto/wire/explain.h"
#include "proto/wire/frame.h"
#include "tests/support/proto_samples.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(int truth) {
  if (!truth)
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct fc_request request, again;
  struct fc_buf first = {0}, second = {0};
  int error = fc_decode_request(data, size, &request);

  if (error) {
    char text[FC_EXPLANATION_SIZE];

    require(error == FC_EPROTOCOL || error == FC_ENAME || error == FC_EINVAL);
    fc_explain_request(data, size, text);
    require(text[0] != '\0' && strlen(text) < sizeof text);
    return 0;
  }
  require(proto_encode_request(&first, &request) == 0);
  require(fc_decode_request(first.data + FC_FRAME_HEADER, first.size - FC_FRAME_HEADER, &again) ==
          0);
  require(again.type == request.type && again.id == request.id);
  require(proto_encode_request(&second, &again) == 0);
  require(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
  fc_buf_free(&first);
  fc_buf_free(&second);
  return 0;
}
