/* herd_board.h - what the workers of a herd write into memory that they share with the test. */
#ifndef FC_TESTS_HERD_BOARD_H
#define FC_TESTS_HERD_BOARD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define HERD_WORKERS_MAX 128u /* of all nodes */
#define HERD_KEYS_MAX 2000u
#define HERD_VALUE_BYTES 512u

struct herd_worker_board {
  _Atomic uint32_t computing;   /* 1 + the number of the key; 0: computes nothing */
  _Atomic uint64_t computed_ns; /* the end of the latest computation, by the monotonic clock */
  uint32_t computations;
  uint32_t without_tier; /* of the computations: began while the tier was away */
  uint32_t wrong;        /* values that are not those of their keys, and failed calls */
  uint32_t n_waits;      /* calls that computed nothing and were not served from shared memory */
  uint64_t began_ns;     /* of the first call */
  uint64_t ended_ns;     /* of the last call */
  uint32_t wait_us[HERD_KEYS_MAX];
};

struct herd_board {
  atomic_uint ready;                        /* workers that have connected */
  atomic_bool go;                           /* the common start */
  atomic_uint ended;                        /* workers that are through */
  atomic_bool away;                         /* a node may be without the tier */
  _Atomic uint32_t computed[HERD_KEYS_MAX]; /* computations of each key */
  struct herd_worker_board workers[HERD_WORKERS_MAX];
};

#endif
