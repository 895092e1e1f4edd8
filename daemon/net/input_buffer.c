#include "daemon/net/input_buffer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <uv.h>

#include "proto/errors.h"
#include "proto/limits.h"
#include "proto/wire/frame.h"

#define KEEP_UNIT 16384u /* of small buffers above the floor: whole pages of their own */

static size_t round_up(size_t bytes, size_t unit) {
  return (bytes + unit - 1) / unit * unit;
}

/* Returns the reservation for a buffer of that capacity. */
static size_t charge_of(size_t capacity) {
  return capacity <= INPUT_FLOOR ? 0 : round_up(capacity + INPUT_MALLOC_BYTES, INPUT_PAGE_BYTES);
}

/* Returns the capacity of a small buffer for `bytes`. */
static size_t small_capacity(size_t bytes) {
  return bytes <= INPUT_FLOOR ? INPUT_FLOOR : round_up(bytes, KEEP_UNIT);
}

static bool is_large(const struct input_buffer *input) {
  return input->capacity > INPUT_SMALL;
}

size_t input_buffer_frame_bytes(uint32_t max_value) {
  return charge_of((size_t)max_value + FC_FRAME_SLACK + FC_FRAME_HEADER);
}

size_t input_buffer_unread(const struct input_buffer *input) {
  int unread = 0;
  return ioctl(input->fd, FIONREAD, &unread) < 0 || unread < 0 ? 0 : (size_t)unread;
}

void input_buffer_mark_progress(struct input_buffer *input, size_t size) {
  input->mark_bytes = size;
  input->mark_ns = uv_hrtime();
}

/* ---- receiving ---- */

/* A small frame whose rest is in the socket can be read and handled at once, without a reservation.
 * If it has to wait after all, the part of the budget for whole frames has room for it. That also
 * holds when a read returns less than the socket has, as descriptors in the stream end a read. */
static bool can_finish(const struct input_buffer *input) {
  return input->need > 0 && input->need <= INPUT_SMALL && !is_large(input) &&
         read_budget_has_room_whole(input->budget, INPUT_RESERVED_MAX) &&
         input->size + input_buffer_unread(input) >= input->need;
}

bool input_buffer_can_continue(const struct input_buffer *input) {
  return read_budget_has_room(input->budget, INPUT_RESERVED_MAX) || can_finish(input);
}

/* Many bytes at once save a copy of a large frame to where it is kept, and a system call. */
static bool can_fill_scratch(const struct input_buffer *input) {
  return input->size == 0 && read_budget_has_room(input->budget, INPUT_SCRATCH_RESERVED) &&
         user_can_charge(input->reservation.user, USER_FRAME_BYTES, INPUT_SCRATCH_RESERVED);
}

/* Returns the size to which the bytes may grow in the scratch buffer now. */
static size_t scratch_limit(const struct input_buffer *input) {
  if (can_fill_scratch(input))
    return INPUT_SCRATCH_SIZE;
  if (read_budget_has_room(input->budget, INPUT_RESERVED_MAX))
    return INPUT_SMALL;
  size_t limit = input->capacity > INPUT_FLOOR ? input->capacity : INPUT_FLOOR;
  return input->need > limit && can_finish(input) ? input->need : limit;
}

void input_buffer_space(struct input_buffer *input, uint8_t **at, size_t *size) {
  if (is_large(input)) {
    *at = input->bytes + input->size;
    *size = input->capacity - input->size;
    return;
  }
  size_t limit = scratch_limit(input);
  assert(limit >= input->size);
  if (input->size > 0)
    memcpy(input->scratch, input->bytes, input->size);
  *at = input->scratch + input->size;
  *size = limit - input->size;
}

const uint8_t *input_buffer_add(struct input_buffer *input, size_t n, size_t *size) {
  *size = input->size + n;
  if (*size >= input->mark_bytes + INPUT_PROGRESS)
    input_buffer_mark_progress(input, *size);
  if (!is_large(input))
    return input->scratch;
  assert(*size <= input->capacity);
  input->size = *size;
  return input->bytes;
}

/* ---- keeping ---- */

/* Moves the bytes to a buffer of that capacity, which is reserved. Returns 0 or FC_ENOMEM. */
static int move_to_buffer(struct input_buffer *input, const uint8_t *data, size_t size,
                          size_t capacity) {
  bool grows = data == input->bytes && is_large(input);
  size_t charge = charge_of(capacity);
  size_t bytes = charge > 0 ? charge - INPUT_MALLOC_BYTES : capacity;
  uint8_t *room = grows ? realloc(input->bytes, bytes) : malloc(bytes);
  if (room == NULL)
    return FC_ENOMEM;
  if (!grows) {
    memcpy(room, data, size);
    free(input->bytes);
  }
  input->bytes = room;
  input->capacity = capacity;
  input->size = size;
  return 0;
}

