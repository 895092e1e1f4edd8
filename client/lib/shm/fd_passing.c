#include "client/lib/shm/fd_passing.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SURPLUS 8u /* descriptors that are received only to be closed; the kernel drops more */

void fd_passing_close(struct received_fds *received) {
  assert(received->n <= FD_PASSING_MAX);
  for (unsigned i = 0; i < received->n; i++)
    fd_identity_close(&received->fds[i]);
  *received = (struct received_fds){0};
}

bool fd_passing_is_complete(const struct received_fds *received) {
  return received->n >= FD_PASSING_MIN && !received->incomplete;
}

static void add_fd(struct received_fds *received, int fd) {
  if (received->n < FD_PASSING_MAX && fd_identity_set(&received->fds[received->n], fd) == 0) {
    received->n++;
    return;
  }
  (void)close(fd); /* a surplus one, with nothing written to it */
  received->incomplete = true;
}

static void add_from_message(struct received_fds *received, struct msghdr *message) {
  for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head != NULL;
       head = CMSG_NXTHDR(message, head)) {
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
      continue;
    size_t n = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < n; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(head) + i * sizeof fd, sizeof fd);
      add_fd(received, fd);
    }
  }
  if ((message->msg_flags & MSG_CTRUNC) != 0)
    received->incomplete = true;
}

/* Opens /dev/null on each of the numbers 0 to 2 that is free. Otherwise a received ring could get
 * one of them, and another thread's output would be written into it. Returns how many are open. */
static unsigned hold_low_numbers(int held[STDERR_FILENO + 1]) {
  unsigned n = 0;
  for (int low = 0; low <= STDERR_FILENO; low++)
    if (fcntl(low, F_GETFD) < 0 && errno == EBADF) {
      int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
      if (fd < 0)
        break;
      held[n++] = fd; /* the lowest free number; another thread may have taken `low` in between */
    }
  return n;
}

ssize_t fd_passing_receive(struct received_fds *received, int fd, void *to, size_t room,
                           int flags) {
  union {
    char bytes[CMSG_SPACE((FD_PASSING_MAX + SURPLUS) * sizeof(int))];
    struct cmsghdr align;
  } control;
  struct iovec piece = {to, room};
  struct msghdr message = {.msg_iov = &piece,
                           .msg_iovlen = 1,
                           .msg_control = control.bytes,
                           .msg_controllen = sizeof control.bytes};
  int held[STDERR_FILENO + 1];
  unsigned n_held = hold_low_numbers(held);
  ssize_t n = recvmsg(fd, &message, flags | MSG_CMSG_CLOEXEC);
  int error = errno;
  for (unsigned i = 0; i < n_held; i++)
    (void)close(held[i]); /* /dev/null: nothing to lose */
  if (n >= 0)
    add_from_message(received, &message);
  errno = error;
  return n;
}
