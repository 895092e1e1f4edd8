/* proto_encode.h - encodes whole messages from decoded ones, with their values and lists. */
#ifndef PROTO_ENCODE_H
#define PROTO_ENCODE_H

#include "proto/wire/message.h"

/* Append one whole frame. Return 0 or FC_ENOMEM. */
int proto_encode_request(struct fc_buf *buf, const struct fc_request *request);
int proto_encode_reply(struct fc_buf *buf, const struct fc_reply *reply);

#endif
