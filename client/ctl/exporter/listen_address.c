#include "client/ctl/exporter/listen_address.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 16

static bool refuse(char error[LISTEN_TEXT_SIZE], const char *text, const char *why) {
  (void)snprintf(error, LISTEN_TEXT_SIZE,
                 "\"%.60s\" is no address to listen on: %s. Give HOST:PORT, such as "
                 "127.0.0.1:9121 or [::1]:9121",
                 text, why);
  return false;
}

static bool copy_port(const char *text, char port[6]) {
  char *end;
  unsigned long number = strtoul(text, &end, 10);

  if (*text < '0' || *text > '9' || *end != '\0' || number > 65535)
    return false;
  (void)snprintf(port, 6, "%lu", number); /* fits */
  return true;
}

bool listen_address_parse(const char *text, struct listen_address *address,
                          char error[LISTEN_TEXT_SIZE]) {
  const char *colon = strrchr(text, ':'), *host = text;
  size_t size;

  if (!colon)
    return refuse(error, text, "the port is missing");
  size = (size_t)(colon - text);
  if (*text == '[') {
    if (size < 3 || colon[-1] != ']')
      return refuse(error, text, "there is no ]:PORT behind the [");
    host = text + 1;
    size -= 2;
  } else if (memchr(text, ':', size)) {
    return refuse(error, text, "an IPv6 address needs brackets");
  }
  if (size >= sizeof address->host)
    return refuse(error, text, "the host is too long");
  memcpy(address->host, host, size);
  address->host[size] = '\0';
  if (!copy_port(colon + 1, address->port))
    return refuse(error, text, "the port is no number up to 65535");
  return true;
}

/* ---- listen ---- */

static bool is_loopback(const struct sockaddr *address) {
  if (address->sa_family == AF_INET) {
    const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)address;

    return ntohl(in->sin_addr.s_addr) >> 24 == 127;
  }
  const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)address;

  return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

/* Sets the name to the address that the socket has. */
static void name_listener(struct listener *listener) {
  struct sockaddr_storage bound;
  socklen_t size = sizeof bound;
  char host[LISTEN_HOST_SIZE] = "?", port[8] = "?";
  bool is_ipv6;

  memset(&bound, 0, sizeof bound);
  (void)getsockname(listener->fd, (struct sockaddr *)&bound, &size); /* cannot fail here */
  (void)getnameinfo((struct sockaddr *)&bound, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV); /* "?" without a result */
  is_ipv6 = bound.ss_family == AF_INET6;
  (void)snprintf(listener->name, sizeof listener->name, "%s%s%s:%s", is_ipv6 ? "[" : "", host,
                 is_ipv6 ? "]" : "", port);
  listener->loopback = is_loopback((struct sockaddr *)&bound);
}

/* Returns a listening socket, or a negative errno. Without a host, an IPv6 socket serves IPv4 as
 * well. */
static int listen_on(const struct addrinfo *info, bool both) {
  int yes = 1, only = !both;
  int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int result = 0;

  if (fd < 0)
    return -errno;
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
      (info->ai_family == AF_INET6 &&
       setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only) < 0) ||
      bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
    result = -errno;
    (void)close(fd); /* nothing was written */
  }
  return result < 0 ? result : fd;
}

static const char *advice(int code) {
  switch (code) {
  case EADDRINUSE:
    return "another program listens there. Choose another port with --listen, or see "
           "\"ss -ltnp\"";
  case EADDRNOTAVAIL:
    return "this machine does not have the address. See \"ip address\"";
  case EACCES:
    return "ports below 1024 need privileges. Choose another port with --listen";
  default:
    return "choose another address with --listen";
  }
}

static const char *shown_host(const struct listen_address *address) {
  return *address->host ? address->host : "all addresses";
}

bool listen_address_open(const struct listen_address *address, struct listener *listener,
                         char error[LISTEN_TEXT_SIZE]) {
  bool all = *address->host == '\0';
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
  struct addrinfo *found = NULL;
  int code = getaddrinfo(all ? "::" : address->host, address->port, &hints, &found);

  listener->fd = -1;
  if (code != 0) {
    (void)snprintf(error, LISTEN_TEXT_SIZE, "cannot find the address of \"%.60s\": %s",
                   address->host, gai_strerror(code));
    return false;
  }
  listener->fd = listen_on(found, all);
  freeaddrinfo(found);
  if (all && listener->fd == -EAFNOSUPPORT) { /* a machine without IPv6 */
    struct sockaddr_in any = {.sin_family = AF_INET,
                              .sin_port = htons((uint16_t)strtoul(address->port, NULL, 10))};
    struct addrinfo ipv4 = {
        .ai_family = AF_INET, .ai_addr = (struct sockaddr *)&any, .ai_addrlen = sizeof any};

    listener->fd = listen_on(&ipv4, false);
  }
  if (listener->fd < 0) {
    (void)snprintf(error, LISTEN_TEXT_SIZE, "cannot listen on %.60s port %s (%s): %s",
                   shown_host(address), address->port, strerror(-listener->fd),
                   advice(-listener->fd));
    return false;
  }
  name_listener(listener);
  return true;
}
