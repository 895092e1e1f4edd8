#include "tests/bench/helper.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST_NS = 10000000 };

struct work {
  int fd, parents; /* both ends */
  helper_fn *fn;
  void *arg;
};

/* The whole life of the helper: it reads a length and sends the results, until the stream ends. */
static int serve(void *arg) {
  const struct work *work = arg;
  (void)close(work->parents); /* an open copy would hide the parent's end */
  uint64_t ns = 0;
  while (recv(work->fd, &ns, sizeof(ns), MSG_WAITALL) == sizeof(ns)) {
    struct measure found = measure_none();
    if (work->fn(work->arg, ns, &found) != 0 ||
        send(work->fd, &found, sizeof(found), MSG_NOSIGNAL) != sizeof(found))
      return 1;
  }
  return 0;
}

int helper_start(struct helper *helper, const char *name, int cpu, helper_fn *fn, void *arg) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    fprintf(stderr, "bench: no socket pair for %s: %s\n", name, strerror(errno));
    return -1;
  }
  struct work work = {.fd = ends[1], .parents = ends[0], .fn = fn, .arg = arg};
  int result = child_fork(&helper->child, name, cpu, serve, &work);
  (void)close(ends[1]); /* the helper's */
  if (result != 0) {
    (void)close(ends[0]); /* unused */
    return -1;
  }
  helper->fd = ends[0];
  struct measure first;
  return helper_begin(helper, FIRST_NS) != 0 ? -1 : helper_end(helper, &first);
}

void helper_stop(struct helper *helper) {
  if (helper->child.pid == 0)
    return;
  (void)close(helper->fd); /* nothing unsent matters */
  child_stop(&helper->child);
}

int helper_begin(const struct helper *helper, uint64_t ns) {
  if (send(helper->fd, &ns, sizeof(ns), MSG_NOSIGNAL) == sizeof(ns))
    return 0;
  fprintf(stderr, "bench: cannot start a burst of %s: %s\n", helper->child.name, strerror(errno));
  return -1;
}

int helper_end(const struct helper *helper, struct measure *out) {
  if (recv(helper->fd, out, sizeof(*out), MSG_WAITALL) == sizeof(*out))
    return 0;
  fprintf(stderr, "bench: %s ended before its work was done\n", helper->child.name);
  return -1;
}
