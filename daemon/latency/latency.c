#include "daemon/latency/latency.h"

#include <string.h>

#include "daemon/base/check.h"

static const struct {
  const char *path, *operation;
} names[LATENCY_KINDS] = {
    [LATENCY_REGION_HIT] = {"region", "hit"},
    [LATENCY_HIT] = {"socket", "hit"},
    [LATENCY_MISS] = {"socket", "miss"},
    [LATENCY_PUT] = {"socket", "put"},
    [LATENCY_GET_MANY] = {"socket", "get_many"},
    [LATENCY_PUT_MANY] = {"socket", "put_many"},
    [LATENCY_DELETE] = {"socket", "delete"},
    [LATENCY_CLEAR] = {"socket", "clear"},
    [LATENCY_LISTING] = {"socket", "listing"},
    [LATENCY_OTHER] = {"socket", "other"},
    [LATENCY_LEASE_WAIT] = {"socket", "lease_wait"},
    [LATENCY_QUEUE] = {"daemon", "queue"},
    [LATENCY_SERVE] = {"daemon", "serve"},
    [LATENCY_SEND] = {"daemon", "send"},
    [LATENCY_TIER] = {"daemon", "tier"},
    [LATENCY_TURN] = {"daemon", "turn"},
    [LATENCY_BACKGROUND] = {"daemon", "background"},
    [LATENCY_SNAPSHOT] = {"daemon", "snapshot"},
};

void latency_reset(struct latency *latency, uint64_t now_ns) {
  memset(latency->kinds, 0, sizeof latency->kinds);
  latency->since_ns = now_ns;
  slow_log_reset(&latency->slow, now_ns);
}

const char *latency_path(enum latency_kind kind) {
  check_lt(kind, LATENCY_KINDS);
  return names[kind].path;
}

const char *latency_operation(enum latency_kind kind) {
  check_lt(kind, LATENCY_KINDS);
  return names[kind].operation;
}
