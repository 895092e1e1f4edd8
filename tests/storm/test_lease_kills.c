/* Whenever the owner of a lease is killed, its key is not locked, and a waiter is granted the
 * lease: $FC_LEASE_KILLS times. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "lease_kills.h"
#include "tests/support/harness.h"
#include "tests/support/library.h"
#include "tests/support/sanitizer.h"

#define KILLS (SANITIZER_SLOW ? 200u : 2000u)
#define KILLS_A_SECOND 50u /* that the slowest machine does: for the time limit */
#define LATE_NS UINT64_C(10000000)
#define LATEST_NS                                                                                  \
  UINT64_C(1000000000) /* for a machine that stalls; a term is hundreds of seconds */

static struct daemon served;

static void start(void) {
  harness_start(&served, NULL);
}

static void stop(void) {
  ck_assert_int_eq(harness_stop(&served), 0);
}

static uint32_t kills_asked(void) {
  const char *asked = getenv("FC_LEASE_KILLS");
  return asked == NULL ? KILLS : (uint32_t)strtoul(asked, NULL, 10);
}

static double ms(uint64_t ns) {
  return (double)ns / 1e6;
}

static void print(const struct lease_kills *kills) {
  printf("killed: %u, of them %u with a lease; %u values, %u grants by death, after %.2f ms (half "
         "of them), %.2f (99%%), %.2f at most; %u later than %.0f ms\n",
         kills->kills, kills->owned, kills->values, kills->grants,
         ms(lease_kills_percentile(kills, 50)), ms(lease_kills_percentile(kills, 99)),
         ms(lease_kills_percentile(kills, 100)), lease_kills_later(kills, LATE_NS), ms(LATE_NS));
}

START_TEST(owner_killed_any_time_key_not_locked) {
  struct lease_kills kills;

  bool done = lease_kills_run(served.socket, kills_asked(), &kills);
  print(&kills);
  ck_assert_uint_eq(kills.unanswered, 0);
  ck_assert_uint_eq(kills.wrong, 0);
  ck_assert_uint_eq(kills.locked, 0);
  ck_assert(done);
  /* enough of each kind happened */
  ck_assert_uint_ge(kills.grants, kills.owned / 2);
  ck_assert_uint_gt(kills.values, 0);
  ck_assert_uint_lt(lease_kills_percentile(&kills, 100), LATEST_NS);
  struct fcache *watch = library_open(served.socket, LEASE_KILLS_SPACE, "watch", 0);
  library_wait_stat(watch, "leases", 0);
  library_wait_stat(watch, "lease_waits", 0);
  library_wait_stat(watch, "clients", 1); /* itself */
  ck_assert_uint_ge(library_stat(watch, "leases_abandoned"), kills.grants);
  fcache_close(watch);
  lease_kills_free(&kills);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("lease_kills");
  TCase *tcase = tcase_create("kills");
  tcase_set_timeout(tcase, 20.0 + (double)kills_asked() / KILLS_A_SECOND);
  tcase_add_checked_fixture(tcase, start, stop);
  tcase_add_test(tcase, owner_killed_any_time_key_not_locked);
  suite_add_tcase(suite, tcase);
  return harness_main(suite);
}
