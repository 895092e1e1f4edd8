/* resp_writer.h - encodes commands in RESP2, the protocol of Valkey and Redis, into a buffer of
 * bounded size. An argument may be larger than the buffer: the encoder stops where the buffer is
 * full, and goes on from there in the next call. No I/O. */
#ifndef FC_DAEMON_RESP_WRITER_H
#define FC_DAEMON_RESP_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#define RESP_COMMAND_ARGS 16u /* of one command */
#define RESP_LENGTH_BYTES 32u /* a line "$123\r\n" is shorter */

/* One command. The bytes of the arguments are borrowed. */
struct resp_command {
  size_t n;
  struct iovec args[RESP_COMMAND_ARGS];
};

/* The position in a command that is being encoded. Zero at the start of each command. */
struct resp_position {
  size_t next;       /* 0: the line with the number of arguments. i + 1: argument i */
  size_t offset;     /* of that argument's bytes, the written ones */
  bool after_length; /* the line with that argument's length is written */
};

/* The bytes to send. `bytes` is owned by the caller. */
struct resp_buffer {
  char *bytes;
  size_t size, capacity; /* the capacity is RESP_LENGTH_BYTES at least */
};

/* Appends an argument. The command has less than RESP_COMMAND_ARGS. */
void resp_add(struct resp_command *command, const void *bytes, size_t size);
void resp_add_text(struct resp_command *command, const char *text);

/* Encodes from `position` on until the command ends or the buffer is full. Returns true when the
 * whole command is in it or was before. */
bool resp_write(const struct resp_command *command, struct resp_position *position,
                struct resp_buffer *buffer);

#endif
