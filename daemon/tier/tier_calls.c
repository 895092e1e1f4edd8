#include "daemon/tier/tier_calls.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/base/check.h"

#define CALLS_MIN 16u

static struct tier_call *call_at(const struct tier_calls *calls, uint32_t number) {
  return &calls->ring[number & (calls->capacity - 1)];
}

void tier_calls_deinit(struct tier_calls *calls) {
  free(calls->ring);
  *calls = (struct tier_calls){.first = calls->first + calls->n};
}

bool tier_calls_reserve(struct tier_calls *calls) {
  if (calls->n < calls->capacity)
    return true;
  if (calls->n >= TIER_CALLS_MAX)
    return false;
  struct tier_calls larger = *calls;
  larger.capacity = calls->capacity > 0 ? 2 * calls->capacity : CALLS_MIN;
  larger.ring = malloc(larger.capacity * sizeof *larger.ring);
  if (larger.ring == NULL)
    return false;
  for (uint32_t i = 0; i < calls->n; i++)
    *call_at(&larger, calls->first + i) = *call_at(calls, calls->first + i);
  free(calls->ring);
  *calls = larger;
  return true;
}

struct tier_call *tier_calls_add(struct tier_calls *calls) {
  check_lt(calls->n, calls->capacity);
  struct tier_call *call = call_at(calls, calls->first + calls->n++);
  *call = (struct tier_call){0};
  return call;
}

struct tier_call *tier_calls_first(struct tier_calls *calls) {
  return calls->n > 0 ? call_at(calls, calls->first) : NULL;
}

struct tier_call *tier_calls_last(struct tier_calls *calls) {
  return calls->n > 0 ? call_at(calls, calls->first + calls->n - 1) : NULL;
}

struct tier_call *tier_calls_find(const struct tier_calls *calls, uint32_t number) {
  return number - calls->first < calls->n ? call_at(calls, number) : NULL;
}

void tier_calls_pop(struct tier_calls *calls) {
  check_lt(0, calls->n);
  calls->first++;
  calls->n--;
}
