/* sim_clock.h - the simulated time, and what happens when. Events of one time happen in the order
 * in which they were set. */
#ifndef FC_TESTS_SIM_CLOCK_H
#define FC_TESTS_SIM_CLOCK_H

#include "daemon/base/timer_heap.h"

/* Embedded in its owner. Zero to start. */
struct sim_event {
  struct timer_heap_entry entry; /* first */
  void (*fire)(struct sim_event *event);
};

struct sim_clock {
  uint64_t now_ns;
  uint64_t events; /* that happened */
  struct timer_heap heap;
};

/* Sets the time of an event, or another one. Not before now. UINT64_MAX: never. */
void sim_clock_set(struct sim_clock *clock, struct sim_event *event, uint64_t at_ns);
void sim_clock_unset(struct sim_clock *clock, struct sim_event *event);

/* Lets the next event happen. Returns false if there is none up to `end_ns`. */
bool sim_clock_step(struct sim_clock *clock, uint64_t end_ns);

void sim_clock_deinit(struct sim_clock *clock); /* no event is set */

#endif
