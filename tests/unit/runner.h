/* runner.h - how a unit test's program runs its suite, and tells the time. */
#ifndef FC_TESTS_RUNNER_H
#define FC_TESTS_RUNNER_H

#include <check.h>
#include <stdint.h>

/* Runs the suite as $CK_VERBOSITY says, and frees it. Returns main's status. */
int runner_run(Suite *suite);

uint64_t runner_now_ms(void); /* CLOCK_MONOTONIC */

#endif
