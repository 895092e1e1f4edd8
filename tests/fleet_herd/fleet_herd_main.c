/* fleet_herd_main - 16 nodes of 8 workers want 2,000 keys: with fcached, and the plain way. Prints
 * a table, and fails if a key was computed twice. */
#include <check.h>
#include <stdio.h>

#include "fleet_herd.h"

#define PATIENCE_S 900

START_TEST(herd_of_16_nodes_computes_each_key_once) {
  static struct fleet_herd herd; /* large */
  herd = (struct fleet_herd){.nodes = 16,
                             .workers = 8,
                             .keys = 2000,
                             .compute_ns = 5000000,
                             .args = {"--max-bytes=64m", NULL}};
  fleet_herd_start(&herd);
  fleet_herd_race(&herd);
  fleet_herd_print_heads();
  fleet_herd_print(&herd, "fcached");
  fleet_herd_stop(&herd);
  ck_assert_uint_eq(herd.wrong, 0);
}
END_TEST

START_TEST(plain) {
  static struct fleet_herd herd; /* large */
  herd = (struct fleet_herd){.nodes = 16,
                             .workers = 8,
                             .keys = 2000,
                             .compute_ns = 5000000,
                             .plain_socket = "/tmp/acc-r.sock"};
  fleet_herd_start(&herd);
  fleet_herd_race(&herd);
  fleet_herd_print_heads();
  fleet_herd_print(&herd, "plain");
  fleet_herd_stop(&herd);
  ck_assert_uint_eq(herd.wrong, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fleet_herd");
  TCase *tests = tcase_create("fleet_herd");
  (void)setvbuf(stdout, NULL, _IOLBF, 0);
  tcase_set_timeout(tests, PATIENCE_S);
  tcase_add_test(tests, herd_of_16_nodes_computes_each_key_once);
  tcase_add_test(tests, plain);
  suite_add_tcase(suite, tests);
  int status = harness_main(suite);
  printf("%d passed, %d failed\n", status == 0, status != 0);
  return status;
}
