#include "client/ctl/exporter/http_request.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ctl/metrics/metrics_text.h"

static const char text_type[] = "text/plain; charset=utf-8";
static const char page[] = "<!DOCTYPE html>\n"
                           "<html lang=\"en\"><title>fcached exporter</title>\n"
                           "<h1>fcached exporter</h1>\n"
                           "<p><a href=\"/metrics\">Metrics</a></p></html>\n";

static void reply_text(struct http_reply *reply, unsigned status, const char *type,
                       const char *text) {
  *reply = (struct http_reply){.status = status, .content_type = type, .body = strdup(text)};
  reply->size = reply->body ? strlen(text) : 0;
}

/* Copies the host without its port and brackets. Returns false if it is too long for a name. */
static bool host_name(const char *host, char *name, size_t room) {
  size_t size = *host == '[' ? strcspn(host, "]") : strcspn(host, ":");
  size_t skip = *host == '[';

  if (size < skip || size - skip >= room)
    return false;
  memcpy(name, host + skip, size - skip);
  name[size - skip] = '\0';
  return true;
}

bool http_host_is_local(const char *host) {
  static const char localhost[] = ".localhost";
  unsigned char address[sizeof(struct in6_addr)];
  char name[256];
  size_t size;

  if (!host_name(host, name, sizeof name))
    return false;
  if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
    return true;
  size = strlen(name);
  return !strchr(name, '.') ||
         (size >= sizeof localhost && strcmp(name + size - (sizeof localhost - 1), localhost) == 0);
}

static void reply_metrics(http_metrics_fn *metrics, void *arg, struct http_reply *reply) {
  *reply = (struct http_reply){.status = 200, .content_type = METRICS_CONTENT_TYPE};
  reply->body = metrics(arg, &reply->size);
}

void http_request_reply(const struct http_request *request, bool loopback, http_metrics_fn *metrics,
                        void *arg, struct http_reply *reply) {
  bool reads = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;

  if (loopback && request->host && !http_host_is_local(request->host))
    reply_text(reply, 403, text_type,
               "the Host header is no local name or address: the exporter listens on a loopback "
               "address. Use that address, or start it with another --listen\n");
  else if (strcmp(request->path, "/metrics") != 0 && strcmp(request->path, "/") != 0)
    reply_text(reply, 404, text_type, "there is no such page: see /metrics\n");
  else if (!reads)
    reply_text(reply, 405, text_type, "this method is not allowed: use GET\n");
  else if (request->path[1] == '\0')
    reply_text(reply, 200, "text/html; charset=utf-8", page);
  else
    reply_metrics(metrics, arg, reply);
  if (reply->status == 405)
    reply->allow = "GET, HEAD";
  if (!reply->body)
    reply->status = 500;
}
