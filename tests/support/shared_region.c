#include "tests/support/shared_region.h"

#include <check.h>

void shared_region_open(struct region *region) {
  struct error_text why = {0};
  ck_assert_int_eq(
      region_writer_init(region, SHARED_MAX_BYTES, SHARED_MAX_VALUE, SHARED_BOOT_ID, true, &why),
      0);
  ck_assert_msg(region->fd >= 0, "%s", why.text);
}
