#include "tests/support/tier_proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/child_process.h"
#include "tests/support/harness.h"
#include "tests/support/resp_counter.h"

enum { PAIRS_MAX = 32, CHUNK = 65536, END_TIMEOUT_MS = 20000, BACKLOG = 64 };
enum { FD_LISTEN, FD_CONTROL, FD_PAIRS }; /* places in the list of poll */

struct command {
  enum tier_proxy_mode mode;
  uint32_t delay_ms;
  char text[TIER_PROXY_TEXT_SIZE];
};

struct pair {
  int client_fd, server_fd; /* -1: none */
  struct resp_counter counter;
  bool swallowed; /* a command of this connection did not reach the server */
  uint64_t due_ns;
  size_t n_held; /* bytes of a reply that wait until due_ns */
  char held[CHUNK];
};

struct world {
  const char *server_socket;
  int listen_fd, control_fd;
  int test_fd; /* the other end of control_fd */
  struct command command;
  struct pair *pairs; /* PAIRS_MAX */
};

/* ---- connections ---- */

static bool send_all(int fd, const char *bytes, size_t n) {
  while (n > 0) {
    ssize_t sent = send(fd, bytes, n, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR)
      continue;
    if (sent <= 0)
      return false;
    bytes += sent;
    n -= (size_t)sent;
  }
  return true;
}

/* With `reset`, the client gets a reset instead of an end. */
static void close_pair(struct pair *pair, bool reset) {
  const struct linger now = {.l_onoff = 1};
  if (reset)
    (void)setsockopt(pair->client_fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  (void)close(pair->client_fd); /* nothing was written that could fail */
  if (pair->server_fd >= 0)
    (void)close(pair->server_fd);
  pair->client_fd = pair->server_fd = -1;
}

/* Returns a connection to the server, or -1 if it does not run. */
static int connect_server(const struct world *world) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  (void)snprintf(address.sun_path, sizeof address.sun_path, "%s", world->server_socket);
  if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
    return fd;
  if (fd >= 0)
    (void)close(fd);
  return -1;
}

static void accept_pair(struct world *world) {
  int fd = accept4(world->listen_fd, NULL, NULL, SOCK_CLOEXEC);
  const int on = 1;
  struct pair *pair = NULL;
  for (int i = 0; i < PAIRS_MAX && pair == NULL; i++)
    if (world->pairs[i].client_fd < 0)
      pair = &world->pairs[i];
  if (fd < 0)
    return; /* the client has gone */
  if (pair == NULL) {
    (void)close(fd);
    return;
  }
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  pair->client_fd = fd;
  pair->server_fd = connect_server(world);
  pair->counter = (struct resp_counter){0};
  pair->swallowed = false;
  pair->n_held = 0;
  if (pair->server_fd < 0)
    close_pair(pair, true);
}

/* ---- bytes ---- */

static void from_client(struct world *world, struct pair *pair) {
  char bytes[CHUNK];
  ssize_t n = recv(pair->client_fd, bytes, sizeof bytes, 0);
  const char *text = world->command.text;
  if (n <= 0) {
    close_pair(pair, false);
    return;
  }
  unsigned commands = resp_counter_read(&pair->counter, bytes, (size_t)n);
  bool good = true;
  switch (world->command.mode) {
  case TIER_PROXY_PASS:
  case TIER_PROXY_SLOW:
    good = send_all(pair->server_fd, bytes, (size_t)n);
    break;
  case TIER_PROXY_RESETS:
    good = false;
    break;
  case TIER_PROXY_SILENT:
    pair->swallowed = true;
    break;
  case TIER_PROXY_ANSWERS:
    for (unsigned i = 0; i < commands && good; i++)
      good = send_all(pair->client_fd, text, strlen(text));
    pair->swallowed = true;
    break;
  }
  if (!good)
    close_pair(pair, true);
}

static void release(struct pair *pair) {
  size_t n = pair->n_held;
  pair->n_held = 0;
  if (!send_all(pair->client_fd, pair->held, n))
    close_pair(pair, false);
}

static void from_server(struct world *world, struct pair *pair) {
  ssize_t n = recv(pair->server_fd, pair->held, sizeof pair->held, 0);
  if (n <= 0) {
    close_pair(pair, true);
    return;
  }
  pair->n_held = (size_t)n;
  pair->due_ns = harness_now_ns();
  if (world->command.mode == TIER_PROXY_SLOW)
    pair->due_ns += world->command.delay_ms * UINT64_C(1000000);
  else if (world->command.mode == TIER_PROXY_PASS)
    release(pair);
  else {
    pair->n_held = 0; /* a late reply of the server is lost */
    pair->swallowed = true;
  }
}

/* ---- the child ---- */

