#include "daemon/tier/reply_error.h"

#include <string.h>

#include "daemon/tier/key_slot.h"

static const struct {
  const char *code;
  enum reply_error kind;
} codes[] = {
    {"WRONGTYPE", REPLY_WRONG_TYPE},
    {"NOSCRIPT", REPLY_NO_SCRIPT},
    {"MOVED", REPLY_MOVED},
    {"ASK", REPLY_ASK},
    {"TRYAGAIN", REPLY_TRY_AGAIN},
    {"LOADING", REPLY_UNAVAILABLE},
    {"READONLY", REPLY_UNAVAILABLE},
    {"OOM", REPLY_UNAVAILABLE},
    {"NOPERM", REPLY_UNAVAILABLE},
    {"MISCONF", REPLY_UNAVAILABLE},
    {"BUSY", REPLY_UNAVAILABLE},
    {"CLUSTERDOWN", REPLY_UNAVAILABLE},
    {"MASTERDOWN", REPLY_UNAVAILABLE},
    {"NOREPLICAS", REPLY_UNAVAILABLE},
    {"NOAUTH", REPLY_UNAUTHORIZED},
    {"WRONGPASS", REPLY_UNAUTHORIZED},
};

enum reply_error reply_error_kind(const char *text, size_t size) {
  const char *space = size > 0 ? memchr(text, ' ', size) : NULL;
  size_t length = space != NULL ? (size_t)(space - text) : size;
  for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
    if (strlen(codes[i].code) == length && memcmp(codes[i].code, text, length) == 0)
      return codes[i].kind;
  return REPLY_REFUSED;
}

/* Parses the digits at *text, which end at `end` or at the character `stop`, as a number up to
 * `max`, and moves *text behind `stop`. */
static bool take_number(const char **text, const char *end, char stop, uint32_t max,
                        uint32_t *number) {
  const char *at = *text;
  uint32_t n = 0;
  for (; at < end && *at >= '0' && *at <= '9'; at++) {
    n = n * 10 + (uint32_t)(*at - '0');
    if (n > max)
      return false;
  }
  if (at == *text || (at < end && *at != stop) || (at == end && stop != '\0'))
    return false;
  *text = at < end ? at + 1 : end;
  *number = n;
  return true;
}

/* "MOVED 3999 10.0.0.7:6381", "ASK 3999 ::1:6381", "MOVED 3999 :6381" */
bool reply_error_redirect(const char *text, size_t size, struct redirect *redirect) {
  const char *end = text + size, *at = size > 0 ? memchr(text, ' ', size) : NULL;
  uint32_t slot, port;
  if (at == NULL)
    return false;
  at++;
  if (!take_number(&at, end, ' ', KEY_SLOTS - 1, &slot))
    return false;
  const char *colon = NULL;
  for (const char *c = at; c < end; c++)
    colon = *c == ':' ? c : colon; /* the last one: IPv6 addresses have others */
  if (colon == NULL || !cluster_host_take(redirect->host, at, (size_t)(colon - at)))
    return false;
  const char *port_text = colon + 1;
  if (!take_number(&port_text, end, '\0', UINT16_MAX, &port) || port == 0)
    return false;
  redirect->slot = (uint16_t)slot;
  redirect->port = (uint16_t)port;
  return true;
}
