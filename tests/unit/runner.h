/* runner.h - how a unit test's program runs its suite. */
#ifndef FC_TESTS_RUNNER_H
#define FC_TESTS_RUNNER_H

#include <check.h>

/* Runs the suite as $CK_VERBOSITY says, and frees it. Returns main's status. */
int runner_run(Suite *suite);

#endif
