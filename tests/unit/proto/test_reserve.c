/* Addresses that are reserved for huge pages. */
#include "proto/shm/reserve.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/runner.h"

/* Returns the bytes of addresses that this process has mapped. Reads without the C library's
 * buffers, which would map memory. */
static uint64_t mapped_bytes(void) {
  unsigned long long pages;
  char text[128] = {0};
  FILE *file = fopen("/proc/self/statm", "r");
  ck_assert_ptr_nonnull(file);
  ck_assert_ptr_nonnull(fgets(text, sizeof text, file));
  ck_assert_int_eq(fclose(file), 0);
  ck_assert_int_eq(sscanf(text, "%llu", &pages), 1);
  return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

START_TEST(reservation_aligned_and_trimmed) {
  static const uint64_t sizes[] = {65536, FC_HUGE_PAGE, 3 * FC_HUGE_PAGE + 65536};
  static const uint64_t fronts[] = {0, 65536};
  (void)mapped_bytes(); /* what stdio maps for the first file is not counted */
  for (unsigned i = 0; i < 12; i++) {
    uint64_t size = sizes[i % 3], front = fronts[i % 2], before = mapped_bytes();
    uint8_t *base = fc_reserve(front, size, PROT_READ | PROT_WRITE);
    ck_assert_ptr_nonnull(base);
    ck_assert_uint_eq((uintptr_t)base % FC_HUGE_PAGE, 0);
    ck_assert_uint_eq(mapped_bytes(), before + front + size);
    base[size - 1] = 1;
    *(base - front) = 1;
    ck_assert_int_eq(munmap(base - front, front + size), 0);
    ck_assert_uint_eq(mapped_bytes(), before);
    /* The next one is elsewhere in its huge page. */
    ck_assert(mmap(NULL, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
  }
}
END_TEST

START_TEST(too_large_reservation_refused) {
  static const uint64_t sizes[] = {UINT64_C(1) << 60, UINT64_MAX - FC_HUGE_PAGE, UINT64_MAX};
  for (unsigned i = 0; i < 3; i++) {
    errno = 0;
    ck_assert_ptr_null(fc_reserve(65536, sizes[i], PROT_NONE));
    ck_assert_int_eq(errno, ENOMEM);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("reserve");
  TCase *tcase = tcase_create("reserve");
  tcase_add_test(tcase, reservation_aligned_and_trimmed);
  tcase_add_test(tcase, too_large_reservation_refused);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
