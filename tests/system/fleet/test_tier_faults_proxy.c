/* The way to the tier fails, or what answers there is no tier, as fault_scene.h says. The proxy
 * does it without the server, so one engine is enough. */
#include <check.h>

#include "tests/support/fault_scene.h"
#include "tests/support/harness.h"

static const struct tier_fault faults[] = {
    {.name = "slow", .mode = TIER_PROXY_SLOW},
    {.name = "resetting", .mode = TIER_PROXY_RESETS},
    {.name = "never replies", .mode = TIER_PROXY_SILENT},
    {.name = "loading",
     .mode = TIER_PROXY_ANSWERS,
     .text = "-LOADING Redis is loading the dataset in memory\r\n"},
    {.name = "cluster down",
     .mode = TIER_PROXY_ANSWERS,
     .text = "-CLUSTERDOWN The cluster is down\r\n"},
    {.name = "MOVED storm", .mode = TIER_PROXY_ANSWERS, .text = "-MOVED 7 127.0.0.1:%u\r\n"},
    {.name = "wrong protocol",
     .mode = TIER_PROXY_ANSWERS,
     .text = "HTTP/1.1 400 Bad Request\r\n\r\n"},
};

START_TEST(way_to_tier_fails_worker_waits_one_deadline) {
  const char *program = tier_any_program();
  if (program != NULL)
    fault_scene_run(program, &faults[_i]);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("tier_faults_proxy");
  TCase *tests = tcase_create("tier_faults_proxy");
  tcase_add_loop_test(tests, way_to_tier_fails_worker_waits_one_deadline, 0,
                      (int)(sizeof faults / sizeof *faults));
  suite_add_tcase(suite, tests);
  return harness_main(suite);
}
