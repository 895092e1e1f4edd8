#include "tests/fleet_sim/sim_clock.h"

#include "daemon/base/check.h"
#include "tests/fleet_sim/sim_memory.h"

void sim_clock_set(struct sim_clock *clock, struct sim_event *event, uint64_t at_ns) {
  check_le(clock->now_ns, at_ns);
  if (at_ns == UINT64_MAX)
    sim_clock_unset(clock, event);
  else if (event->entry.place == 0)
    sim_check_memory(timer_heap_add(&clock->heap, &event->entry, at_ns));
  else if (event->entry.at_ns != at_ns)
    timer_heap_move(&clock->heap, &event->entry, at_ns);
}

void sim_clock_unset(struct sim_clock *clock, struct sim_event *event) {
  timer_heap_remove(&clock->heap, &event->entry);
}

bool sim_clock_step(struct sim_clock *clock, uint64_t end_ns) {
  struct timer_heap_entry *entry = timer_heap_first(&clock->heap);
  if (entry == NULL || entry->at_ns > end_ns)
    return false;
  struct sim_event *event = (struct sim_event *)entry;
  timer_heap_remove(&clock->heap, entry);
  clock->now_ns = entry->at_ns;
  clock->events++;
  event->fire(event);
  return true;
}

void sim_clock_deinit(struct sim_clock *clock) {
  timer_heap_deinit(&clock->heap);
}
