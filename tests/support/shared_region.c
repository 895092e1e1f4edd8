#include "tests/support/shared_region.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

void shared_region_open(struct region *region) {
  struct error_text why = {0};
  ck_assert_int_eq(
      region_writer_init(region, SHARED_MAX_BYTES, SHARED_MAX_VALUE, SHARED_BOOT_ID, true, &why),
      0);
  ck_assert_msg(region->index_fd >= 0, "%s", why.text);
}

bool shared_region_map(const struct region *region, struct region_reader *map, uint64_t boot_id) {
  int fds[FC_REGION_FDS_MAX];
  unsigned n = region_writer_fds(region, fds);
  return region_reader_map_fds(map, fds, n, boot_id);
}

bool shared_region_map_of(pid_t owner, const struct region *region, struct region_reader *map,
                          uint64_t boot_id) {
  int fds[FC_REGION_FDS_MAX];
  char path[64];
  unsigned n = region_writer_fds(region, fds), opened = 0;
  for (; opened < n; opened++) {
    (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)owner, fds[opened]); /* fits */
    fds[opened] = open(path, O_RDONLY | O_CLOEXEC);
    if (fds[opened] < 0)
      break;
  }
  bool mapped = n > 0 && opened == n && region_reader_map_fds(map, fds, n, boot_id);
  while (opened > 0)
    (void)close(fds[--opened]); /* only read */
  return mapped;
}