static bool obey(struct world *world) {
  char done = 'd';
  if (recv(world->control_fd, &world->command, sizeof world->command, 0) !=
      (ssize_t)sizeof world->command)
    return false; /* the test has ended */
  for (int i = 0; i < PAIRS_MAX && world->command.mode == TIER_PROXY_PASS; i++)
    if (world->pairs[i].client_fd >= 0 && world->pairs[i].swallowed)
      close_pair(&world->pairs[i], true);
  return send_all(world->control_fd, &done, 1);
}

/* Fills the list of poll, and returns the milliseconds until a reply is due, -1: never. A server
 * whose reply waits is not read. */
static int prepare(const struct world *world, struct pollfd fds[FD_PAIRS + 2 * PAIRS_MAX]) {
  uint64_t now_ns = harness_now_ns();
  int timeout_ms = -1;
  fds[FD_LISTEN] = (struct pollfd){.fd = world->listen_fd, .events = POLLIN};
  fds[FD_CONTROL] = (struct pollfd){.fd = world->control_fd, .events = POLLIN};
  for (int i = 0; i < PAIRS_MAX; i++) {
    const struct pair *pair = &world->pairs[i];
    fds[FD_PAIRS + 2 * i] = (struct pollfd){.fd = pair->client_fd, .events = POLLIN};
    fds[FD_PAIRS + 2 * i + 1] =
        (struct pollfd){.fd = pair->n_held > 0 ? -1 : pair->server_fd, .events = POLLIN};
    if (pair->client_fd < 0 || pair->n_held == 0)
      continue;
    int left_ms = pair->due_ns <= now_ns ? 0 : (int)((pair->due_ns - now_ns) / 1000000 + 1);
    if (timeout_ms < 0 || left_ms < timeout_ms)
      timeout_ms = left_ms;
  }
  return timeout_ms;
}

static void serve_pair(struct world *world, struct pair *pair, const struct pollfd fds[2]) {
  if (pair->client_fd >= 0 && fds[0].revents != 0)
    from_client(world, pair);
  if (pair->client_fd >= 0 && fds[1].revents != 0)
    from_server(world, pair);
  if (pair->client_fd >= 0 && pair->n_held > 0 && pair->due_ns <= harness_now_ns())
    release(pair);
}

static int run(void *arg) {
  struct world *world = arg;
  struct pollfd fds[FD_PAIRS + 2 * PAIRS_MAX];
  world->pairs = calloc(PAIRS_MAX, sizeof *world->pairs);
  CHILD_EXPECT(world->pairs != NULL);
  (void)close(world->test_fd); /* so that this child sees the end of the test */
  for (int i = 0; i < PAIRS_MAX; i++)
    world->pairs[i].client_fd = world->pairs[i].server_fd = -1;
  for (;;) {
    int timeout_ms = prepare(world, fds);
    if (poll(fds, sizeof fds / sizeof *fds, timeout_ms) < 0 && errno != EINTR)
      return 1;
    if (fds[FD_CONTROL].revents != 0 && !obey(world))
      return 0;
    for (int i = 0; i < PAIRS_MAX; i++)
      serve_pair(world, &world->pairs[i], &fds[FD_PAIRS + 2 * i]);
    if (fds[FD_LISTEN].revents != 0)
      accept_pair(world);
  }
}

/* ---- the test ---- */

void tier_proxy_start(struct tier_proxy *proxy, const char *server_socket) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int control[2], listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listen_fd < 0 || bind(listen_fd, (const struct sockaddr *)&address, sizeof address) != 0 ||
      listen(listen_fd, BACKLOG) != 0 ||
      getsockname(listen_fd, (struct sockaddr *)&address, &size) != 0 ||
      socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) != 0)
    ck_abort_msg("a proxy for the tier: %s", strerror(errno));
  struct world world = {.server_socket = server_socket,
                        .listen_fd = listen_fd,
                        .control_fd = control[1],
                        .test_fd = control[0]};
  proxy->port = ntohs(address.sin_port);
  (void)snprintf(proxy->url, sizeof proxy->url, "redis://127.0.0.1:%u", proxy->port);
  proxy->control_fd = control[0];
  proxy->pid = child_start(run, &world, NULL);
  (void)close(listen_fd);
  (void)close(control[1]);
}

void tier_proxy_set(struct tier_proxy *proxy, enum tier_proxy_mode mode, const char *text,
                    uint32_t delay_ms) {
  struct command command = {.mode = mode, .delay_ms = delay_ms};
  char done;
  (void)snprintf(command.text, sizeof command.text, "%s", text == NULL ? "" : text);
  if (send(proxy->control_fd, &command, sizeof command, MSG_NOSIGNAL) != (ssize_t)sizeof command ||
      recv(proxy->control_fd, &done, 1, 0) != 1)
    ck_abort_msg("the proxy of the tier has ended");
}

void tier_proxy_stop(struct tier_proxy *proxy) {
  if (proxy->pid == 0)
    return;
  (void)close(proxy->control_fd); /* which ends the child */
  ck_assert_int_eq(harness_wait(proxy->pid, END_TIMEOUT_MS), 0);
  proxy->pid = 0;
}
