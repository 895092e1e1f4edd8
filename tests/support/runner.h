/* runner.h - runs the suite of a unit test's program, and reads the clock. */
#ifndef FC_TESTS_RUNNER_H
#define FC_TESTS_RUNNER_H

#include <check.h>
#include <stdbool.h>
#include <stdint.h>

/* Runs the suite as $CK_VERBOSITY says, and frees it. Returns main's status. */
int runner_run(Suite *suite);

/* True where $FC_EMULATED says that an emulator runs the test, which has no `what` of the kernel's
 * (qemu-user: robust mutexes, limits of memory, an object's seals against holes, a peer's groups).
 * Then prints that the test is skipped. */
bool runner_lacks(const char *what);

uint64_t runner_now_ms(void); /* CLOCK_MONOTONIC */

#endif
