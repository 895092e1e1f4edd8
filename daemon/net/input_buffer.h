/* input_buffer.h - the memory for bytes that one connection has received and not handled yet.
 *
 * Bytes are received into a scratch buffer that all connections share. A frame that fits is handled
 * there, if the budget and the user's share have room for all of it in case it has to wait. Only an
 * unfinished frame, or a frame that must wait, is kept. Each client may keep INPUT_FLOOR bytes.
 * More are reserved in the read budget as they arrive, and released when they are handled.
 *
 * - A frame of up to INPUT_SMALL bytes is kept in a small buffer, and continued in the scratch
 *   buffer. While the budget has no memory, its rest stays in the socket (`starved`). The rest is
 *   read when it is whole, because then the frame is handled at once, or when there is memory.
 * - A larger frame is received where it is kept, and queues for memory. Its buffer grows in steps
 *   that double.
 *
 * One thread. */
#ifndef FC_DAEMON_INPUT_BUFFER_H
#define FC_DAEMON_INPUT_BUFFER_H

#include "daemon/net/read_budget.h"

#define INPUT_FLOOR 4096u      /* bytes that each client may keep without a reservation */
#define INPUT_SMALL 65536u     /* a frame up to this is continued in the scratch buffer */
#define INPUT_STEP 262144u     /* the first reservation for a large frame, at most */
#define INPUT_MALLOC_BYTES 16u /* malloc's overhead for a buffer of whole pages */
#define INPUT_PROGRESS 65536u  /* bytes of a large frame that count as progress */
#define INPUT_SCRATCH_SIZE 131072u
#define INPUT_PAGE_BYTES 4096u
/* The reservations for a small frame, and for all bytes of the scratch buffer. */
#define INPUT_RESERVED_MAX (INPUT_SMALL + INPUT_PAGE_BYTES)
#define INPUT_SCRATCH_RESERVED (INPUT_SCRATCH_SIZE + INPUT_PAGE_BYTES)

/* Zero at the start, except the borrowed fields and the `ready` functions of `reservation`. */
struct input_buffer {
  struct read_budget *budget; /* borrowed */
  uint8_t *scratch;           /* borrowed; INPUT_SCRATCH_SIZE bytes */
  int fd;                     /* the socket; borrowed */
  uint8_t *bytes;             /* owned; NULL while empty */
  size_t size, capacity;
  size_t need;  /* size of the unfinished frame in it; 0: unknown */
  bool starved; /* a small frame, whose rest is not all in the socket, waits for memory */
  struct read_reservation reservation;
  size_t mark_bytes; /* bytes of the frame received at ... */
  uint64_t mark_ns;  /* ... this time, when it last made progress */
};

/* Returns the largest reservation for a frame with a value of `max_value` bytes. */
size_t input_buffer_frame_bytes(uint32_t max_value);

/* Returns the number of bytes that the peer has sent and the daemon has not read; 0 if unknown. */
size_t input_buffer_unread(const struct input_buffer *input);

/* Sets *at and *size to the space for the next bytes. *size may be 0. */
void input_buffer_space(struct input_buffer *input, uint8_t **at, size_t *size);

/* Adds `n` bytes that were received there. Returns all bytes, *size of them. */
const uint8_t *input_buffer_add(struct input_buffer *input, size_t n, size_t *size);

/* Keep the bytes data[0..size) that were not handled; size > 0. `data` is what input_buffer_add
 * returned, or a part of input->bytes. Return 0 or FC_ENOMEM. */
int input_buffer_keep_frames(struct input_buffer *input, const uint8_t *data, size_t size);
/* The bytes are an unfinished frame of `need` bytes (0: unknown). Makes room for more of it, or
 * waits for memory. */
int input_buffer_keep_unfinished(struct input_buffer *input, const uint8_t *data, size_t size,
                                 size_t need);

/* Frees the bytes and their reservation. Idempotent. */
void input_buffer_release(struct input_buffer *input);

/* Cancels waits for memory; keeps the bytes. Idempotent. */
void input_buffer_cancel_wait(struct input_buffer *input);

/* Returns true if a starved frame can be continued: its rest has arrived, or there is memory. */
bool input_buffer_can_continue(const struct input_buffer *input);

/* Notes that the frame has made progress with `size` bytes. */
void input_buffer_mark_progress(struct input_buffer *input, size_t size);

static inline bool input_buffer_is_waiting(const struct input_buffer *input) {
  return input->starved || read_reservation_is_waiting(&input->reservation);
}

#endif
