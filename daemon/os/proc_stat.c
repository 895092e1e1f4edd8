#include "daemon/os/proc_stat.h"

#include "daemon/base/parse.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define TEXT_MAX 1024u /* fields 1 to 22 take less */

/* Returns the start of the field `n` after the one at `at`, or NULL if there are fewer. */
static const char *skip_fields(const char *at, unsigned n) {
  for (; n > 0 && at != NULL; n--) {
    at = strchr(at, ' ');
    at = at == NULL ? NULL : at + 1;
  }
  return at;
}

/* Field 2 is the program's name in parentheses. It may contain spaces and parentheses: the last
 * parenthesis ends it. Field 4 is the parent's pid, field 22 the start time. */
bool proc_stat_parse(const char *text, struct proc_stat *stat) {
  const char *behind = strrchr(text, ')'), *parent;
  uint64_t pid;
  if (behind == NULL)
    return false;
  parent = skip_fields(behind, 2);
  if (!parse_number_field(parent, &pid) || pid > INT32_MAX ||
      !parse_number_field(skip_fields(parent, 18), &stat->start_ticks))
    return false;
  stat->parent = (pid_t)pid;
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
  ssize_t n = read(fd, text, sizeof text - 1); /* one read returns it whole */
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

/* start_ticks includes the time that the machine was suspended, CLOCK_MONOTONIC does not. */
uint64_t proc_stat_created_ns(uint64_t start_ticks) {
  long per_second = sysconf(_SC_CLK_TCK);
  uint64_t tick_ns = 1000000000u / (per_second > 0 ? (uint64_t)per_second : 100u);
  uint64_t since_boot_ns = (start_ticks + 1) * tick_ns;
  uint64_t now_ns = read_clock(CLOCK_MONOTONIC); /* first, so that the difference is not negative */
  uint64_t asleep_ns = read_clock(CLOCK_BOOTTIME) - now_ns;
  return since_boot_ns > asleep_ns ? since_boot_ns - asleep_ns : 0;
}
