/* fcachectl-exporter LISTEN [SOCKET] - the program that `fcachectl exporter` becomes. It is a
 * program of its own because libmicrohttpd loads the libraries of GnuTLS, which would cost each
 * start of fcachectl 1.6 ms. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client/ctl/exporter/http_server.h"
#include "client/ctl/exporter/listen_address.h"
#include "client/ctl/exporter/scrape.h"
#include "client/ctl/exporter/service_ready.h"
#include "client/ctl/report.h"
#include "client/lib/util/clock.h"

#define SECOND_NS ((uint64_t)1000 * CLOCK_MS_NS)
#define DEADLINE_NS (20 * SECOND_NS)     /* of a connection */
#define LOG_INTERVAL_NS (10 * SECOND_NS) /* between two lines about connections */

static void log_line(const char *line) {
  (void)report_error("%s", line);
}

/* A stranger may cause such lines. At most one in an interval is printed. */
static void log_connection(const char *line) {
  static uint64_t
      next_ns; /* the two callers hold different locks, and a lost line does not matter */
  uint64_t now_ns = clock_now_ns();

  if (now_ns < __atomic_load_n(&next_ns, __ATOMIC_RELAXED))
    return;
  __atomic_store_n(&next_ns, now_ns + LOG_INTERVAL_NS, __ATOMIC_RELAXED);
  (void)report_error("%s", line);
}

/* Blocks the signals that end the program, for all threads. */
static void block(sigset_t *ends) {
  (void)sigemptyset(ends);
  (void)sigaddset(ends, SIGTERM);
  (void)sigaddset(ends, SIGINT);
  (void)sigaddset(ends, SIGHUP);
  (void)sigprocmask(SIG_BLOCK, ends, NULL);
  (void)signal(SIGPIPE, SIG_IGN); /* a client that has gone */
}

/* Serves until a signal comes. */
static void serve(struct http_server *server, const sigset_t *ends) {
  const struct timespec second = {.tv_sec = 1};

  while (sigtimedwait(ends, NULL, &second) < 0 && (errno == EAGAIN || errno == EINTR))
    http_server_check_deadlines(server);
}

static int run(const struct listener *listener, const char *socket) {
  struct scrape scrape = {.socket = socket, .log = log_line};
  struct http_server_options options = {.listen_fd = listener->fd,
                                        .deadline_ns = DEADLINE_NS,
                                        .loopback = listener->loopback,
                                        .metrics = scrape_metrics,
                                        .arg = &scrape,
                                        .log = log_connection};
  struct http_server *server;
  sigset_t ends;

  block(&ends);
  server = http_server_start(&options);
  if (!server)
    return report_error("cannot start the HTTP server: %s", strerror(errno));
  (void)report_error("serving http://%s/metrics", listener->name);
  if (!listener->loopback)
    (void)report_error("warning: other machines can reach this address, and read the names of "
                       "namespaces. A firewall should allow Prometheus alone");
  service_ready();
  serve(server, &ends);
  http_server_stop(server);
  scrape_deinit(&scrape);
  return CTL_DONE;
}

int main(int argc, char **argv) {
  struct listen_address address;
  struct listener listener;
  char error[LISTEN_TEXT_SIZE];

  if (argc < 2 || argc > 3) {
    (void)report_error("fcachectl-exporter is a part of fcachectl: run fcachectl exporter");
    return CTL_USAGE;
  }
  if (!listen_address_parse(argv[1], &address, error)) {
    (void)report_error("%s", error);
    return CTL_USAGE;
  }
  if (!listen_address_open(&address, &listener, error))
    return report_error("%s", error);
  return run(&listener, argc > 2 ? argv[2] : NULL);
}