/* Keeps the bytes in a buffer of that capacity. The budget has room for it: input_buffer_space gave
 * no more than that. Returns 0 or FC_ENOMEM. */
static int keep(struct input_buffer *input, const uint8_t *data, size_t size, size_t capacity) {
  assert(data != NULL && size > 0 && size <= capacity);
  if (input->reservation.held_bytes == 0 && capacity > INPUT_FLOOR)
    input_buffer_mark_progress(input, size);
  bool reserved =
      read_budget_reserve_whole(input->budget, &input->reservation, charge_of(capacity));
  assert(reserved);
  if (!reserved) /* without assertions: hold nothing that is not charged */
    return FC_ENOMEM;
  bool same = capacity == input->capacity;
  if (!same) {
    int rc = move_to_buffer(input, data, size, capacity);
    if (rc < 0)
      return rc;
  } else {
    if (data != input->bytes) /* a large frame that waits is not moved */
      memmove(input->bytes, data, size);
    input->size = size;
  }
  /* One that waits wants more. A large one may have the spare buffer, which is larger. */
  if (!read_reservation_is_waiting(&input->reservation) && !(same && is_large(input)))
    read_budget_shrink(input->budget, &input->reservation, charge_of(capacity));
  return 0;
}

static void set_starved(struct input_buffer *input, bool starved) {
  input->budget->starved += starved;
  input->budget->starved -= input->starved;
  input->starved = starved;
}

/* Returns the next capacity for an unfinished frame of `need` bytes (0: unknown). */
static size_t next_capacity(const struct input_buffer *input, size_t need) {
  if (need <= INPUT_FLOOR)
    return INPUT_FLOOR;
  if (need <= INPUT_SMALL)
    return INPUT_SMALL;
  size_t step = input->capacity < INPUT_STEP ? INPUT_STEP : 2 * input->capacity;
  return step < need ? step : need;
}

/* Moves the bytes to the budget's spare buffer, if its size suits: its pages are mapped already. */
static bool move_to_spare(struct input_buffer *input, const uint8_t *data, size_t size,
                          size_t capacity, size_t need) {
  if (is_large(input) || capacity <= INPUT_SMALL)
    return false;
  uint8_t *spare = read_budget_reuse_spare(input->budget, &input->reservation, charge_of(capacity),
                                           2 * charge_of(need));
  if (spare == NULL)
    return false;
  memcpy(spare, data, size);
  free(input->bytes);
  input->bytes = spare;
  input->size = size;
  input->capacity = input->reservation.held_bytes - INPUT_MALLOC_BYTES;
  if (input->capacity > need) /* nothing of the next frame is read into it */
    input->capacity = need;
  return true;
}

int input_buffer_keep_unfinished(struct input_buffer *input, const uint8_t *data, size_t size,
                                 size_t need) {
  struct read_budget *budget = input->budget;
  size_t capacity = next_capacity(input, need), now = input->capacity;
  set_starved(input, false);
  input->need = need;
  if (!is_large(input)) {
    now = small_capacity(size);
    if (size < INPUT_SMALL && read_budget_has_room(budget, INPUT_RESERVED_MAX))
      return keep(input, data, size, now);
    if (need > INPUT_SMALL && now > need) /* nothing of the next frame is read into it */
      now = need;
    if (!read_budget_reserve_whole(budget, &input->reservation, charge_of(now)))
      return FC_ENOMEM; /* as in `keep` */
  }
  bool grows = capacity > now && size >= (is_large(input) ? now : 0);
  if (grows && need <= INPUT_SMALL) {
    set_starved(input, need > now && !can_finish(input));
    return keep(input, data, size, now);
  }
  if (grows && move_to_spare(input, data, size, capacity, need)) {
    input_buffer_mark_progress(input, size);
    return 0;
  }
  if (grows && read_budget_reserve(budget, &input->reservation, charge_of(capacity))) {
    input_buffer_mark_progress(input, size);
    now = capacity;
  }
  return keep(input, data, size, now);
}

int input_buffer_keep_frames(struct input_buffer *input, const uint8_t *data, size_t size) {
  set_starved(input, false);
  input->need = 0;
  return keep(input, data, size, is_large(input) ? input->capacity : small_capacity(size));
}

void input_buffer_release(struct input_buffer *input) {
  size_t held_bytes = input->reservation.held_bytes;
  set_starved(input, false);
  read_budget_release(input->budget, &input->reservation);
  if (is_large(input))
    read_budget_give_spare(input->budget, input->bytes, held_bytes);
  else
    free(input->bytes);
  input->bytes = NULL;
  input->size = input->capacity = input->need = 0;
}

void input_buffer_cancel_wait(struct input_buffer *input) {
  read_budget_cancel_wait(input->budget, &input->reservation);
  set_starved(input, false);
}
