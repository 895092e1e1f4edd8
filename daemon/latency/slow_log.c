#include "daemon/latency/slow_log.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/check.h"

static void begin_period(struct slow_log *log, uint32_t index, uint64_t now_ns) {
  log->now = index;
  log->periods[index].n = log->periods[index].fastest = 0;
  log->periods[index].begun_ns = now_ns;
}

void slow_log_reset(struct slow_log *log, uint64_t now_ns) {
  for (uint32_t i = 0; i < SLOW_LOG_PERIODS; i++)
    begin_period(log, i, now_ns);
}

static void find_fastest(struct slow_period *period) {
  period->fastest = 0;
  for (uint32_t i = 1; i < period->n; i++)
    if (period->requests[i].total_ns < period->requests[period->fastest].total_ns)
      period->fastest = i;
}

void slow_log_add(struct slow_log *log, const struct slow_request *request,
                  const struct fc_str names[SLOW_NAMES]) {
  if (request->ended_ns - log->periods[log->now].begun_ns >= SLOW_LOG_PERIOD_NS)
    begin_period(log, (log->now + 1) % SLOW_LOG_PERIODS, request->ended_ns);
  struct slow_period *period = &log->periods[log->now];
  bool is_full = period->n == SLOW_LOG_REQUESTS;
  if (is_full && request->total_ns <= period->requests[period->fastest].total_ns)
    return;
  struct slow_request *kept = &period->requests[is_full ? period->fastest : period->n++];
  *kept = *request;
  for (int i = 0; i < SLOW_NAMES; i++) {
    kept->sizes[i] = names[i].data == NULL ? 0 : names[i].size;
    check_le(kept->sizes[i], FC_NAME_MAX);
    if (kept->sizes[i] > 0)
      memcpy(kept->names[i], names[i].data, kept->sizes[i]);
  }
  find_fastest(period);
}

static int by_duration(const void *a, const void *b) {
  const struct slow_request *one = *(const struct slow_request *const *)a;
  const struct slow_request *other = *(const struct slow_request *const *)b;
  if (one->total_ns != other->total_ns)
    return one->total_ns < other->total_ns ? 1 : -1;
  return (one->ended_ns < other->ended_ns) - (one->ended_ns > other->ended_ns);
}

uint32_t slow_log_sort(const struct slow_log *log,
                       const struct slow_request *sorted[SLOW_LOG_MAX]) {
  uint32_t n = 0;
  for (uint32_t p = 0; p < SLOW_LOG_PERIODS; p++)
    for (uint32_t i = 0; i < log->periods[p].n; i++)
      sorted[n++] = &log->periods[p].requests[i];
  qsort(sorted, n, sizeof *sorted, by_duration);
  return n;
}

uint64_t slow_log_since_ns(const struct slow_log *log) {
  uint64_t since_ns = UINT64_MAX;
  for (uint32_t p = 0; p < SLOW_LOG_PERIODS; p++)
    if (log->periods[p].begun_ns < since_ns)
      since_ns = log->periods[p].begun_ns;
  return since_ns;
}

struct fc_str slow_request_name(const struct slow_request *request, enum slow_name which) {
  check_lt(which, SLOW_NAMES);
  if (request->sizes[which] == 0)
    return (struct fc_str){0};
  return (struct fc_str){request->names[which], request->sizes[which]};
}
