#include "daemon/os/passed_fds.h"

#include "daemon/base/parse.h"
#include "proto/errors.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */
#define FDS_MAX 4096

/* Returns the next name of a list "NAME:NAME", which it cuts in place, or "" behind the end. */
static const char *next_name(char **rest) {
  const char *name = strsep(rest, ":");
  return name == NULL ? "" : name;
}

static void receive_one(struct passed_fd *passed, int fd) {
  struct stat st;
  passed->fd = -1;
  if (fstat(fd, &st) < 0)
    return; /* closed before this process began */
  passed->is_socket = S_ISSOCK(st.st_mode);
  (void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* fails only for a closed descriptor */
  passed->fd = fd;
}

int passed_fds_receive(struct passed_fds *passed, struct error_text *error) {
  uint64_t n, pid;
  *passed = (struct passed_fds){0};
  if (!parse_whole_number(getenv("LISTEN_PID"), &pid) || pid != (uint64_t)getpid() ||
      !parse_whole_number(getenv("LISTEN_FDS"), &n) || n == 0)
    return 0;
  if (n > FDS_MAX)
    return error_text_set(error, FC_EINVAL, "LISTEN_FDS=%" PRIu64 " is too large: at most %d", n,
                          FDS_MAX);
  const char *names = getenv("LISTEN_FDNAMES");
  passed->names = strdup(names == NULL ? "" : names);
  passed->list = calloc(n, sizeof *passed->list);
  if (passed->names == NULL || passed->list == NULL) {
    passed_fds_deinit(passed);
    return error_text_set(error, FC_ENOMEM, "no memory for the descriptors of the service manager");
  }
  char *rest = passed->names;
  passed->n = (unsigned)n;
  for (unsigned i = 0; i < passed->n; i++) {
    passed->list[i].name = next_name(&rest);
    receive_one(&passed->list[i], FIRST_FD + (int)i);
  }
  return 0;
}

void passed_fds_deinit(struct passed_fds *passed) {
  for (unsigned i = 0; passed->list != NULL && i < passed->n; i++)
    if (passed->list[i].fd >= 0)
      (void)close(passed->list[i].fd); /* nothing was written */
  free(passed->list);
  free(passed->names);
  *passed = (struct passed_fds){0};
}
