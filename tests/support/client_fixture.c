#include "tests/support/client_fixture.h"

#include <check.h>
#include <dirent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fcache.h"
#include "tests/support/runner.h"
#include "tests/support/scripted_daemon.h"

struct client_lines client_lines;

void client_log(void *arg, const char *line) {
  (void)arg;
  if (client_lines.n++ == 0)
    (void)snprintf(client_lines.first, sizeof client_lines.first, "%s", line);
  (void)snprintf(client_lines.last, sizeof client_lines.last, "%s", line);
}

struct fcache *client_open(const char *path, uint32_t deadline_ms) {
  struct fcache_options options = FCACHE_OPTIONS_INIT;
  struct fcache_error error = {0};
  struct fcache *cache;
  options.socket = path;
  options.name_space = "test";
  options.client = "tester";
  options.deadline_ms = deadline_ms;
  options.log = client_log;
  ck_assert_msg(fcache_open(&options, &cache, &error) == FCACHE_OK, "%s", error.text);
  return cache;
}

struct fcache *client_open_connected(const char *path, uint32_t deadline_ms) {
  uint64_t end_ms = runner_now_ms() + CLIENT_LONG_MS;
  struct fcache *cache = client_open(path, deadline_ms);
  while (!fcache_connected(cache)) {
    ck_assert_uint_lt(runner_now_ms(), end_ms);
    fcache_close(cache);
    cache = client_open(path, deadline_ms);
  }
  return cache;
}

struct fcache_key client_key(const char *prompt) {
  return (struct fcache_key){
      .op = "op", .view = "base", .prompt = fcache_hash(prompt, strlen(prompt))};
}

int client_get(struct fcache *cache, const char *prompt) {
  struct fcache_key key = client_key(prompt);
  struct fcache_value value = {0};
  int rc = fcache_get(cache, &key, 0, &value);
  if (rc == FCACHE_OK) {
    ck_assert_uint_eq(value.size, 5);
    ck_assert_mem_eq(value.data, "value", 5);
  }
  fcache_value_free(&value);
  return rc;
}

void client_get_until(struct fcache *cache, int rc) {
  uint64_t end_ms = runner_now_ms() + CLIENT_LONG_MS;
  while (client_get(cache, "a") != rc) {
    ck_assert_msg(runner_now_ms() < end_ms, "no get gave %d: %s", rc, fcache_last_error(cache));
    (void)poll(NULL, 0, 1);
  }
}

static unsigned count_descriptors(void) {
  unsigned n = 0;
  DIR *dir = opendir("/proc/self/fd");
  ck_assert_ptr_nonnull(dir);
  while (readdir(dir) != NULL)
    n++;
  (void)closedir(dir);
  return n;
}

int client_sockets_to(const char *path, int *last) {
  int n = 0;
  for (int fd = 3; fd < 1024; fd++) {
    struct sockaddr_un address = {0};
    socklen_t size = sizeof address;
    if (getpeername(fd, (struct sockaddr *)&address, &size) != 0 ||
        strcmp(address.sun_path, path) != 0)
      continue;
    if (last != NULL)
      *last = fd;
    n++;
  }
  return n;
}

int client_socket_of(const char *path) {
  int fd;
  ck_assert_int_eq(client_sockets_to(path, &fd), 1);
  return fd;
}

static unsigned descriptors_before;

void client_set_up(void) {
  memset(&client_lines, 0, sizeof client_lines);
  (void)unsetenv("FCACHE_SOCKET");
  (void)unsetenv("FCACHE_DISABLE");
  (void)unsetenv("FCACHE_NAMESPACE");
  descriptors_before = count_descriptors();
}

void client_tear_down(void) {
  ck_assert_uint_eq(count_descriptors(), descriptors_before);
}

void client_serve_hits(struct scripted_daemon *scripted, int fd, unsigned nth) {
  (void)nth;
  uint8_t *body;
  struct fc_request request;
  if (!scripted_handshake(scripted, fd))
    return;
  while (scripted_read(scripted, fd, &body, &request)) {
    scripted_send_hit(fd, request.id, "value", 5);
    free(body);
  }
}

void client_serve_nothing(struct scripted_daemon *scripted, int fd, unsigned nth) {
  (void)nth;
  if (scripted_handshake(scripted, fd))
    scripted_wait_closed(fd);
}

void client_check_child(pid_t child) {
  int status;
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert(WIFEXITED(status));
  ck_assert_int_eq(WEXITSTATUS(status), 0);
}
