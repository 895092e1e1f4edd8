/* sim_random.h - the random numbers of a simulation: the same seed gives the same numbers. */
#ifndef FC_TESTS_SIM_RANDOM_H
#define FC_TESTS_SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct sim_random {
  uint64_t state; /* the seed to start */
};

uint64_t sim_random_next(struct sim_random *random);
/* Returns a number below n, which is not 0. */
uint64_t sim_random_below(struct sim_random *random, uint64_t n);
/* Returns true in `part` of a million cases. */
bool sim_random_chance(struct sim_random *random, uint32_t part);

/* Durations: exponential with this mean, and lognormal with this median. Two thirds of the latter
 * lie between median / e^sigma and median * e^sigma. */
uint64_t sim_random_exponential(struct sim_random *random, uint64_t mean_ns);
uint64_t sim_random_lognormal(struct sim_random *random, uint64_t median_ns, double sigma);

/* Puts n numbers into a random order. */
void sim_random_shuffle(struct sim_random *random, uint32_t *numbers, uint32_t n);

#endif
