#include "proto/wire/explain.h"

#include <stdio.h>

#include "proto/limits.h"
#include "proto/wire/decode.h"
#include "proto/wire/message_table.h"

static const struct fc_message_info *find_request(uint32_t type) {
  const struct fc_message_info *message = fc_request_table;
  while (message->name && message->type != type)
    message++;
  return message->name ? message : NULL;
}

/* Explains the field at which the decoder stopped, as `count` has it. */
static void explain_fields(const struct fc_message_info *message,
                           const struct fc_field_count *count, char text[FC_EXPLANATION_SIZE]) {
  if (count->read < count->n && !count->complete)
    (void)snprintf(text, FC_EXPLANATION_SIZE, "%s: its field %s must be %s", message->name,
                   message->fields[count->read].name, message->fields[count->read].kind->expected);
  else if (count->read <= count->n && count->complete)
    (void)snprintf(text, FC_EXPLANATION_SIZE, "%s: trailing bytes after the message",
                   message->name);
  else
    (void)snprintf(text, FC_EXPLANATION_SIZE,
                   "%s has %u fields: %s and the fields behind it are missing", message->name,
                   count->n, message->fields[count->n].name);
}

void fc_explain_request(const uint8_t *body, size_t size, char text[FC_EXPLANATION_SIZE]) {
  struct fc_reader reader = fc_reader_init(body, size);
  struct fc_field_count count;
  struct fc_request request = {0};
  uint32_t type;
  fc_read_opening(&reader, &type, &request.id, &count);
  const struct fc_message_info *message = find_request(type);
  if (reader.error) {
    (void)snprintf(text, FC_EXPLANATION_SIZE,
                   "a body must be one msgpack array that begins with a type and an id, integers");
  } else if (!message) {
    (void)snprintf(text, FC_EXPLANATION_SIZE, "there is no request of type 0x%02x in protocol %u",
                   type, FC_PROTOCOL_VERSION);
  } else {
    reader = fc_reader_init(body, size);
    (void)fc_read_request(&reader, &request, &count); /* fails again */
    explain_fields(message, &count, text);
  }
}
