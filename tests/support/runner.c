#include "runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int runner_run(Suite *suite) {
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

bool runner_lacks(const char *what) {
  if (getenv("FC_EMULATED") == NULL)
    return false;
  printf("skipped: the emulator has no %s\n", what);
  return true;
}

uint64_t runner_now_ms(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock */
  return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
}
