/* message_table.h - the fields of message_fields.h as data: for the texts about refused requests
 * and for the tables of docs/protocol.md. All of it is static and constant. */
#ifndef FC_PROTO_MESSAGE_TABLE_H
#define FC_PROTO_MESSAGE_TABLE_H

#include <stdint.h>

struct fc_kind_info {
  const char *type;     /* in docs/protocol.md */
  const char *expected; /* the value that a refused request should have */
};

struct fc_field_info {
  const char *name; /* NULL behind the last field */
  const struct fc_kind_info *kind;
};

/* A message or a row. `type` is the type on the wire, 0 for a row. */
struct fc_message_info {
  const char *name;
  uint32_t type;
  const struct fc_field_info *fields;
};

/* Each ends with a NULL name. */
extern const struct fc_message_info fc_request_table[];
extern const struct fc_message_info fc_reply_table[];
extern const struct fc_message_info fc_row_table[];

#endif
