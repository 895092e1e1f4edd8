#include "daemon/os/clocksource.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "proto/shm/tsc.h"

#define CLOCKSOURCE_FILE "/sys/devices/system/clocksource/clocksource0/current_clocksource"

bool clocksource_is_tsc(void) {
  static const char tsc[] = "tsc\n";
  char name[16];
  if (!fc_tsc_is_invariant())
    return false;
  int fd = open(CLOCKSOURCE_FILE, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return false;
  ssize_t n = read(fd, name, sizeof name);
  (void)close(fd); /* only read */
  return n == (ssize_t)strlen(tsc) && memcmp(name, tsc, strlen(tsc)) == 0;
}
