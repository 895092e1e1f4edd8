#include "client/lib/shm/fd_passing.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SURPLUS 8u /* that are taken in order to be closed; the kernel drops more by itself */

void passed_close(struct passed *passed) {
  for (unsigned i = 0; i < passed->n; i++)
    own_fd_close(&passed->fds[i]);
  *passed = (struct passed){0};
}

bool passed_is_whole(const struct passed *passed) {
  return passed->n == PASSED_WANTED && !passed->broken;
}

static void take_one(struct passed *passed, int fd) {
  if (passed->n < PASSED_WANTED && own_fd_take(&passed->fds[passed->n], fd) == 0) {
    passed->n++;
    return;
  }
  (void)close(fd); /* of who knows what, which we did not ask for */
  passed->broken = true;
}

static void take(struct passed *passed, struct msghdr *message) {
  for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head != NULL;
       head = CMSG_NXTHDR(message, head)) {
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
      continue;
    size_t n = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < n; i++) {
      int fd;
      memcpy(&fd, CMSG_DATA(head) + i * sizeof fd, sizeof fd);
      take_one(passed, fd);
    }
  }
  if ((message->msg_flags & MSG_CTRUNC) != 0)
    passed->broken = true;
}

/* Takes the numbers 0 to 2 where they are free, for a moment: what a program without standard
 * streams prints in another thread must not get into a ring. Returns how many. */
static unsigned hold_low_numbers(int held[STDERR_FILENO + 1]) {
  unsigned n = 0;
  for (int low = 0; low <= STDERR_FILENO; low++)
    if (fcntl(low, F_GETFD) < 0 && errno == EBADF) {
      int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
      if (fd < 0)
        break;
      held[n++] = fd; /* the lowest that was free, which another thread may have taken meanwhile */
    }
  return n;
}

ssize_t passed_receive(struct passed *passed, int fd, void *to, size_t room, int flags) {
  union {
    char bytes[CMSG_SPACE((PASSED_WANTED + SURPLUS) * sizeof(int))];
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
    (void)close(held[i]); /* of /dev/null */
  if (n >= 0)
    take(passed, &message);
  errno = error;
  return n;
}
