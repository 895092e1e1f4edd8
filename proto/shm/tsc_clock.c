#include "proto/shm/tsc_clock.h"

static uint64_t load(const _Atomic uint64_t *word) {
  return atomic_load_explicit(word, memory_order_relaxed);
}

static void store(_Atomic uint64_t *word, uint64_t value) {
  atomic_store_explicit(word, value, memory_order_relaxed);
}

bool fc_tsc_clock_load(struct fc_tsc_clock *clock, const struct fc_region_header *header) {
  *clock = (struct fc_tsc_clock){0};
  /* Acquire: the words are not loaded before it, so they are of this write or a later one. */
  uint32_t sequence = atomic_load_explicit(&header->clock_sequence, memory_order_acquire);
  uint64_t ticks = load(&header->clock_ticks), ns = load(&header->clock_ns);
  uint64_t factor = load(&header->clock_factor);
  /* The fence orders the loads before the second load of the sequence: if one of them saw a later
   * write, that load sees its odd number or a later one. */
  atomic_thread_fence(memory_order_acquire);
  bool whole = sequence % 2 == 0 &&
               atomic_load_explicit(&header->clock_sequence, memory_order_relaxed) == sequence;
  if (!whole || factor < FC_TSC_FACTOR_MIN || factor > FC_TSC_FACTOR_MAX)
    return false;
  *clock = (struct fc_tsc_clock){.sequence = sequence,
                                 .ticks = ticks,
                                 .ns = ns,
                                 .factor = factor,
                                 .ticks_max = (FC_TSC_VALID_NS << 32) / factor};
  return true;
}

void fc_tsc_clock_store(struct fc_region_header *header, const struct fc_tsc_clock *clock) {
  /* Relaxed: the daemon alone writes it. */
  uint32_t sequence = atomic_load_explicit(&header->clock_sequence, memory_order_relaxed);
  atomic_store_explicit(&header->clock_sequence, sequence + 1, memory_order_relaxed);
  /* A reader that sees one of the words below sees the odd number too. */
  atomic_thread_fence(memory_order_release);
  store(&header->clock_ticks, clock->ticks);
  store(&header->clock_ns, clock->ns);
  store(&header->clock_factor, clock->factor);
  /* Release: a reader that loads the even number sees the words. */
  atomic_store_explicit(&header->clock_sequence, sequence + 2, memory_order_release);
}
