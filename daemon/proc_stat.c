#include "daemon/proc_stat.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TEXT_MAX 1024u /* the fields before and up to field 22 take less */

/* Field 2 is the program's name in parentheses, which may hold spaces and parentheses itself: the
 * last one ends it. Behind it follow field 3, a letter, field 4, the parent, and so on. */
bool proc_stat_parse(const char *text, struct proc_stat *stat) {
  const char *behind = strrchr(text, ')');
  intmax_t parent;
  uintmax_t start;
  if (behind == NULL ||
      sscanf(behind + 1,
             " %*c %jd %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %ju",
             &parent, &start) != 2)
    return false;
  *stat = (struct proc_stat){.parent = (pid_t)parent, .start_ticks = start};
  return true;
}

bool proc_stat_read(pid_t pid, struct proc_stat *stat) {
  char path[64], text[TEXT_MAX];
  if (pid <= 0)
    return false;
  (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid); /* fits */
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return false;
  ssize_t n = read(fd, text, sizeof text - 1); /* the kernel makes it in one piece */
  (void)close(fd);                             /* only read */
  if (n <= 0)
    return false;
  text[n] = '\0';
  return proc_stat_parse(text, stat);
}

static uint64_t read_clock(clockid_t id) {
  struct timespec now;
  (void)clock_gettime(id, &now); /* cannot fail for these clocks */
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The kernel counts from boot on, also while the machine sleeps; we do not. */
uint64_t proc_stat_created_ns(uint64_t start_ticks) {
  long per_second = sysconf(_SC_CLK_TCK);
  uint64_t tick_ns = 1000000000u / (per_second > 0 ? (uint64_t)per_second : 100u);
  uint64_t since_boot_ns = (start_ticks + 1) * tick_ns;
  uint64_t now_ns = read_clock(CLOCK_MONOTONIC); /* first: the other must not be less */
  uint64_t asleep_ns = read_clock(CLOCK_BOOTTIME) - now_ns;
  return since_boot_ns > asleep_ns ? since_boot_ns - asleep_ns : 0;
}
