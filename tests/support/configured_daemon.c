#include "tests/support/configured_daemon.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/library.h"

struct daemon configured_daemon;
char configured_dir[HARNESS_PATH_SIZE], configured_path[HARNESS_PATH_SIZE + 16];

void configured_write(const char *text) {
  FILE *file = fopen(configured_path, "w");
  ck_assert_ptr_nonnull(file);
  ck_assert_int_ge(fputs(text, file), 0);
  ck_assert_int_eq(fclose(file), 0);
}

void configured_start(const char *text, const char *extra) {
  configured_daemon = (struct daemon){0};
  harness_make_dir(configured_dir);
  (void)snprintf(configured_path, sizeof configured_path, "%s/x.conf", configured_dir);
  configured_write(text);
  harness_start(&configured_daemon, "--config", configured_path, extra, NULL);
  ck_assert_int_eq(setenv("FCACHE_SOCKET", configured_daemon.socket, 1), 0);
}

void configured_stop(void) {
  ck_assert_int_eq(harness_stop(&configured_daemon), 0);
}

void configured_expect_log(const char *text) {
  char *log = harness_log(&configured_daemon);
  ck_assert_msg(strstr(log, text) != NULL, "no \"%s\" in %s", text, log);
  free(log);
}

uint64_t configured_stat(const char *name) {
  struct fcache *watch = library_open(configured_daemon.socket, "watch", NULL, 0);
  uint64_t value = library_stat(watch, name);
  fcache_close(watch);
  return value;
}
