#include "tests/fleet_sim/sim_random.h"

#include <math.h>

#define PI 3.14159265358979323846

uint64_t sim_random_next(struct sim_random *random) {
  uint64_t z = random->state += UINT64_C(0x9E3779B97F4A7C15); /* splitmix64 */
  z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
  return z ^ z >> 31;
}

uint64_t sim_random_below(struct sim_random *random, uint64_t n) {
  return sim_random_next(random) % n;
}

bool sim_random_chance(struct sim_random *random, uint32_t part) {
  return part > 0 && sim_random_below(random, 1000000) < part;
}

/* Returns a number above 0, at most 1. */
static double unit(struct sim_random *random) {
  return (double)((sim_random_next(random) >> 11) + 1) / 9007199254740992.0;
}

uint64_t sim_random_exponential(struct sim_random *random, uint64_t mean_ns) {
  return (uint64_t)(-log(unit(random)) * (double)mean_ns);
}

uint64_t sim_random_lognormal(struct sim_random *random, uint64_t median_ns, double sigma) {
  double gauss = sqrt(-2 * log(unit(random))) * cos(2 * PI * unit(random));
  return (uint64_t)((double)median_ns * exp(sigma * gauss));
}

void sim_random_shuffle(struct sim_random *random, uint32_t *numbers, uint32_t n) {
  for (uint32_t i = n; i > 1; i--) {
    uint32_t j = (uint32_t)sim_random_below(random, i), number = numbers[i - 1];
    numbers[i - 1] = numbers[j];
    numbers[j] = number;
  }
}
