#include "tests/bench/requirements.h"

/* A metric of one row over the same of another, in each round. */
#define RATIO(a, what, b, which_side, limit)                                                       \
  {                                                                                                \
    .row = (a), .metric = METRIC_##what, .compare = COMPARE_RATIO, .against = (b),                 \
    .against_metric = METRIC_##what, .side = (which_side), .bound = (limit)                        \
  }
/* A metric of one row on its own. */
#define ALONE(a, what, which_side, limit)                                                          \
  { .row = (a), .metric = METRIC_##what, .side = (which_side), .bound = (limit) }

const struct bench_requirement bench_requirements[] = {
    /* over the socket: not behind memcached */
    RATIO("hit_socket/3100", P50, "memcached_get/3100", AT_MOST, 1.05),
    RATIO("put/3100", P50, "memcached_set/3100", AT_MOST, 1.05),
    RATIO("put/100000", P50, "memcached_set/100000", AT_MOST, 1.2),
    RATIO("put/1000000", P50, "memcached_set/1000000", AT_MOST, 1.3),
    RATIO("hit_many64/64", PER_S, "memcached_get_many64/64", AT_LEAST, 1.4),
    RATIO("hit_many64/3100", PER_S, "memcached_get_many64/3100", AT_LEAST, 1.1),
    RATIO("hit_many64/1000000", PER_S, "memcached_get_many64/1000000", AT_LEAST, 1.0),
    ALONE("hit_socket/3100", REGION_SHARE, AT_MOST, 0.0),

    /* in the region: hits are served there, and are this fast */
    ALONE("hit_region/64", REGION_SHARE, AT_LEAST, 0.999),
    ALONE("hit_region/3100", REGION_SHARE, AT_LEAST, 0.999),
    ALONE("hit_region/1000000", REGION_SHARE, AT_LEAST, 0.999),
    ALONE("hit_region_20k/3100", REGION_SHARE, AT_LEAST, 0.999),
    ALONE("hit_region_200k/64", REGION_SHARE, AT_LEAST, 0.999),
    ALONE("hit_region_1m/64", REGION_SHARE, AT_LEAST, 0.999),
    RATIO("hit_region/64", P50, "lmdb_get/64", AT_MOST, 0.7),
    RATIO("hit_region/3100", P50, "lmdb_get/3100", AT_MOST, 0.8),
    RATIO("hit_region_20k/3100", P50, "lmdb_get_20k/3100", AT_MOST, 0.95),
    RATIO("hit_region_1m/64", P50, "lmdb_get_1m/64", AT_MOST, 0.5),
    RATIO("memcached_get/3100", P50, "hit_region/3100", AT_LEAST, 28),
    RATIO("redis_get/3100", P50, "hit_region/3100", AT_LEAST, 28),
    RATIO("memcached_get/3100/unpinned", P50, "hit_region/3100/unpinned", AT_LEAST, 100),
    RATIO("redis_get/3100/unpinned", P50, "hit_region/3100/unpinned", AT_LEAST, 100),
    {.row = "hit_region/64",
     .metric = METRIC_P50,
     .compare = COMPARE_ABOVE,
     .against = "memcpy/64",
     .against_metric = METRIC_P50,
     .side = AT_MOST,
     .bound = 0.15},
    /* values of one size: operations a second compare as bandwidth */
    RATIO("hit_region/1000000", PER_S, "memcpy/1000000", AT_LEAST, 0.9),

    /* with others at work; a write may send a reader to the socket sometimes. Rates of two readers,
     * and of a traced or watched worker, are by CPU time. */
    ALONE("hit_region_2proc/3100", REGION_SHARE, AT_LEAST, 0.999),
    ALONE("hit_region_2proc/3100", RATIO, AT_LEAST, 1.85),
    ALONE("hit_region_churn/3100", REGION_SHARE, AT_LEAST, 0.99),
    ALONE("hit_region_churn/3100", PUTS_PER_S, AT_LEAST, 9500),
    ALONE("hit_region_churn/3100", RATIO, AT_MOST, 1.5),
    ALONE("hit_region_traced/3100", REGION_SHARE, AT_LEAST, 0.999),
    ALONE("hit_region_traced/3100", TRACE_LOST, AT_MOST, 0),
    ALONE("hit_region_traced/3100", RATIO, AT_LEAST, 0.9),
    ALONE("hit_region_traced/3100", DAEMON_US, AT_MOST, 0.2),
    ALONE("hit_region_watched/3100", RATIO, AT_LEAST, 0.98),
    ALONE("put_watched/3100", RATIO, AT_LEAST, 0.98),

    /* a local hit does not know that a tier exists; a step of the clock is 5% of it */
    ALONE("hit_region_tier/3100", REGION_SHARE, AT_LEAST, 0.999),
    ALONE("hit_region_tier/3100", RATIO, AT_MOST, 1.05),
    ALONE("hit_region_tier_hung/3100", REGION_SHARE, AT_LEAST, 0.999),
    ALONE("hit_region_tier_hung/3100", RATIO, AT_MOST, 1.05),

    /* a fresh node of a warm fleet: 10,000 keys in batches of 64 */
    ALONE("fresh_node", COMPUTES, EXACTLY, 0),
    ALONE("fresh_node", WALL_S, AT_MOST, 1),

    /* one miss, one forward pass: 2,000 keys of 5 ms, one after the other, or two at a time */
    ALONE("herd8/fcached", COMPUTES, EXACTLY, 2000),
    ALONE("herd8/fcached", WALL_S, AT_MOST, 11.5),
    ALONE("herd8_staggered/fcached", COMPUTES, EXACTLY, 2000),
    ALONE("herd8_staggered/fcached", WALL_S, AT_MOST, 5.75),

    /* memory */
    {.row = "bytes_per_entry/fcached",
     .metric = METRIC_BYTES,
     .compare = COMPARE_RATIO,
     .against = "bytes_per_entry/fcached",
     .against_metric = METRIC_KEY_VALUE_BYTES,
     .side = AT_MOST,
     .bound = 1.08},
    RATIO("bytes_per_entry/fcached", BYTES, "bytes_per_entry/memcached", AT_MOST, 1.0),
    RATIO("bytes_per_entry/fcached", BYTES, "bytes_per_entry/redis", AT_MOST, 1.0),
};
const size_t bench_n_requirements = sizeof(bench_requirements) / sizeof(bench_requirements[0]);
