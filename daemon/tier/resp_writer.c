#include "daemon/tier/resp_writer.h"

#include <stdio.h>
#include <string.h>

#include "daemon/base/check.h"

void resp_add(struct resp_command *command, const void *bytes, size_t size) {
  check_lt(command->n, RESP_COMMAND_ARGS);
  command->args[command->n++] = (struct iovec){.iov_base = (void *)(uintptr_t)bytes, size};
}

void resp_add_text(struct resp_command *command, const char *text) {
  resp_add(command, text, strlen(text));
}

/* Appends the line of a length. Returns false if the buffer may be too small. */
static bool write_length(struct resp_buffer *buffer, char type, size_t length) {
  if (buffer->capacity - buffer->size < RESP_LENGTH_BYTES)
    return false;
  int n = snprintf(buffer->bytes + buffer->size, RESP_LENGTH_BYTES, "%c%zu\r\n", type, length);
  check_lt(n, RESP_LENGTH_BYTES);
  buffer->size += (size_t)n;
  return true;
}

/* Appends an argument's bytes and the end of its line. Returns false if the buffer is full. */
static bool write_bytes(const struct iovec *arg, struct resp_position *position,
                        struct resp_buffer *buffer) {
  size_t room = buffer->capacity - buffer->size, left = arg->iov_len - position->offset;
  size_t n = left < room ? left : room;
  if (n > 0)
    memcpy(buffer->bytes + buffer->size, (const char *)arg->iov_base + position->offset, n);
  buffer->size += n;
  position->offset += n;
  if (n < left || buffer->capacity - buffer->size < 2)
    return false;
  memcpy(buffer->bytes + buffer->size, "\r\n", 2);
  buffer->size += 2;
  return true;
}

bool resp_write(const struct resp_command *command, struct resp_position *position,
                struct resp_buffer *buffer) {
  check_le(buffer->size, buffer->capacity);
  check_lt(0, command->n);
  if (position->next == 0) {
    if (!write_length(buffer, '*', command->n))
      return false;
    position->next = 1;
  }
  while (position->next <= command->n) {
    const struct iovec *arg = &command->args[position->next - 1];
    if (!position->after_length && !write_length(buffer, '$', arg->iov_len))
      return false;
    position->after_length = true;
    if (!write_bytes(arg, position, buffer))
      return false;
    position->next++;
    position->offset = 0;
    position->after_length = false;
  }
  return true;
}
