#include "proto/wire/message_table.h"

#include <stddef.h>

#include "proto/wire/message.h"
#include "proto/wire/message_fields.h"

enum {
#define KIND(kind, type, expected) KIND_##kind,
  FC_FIELD_KINDS(KIND)
#undef KIND
};

static const struct fc_kind_info kinds[] = {
#define KIND(kind, type, expected) [KIND_##kind] = {type, expected},
    FC_FIELD_KINDS(KIND)
#undef KIND
};

#define FIELD(name, kind, ...) {#name, &kinds[KIND_##kind]},
#define LATER FIELD
#define WHEN(condition, name, kind, ...) FIELD(name, kind, m)
#define MORE(flag)

/* NOLINTNEXTLINE(bugprone-macro-parentheses): a list of fields cannot have them. */
#define FIELDS_OF(list, fields) static const struct fc_field_info list[] = {fields{NULL, NULL}};
#define REQUEST_FIELDS(TYPE, name, type, member) FIELDS_OF(request_##name, FC_##TYPE##_FIELDS)
#define REPLY_FIELDS(TYPE, name, type, member) FIELDS_OF(reply_##name, FC_##TYPE##_REPLY_FIELDS)
#define ROW_FIELDS(ROW, name, type) FIELDS_OF(row_##name, FC_##ROW##_ROW_FIELDS)
FC_REQUESTS(REQUEST_FIELDS)
FC_REPLIES(REPLY_FIELDS)
FC_ROWS(ROW_FIELDS)
FIELDS_OF(error_fields, FC_ERROR_FIELDS)

const struct fc_message_info fc_request_table[] = {
#define REQUEST(TYPE, name, type, member) {#name, FC_##TYPE, request_##name},
    FC_REQUESTS(REQUEST){NULL, 0, NULL}};

const struct fc_message_info fc_reply_table[] = {
#define REPLY(TYPE, name, type, member)                                                            \
  {#name, (uint32_t)FC_REPLY | (uint32_t)FC_##TYPE, reply_##name},
    FC_REPLIES(REPLY){"error", FC_ERROR, error_fields}, {NULL, 0, NULL}};

const struct fc_message_info fc_row_table[] = {
#define ROW(ROW, name, type) {#name, 0, row_##name},
    FC_ROWS(ROW){NULL, 0, NULL}};
