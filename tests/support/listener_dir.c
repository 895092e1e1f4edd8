#include "listener_dir.h"

#include <check.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct listener_dir listener_dir;

void listener_dir_set_up(void) {
  strcpy(listener_dir.dir, "/tmp/fcached-test-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(listener_dir.dir));
  snprintf(listener_dir.path, sizeof listener_dir.path, "%s/s.sock", listener_dir.dir);
  snprintf(listener_dir.lock_path, sizeof listener_dir.lock_path, "%s.lock", listener_dir.path);
  unsetenv("LISTEN_PID");
  unsetenv("LISTEN_FDS");
  unsetenv("LISTEN_FDNAMES");
  unsetenv("XDG_RUNTIME_DIR");
}

static int remove_one(const char *name, const struct stat *st, int type, struct FTW *ftw) {
  (void)st, (void)type, (void)ftw;
  return remove(name);
}

void listener_dir_tear_down(void) {
  ck_assert_int_eq(nftw(listener_dir.dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

int listener_dir_open(struct listener *listener, const char *path) {
  struct listener_options options = {.path = path};
  memset(&listener_dir.error, 0, sizeof listener_dir.error);
  return listener_open(listener, &options, &listener_dir.error);
}

int listener_dir_connect(const char *path) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ck_assert_int_ge(fd, 0);
  if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
    return fd;
  close(fd);
  return -1;
}

void listener_dir_expect_error(const char *part) {
  ck_assert_msg(strstr(listener_dir.error.text, part) != NULL, "\"%s\" lacks \"%s\"",
                listener_dir.error.text, part);
}
