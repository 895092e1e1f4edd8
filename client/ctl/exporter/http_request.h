/* http_request.h - replies to one HTTP request. Without a socket, so that tests can call it. */
#ifndef FC_CTL_HTTP_REQUEST_H
#define FC_CTL_HTTP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>

struct http_request {
  const char *method, *path;
  const char *host; /* the header, or NULL */
};

struct http_reply {
  unsigned status;
  const char *content_type; /* static */
  const char *allow;        /* static: the header of that name, or NULL */
  char *body;               /* allocated: the caller frees it; NULL: out of memory, status 500 */
  size_t size;
};

/* Makes the text of /metrics, which the caller frees. Returns NULL without memory. */
typedef char *http_metrics_fn(void *arg, size_t *size);

/* Replies: GET and HEAD of /metrics, and of / with a link to it. Else 404, or 405 for another
 * method. `loopback`: the listener is reachable from this machine alone. Then a host that is
 * neither an address nor a local name is refused (403). Otherwise a page in a browser of this
 * machine could read the metrics under a name of its own. */
void http_request_reply(const struct http_request *request, bool loopback, http_metrics_fn *metrics,
                        void *arg, struct http_reply *reply);

/* Returns whether the value of a Host header is an address, or a name without a dot, which no
 * foreign page can have. */
bool http_host_is_local(const char *host);

#endif
