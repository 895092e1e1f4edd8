/* proto_samples.h - at least one sample of every message: for the tests of the protocol, and as the
 * first corpus of the fuzzers. */
#ifndef PROTO_SAMPLES_H
#define PROTO_SAMPLES_H

#include "proto/wire/message.h"
#include "tests/support/proto_encode.h"

/* How the last field of a sample depends on the protocol's version. */
enum proto_growth {
  PROTO_SAME,  /* the same in all versions: any further field is unknown */
  PROTO_OLDER, /* a later version has more fields */
  PROTO_NEWER, /* without its last field it is a message of an earlier version */
};

/* `text` is the body as msgpack-c's unpacker and printer show it. `frame` is valid during the call.
 */
struct proto_sample {
  const char *name;
  const char *text;
  bool reply;
  enum proto_growth growth;
  const struct fc_buf *frame;
};

/* Calls `each` for every sample, in a fixed order. */
void proto_samples(void (*each)(void *arg, const struct proto_sample *sample), void *arg);

#endif
