/* soak_sample.h - descriptors, mappings and memory of the processes of a soak at one moment, and
 * the files that the service manager keeps. The slope over many samples shows which of them grow.
 */
#ifndef FC_TESTS_SOAK_SAMPLE_H
#define FC_TESTS_SOAK_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/support/service_manager.h"

enum soak_value {
  SOAK_DAEMON_FDS,
  SOAK_DAEMON_MAPS,     /* lines of /proc/PID/maps */
  SOAK_DAEMON_ANON_KB,  /* RssAnon */
  SOAK_DAEMON_SHMEM_KB, /* RssShmem */
  SOAK_WORKER_FDS,      /* of all workers together, as the next two */
  SOAK_WORKER_MAPS,
  SOAK_WORKER_ANON_KB,
  SOAK_STORED,    /* descriptors that the service manager keeps */
  SOAK_STORED_KB, /* the memory of their files, mapped or not */
  SOAK_VALUES
};
extern const char *const soak_value_names[SOAK_VALUES];

struct soak_sample {
  double at_s;
  uint32_t kills;
  double values[SOAK_VALUES];
};

/* Reads all values. Returns false, with the reason on stderr, if a process has ended. */
bool soak_sample_take(struct soak_sample *sample, struct service_manager *manager,
                      const pid_t *workers, size_t n);

/* Returns by how much the least value of the second half of `n` samples (2 at least) is above that
 * of the first half. */
double soak_sample_rise(const struct soak_sample *samples, size_t n, enum soak_value value);

/* Returns the rise that is allowed: rises within it come from the randomness of the load. */
double soak_sample_tolerance(const struct soak_sample *samples, size_t n, enum soak_value value);

#endif
