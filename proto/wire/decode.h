/* decode.h - the decoding of requests and replies, for the files of proto/wire. The public contract
 * is in message.h. */
#ifndef FC_PROTO_DECODE_H
#define FC_PROTO_DECODE_H

#include "proto/wire/message.h"
#include "proto/wire/reader.h"

/* Counts the fields of a message or of a row. */
struct fc_field_count {
  uint32_t n;    /* elements that the array has for fields */
  uint32_t read; /* fields that were read without an error: the index of the first wrong one */
  bool complete; /* all known fields were read */
};

/* Opens a body [type, id, fields...]. The type and the id are 0 where they cannot be read. */
void fc_read_opening(struct fc_reader *reader, uint32_t *type, uint32_t *id,
                     struct fc_field_count *count);

/* Decodes one body into *request, which the caller has zeroed. Returns the reader's error. */
int fc_read_request(struct fc_reader *reader, struct fc_request *request,
                    struct fc_field_count *count);

/* Read the two fields of a stats reply in turn and check every statistic. */
void fc_read_stats_map(struct fc_reader *reader, struct fc_stats_reply *stats);
void fc_read_stats_maps(struct fc_reader *reader, struct fc_stats_reply *stats);

#endif
