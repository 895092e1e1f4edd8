/* proto_samples.h - one or more of every message, for the tests of the protocol
 * and as the fuzzers' first corpus; and whole messages encoded from what the
 * decoders give, values included. */
#ifndef PROTO_SAMPLES_H
#define PROTO_SAMPLES_H

#include "proto/wire/message.h"

/* How a message has grown over the versions. */
enum proto_growth {
  PROTO_SAME,  /* not at all: what follows its fields is unknown */
  PROTO_OLDER, /* a later version knows more fields behind its last */
  PROTO_NEWER, /* and without its last field it is an earlier version's */
};

/* `text`: the body as msgpack-c's unpacker and printer show it. `frame` is valid
 * during the call. */
struct proto_sample {
  const char *name;
  const char *text;
  bool reply;
  enum proto_growth growth;
  const struct fc_buf *frame;
};

/* Calls `each` for every sample, in a fixed order. */
void proto_samples(void (*each)(void *arg, const struct proto_sample *sample), void *arg);

/* Append one whole frame, values and lists included; 0 or FC_ENOMEM. */
int proto_encode_request(struct fc_buf *buf, const struct fc_request *request);
int proto_encode_reply(struct fc_buf *buf, const struct fc_reply *reply);

#endif
