/* compare_dist.h - how far apart two next-token distributions are. */
#ifndef DEMO_COMPARE_DIST_H
#define DEMO_COMPARE_DIST_H

#include "client/demo/result.h"

/* The Kullback-Leibler divergence of q from p, in nats, with all words that are
 * not listed in both taken together as one. Merging can only lower it: a lower
 * bound of the divergence over the whole vocabulary. */
double distribution_divergence(const struct distribution *p, const struct distribution *q);

/* The probability of everything, listed and tail: 1, but for rounding. */
double distribution_mass(const struct distribution *p);

#endif
