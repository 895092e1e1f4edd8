#include "daemon/net/send_buffer.h"

#include <assert.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "daemon/base/check.h"

/* Lent buffers that a search for an unused one checks, because each check is a system call. */
#define CHECKED_MAX 4u

void send_buffers_init(struct send_buffers *pool, size_t limit_bytes) {
  size_t share = limit_bytes / 16;
  *pool =
      (struct send_buffers){.limit_bytes = limit_bytes,
                            .large_bytes = share < SEND_BUFFER_LARGE ? share : SEND_BUFFER_LARGE};
  pool->lent.next = pool->lent.prev = &pool->lent;
}

void send_buffers_deinit(struct send_buffers *pool) {
  check_eq(pool->used_bytes, 0);
  assert(pool->lent.next == &pool->lent);
}

/* Sets the size of the buffer. Returns the size that the kernel reports, or 0. */
static size_t set_size(int fd, int bytes) {
  socklen_t size = sizeof bytes;
  if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes) < 0 ||
      getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, &size) < 0 || bytes < 0)
    return 0;
  return (size_t)bytes;
}

void send_buffer_init(struct send_buffer *buffer, int fd) {
  *buffer = (struct send_buffer){.fd = fd};
  (void)set_size(fd, (int)SEND_BUFFER_SMALL); /* no value is refused */
}

size_t send_buffer_unread(int fd) {
  int unread = 0;
  return ioctl(fd, SIOCOUTQ, &unread) < 0 || unread < 0 ? 0 : (size_t)unread;
}

static void list_remove(struct send_buffer *buffer) {
  assert(buffer->prev != NULL && buffer->next != NULL); /* lent */
  buffer->prev->next = buffer->next;
  buffer->next->prev = buffer->prev;
  buffer->next = buffer->prev = NULL;
}

static void list_append(struct send_buffers *pool, struct send_buffer *buffer) {
  buffer->prev = pool->lent.prev;
  buffer->next = &pool->lent;
  buffer->prev->next = buffer;
  buffer->next->prev = buffer;
}

void send_buffer_return(struct send_buffers *pool, struct send_buffer *buffer) {
  if (buffer->bytes == 0)
    return;
  list_remove(buffer);
  check_le(buffer->bytes, pool->used_bytes);
  pool->used_bytes -= buffer->bytes;
  buffer->bytes = 0;
}

/* Takes a lent buffer back from a socket whose peer has read everything. */
static void take_back(struct send_buffers *pool) {
  struct send_buffer *buffer = pool->lent.next;
  for (unsigned i = 0; i < CHECKED_MAX && buffer != &pool->lent; i++) {
    struct send_buffer *next = buffer->next;
    if (send_buffer_unread(buffer->fd) == 0) {
      (void)set_size(buffer->fd, (int)SEND_BUFFER_SMALL); /* as in send_buffer_init */
      send_buffer_return(pool, buffer);
      return;
    }
    list_remove(buffer); /* the next call checks others */
    list_append(pool, buffer);
    buffer = next;
  }
}

/* Returns the memory of a buffer at most. The system may bound it lower. */
static size_t expected_bytes(size_t requested) {
  return 2 * requested + SEND_BUFFER_OVER_BYTES;
}

/* Lends a buffer of that size, if the pool then uses at most `most_bytes`. */
static bool lend(struct send_buffers *pool, struct send_buffer *buffer, size_t requested,
                 size_t most_bytes) {
  if (pool->used_bytes + expected_bytes(requested) > most_bytes)
    take_back(pool);
  if (pool->used_bytes + expected_bytes(requested) > most_bytes)
    return false;
  size_t size = set_size(buffer->fd, (int)requested);
  if (size == 0)
    return false;
  buffer->bytes = size + SEND_BUFFER_OVER_BYTES;
  pool->used_bytes += buffer->bytes;
  list_append(pool, buffer);
  return true;
}

bool send_buffer_enlarge(struct send_buffers *pool, struct send_buffer *buffer, bool large_reply) {
  size_t medium = pool->large_bytes < SEND_BUFFER_MEDIUM ? pool->large_bytes : SEND_BUFFER_MEDIUM;
  if (buffer->bytes > 0) {
    list_remove(buffer);
    list_append(pool, buffer);
    return true;
  }
  if (!large_reply)
    return lend(pool, buffer, medium, pool->limit_bytes / 4 * 3);
  return lend(pool, buffer, pool->large_bytes, pool->limit_bytes / 2) ||
         lend(pool, buffer, medium, pool->limit_bytes);
}
