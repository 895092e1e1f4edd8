#include "daemon/os/crash_count.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MAGIC UINT64_C(0x3154524154534346) /* "FCSTART1", little-endian */

struct counts {
  uint64_t magic;
  uint64_t starts;  /* since a daemon served, this one included */
  uint64_t crashes; /* soon after their starts, in a row */
  uint64_t began_s; /* CLOCK_MONOTONIC at the start of the latest daemon, */
  uint64_t crashed; /* which has crashed */
};

/* For the signal handler: one per process. */
static struct {
  int fd; /* 0: none */
  struct counts counts;
} own;

static uint64_t now_s(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail */
  return (uint64_t)now.tv_sec;
}

/* Returns true if the latest daemon began less than CRASH_COUNT_SOON_S ago. */
static bool is_young(void) {
  return now_s() - own.counts.began_s < CRASH_COUNT_SOON_S;
}

/* By pread and pwrite: a mapping of a file that another process shortens would raise SIGBUS. A
 * failure loses a count. */
static void write_counts(void) {
  ssize_t written = pwrite(own.fd, &own.counts, sizeof own.counts, 0);
  (void)written;
}

/* The signal has its default effect once the handler returns. */
static void on_crash(int signum) {
  own.counts.crashes = is_young() ? own.counts.crashes + 1 : 1;
  own.counts.crashed = 1;
  write_counts();
  (void)raise(signum); /* it may have come from another process: a watchdog sends SIGABRT */
}

/* SA_RESETHAND: the handler runs once. */
static void count_crashes(void) {
  static const int signals[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV};
  struct sigaction former, action = {.sa_handler = on_crash, .sa_flags = (int)SA_RESETHAND};
  for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
    if (sigaction(signals[i], NULL, &former) == 0 && former.sa_handler == SIG_DFL)
      (void)sigaction(signals[i], &action, NULL); /* cannot fail for these signals */
}

static struct fd_store_memory *find(struct fd_store *store) {
  for (unsigned i = 0; i < store->n_received; i++)
    if (store->received[i].fd >= 0 && strcmp(store->received[i].name, FD_STORE_STARTS) == 0)
      return &store->received[i];
  return NULL;
}

/* Returns the file with the counts, or -1. */
static int open_counts(struct fd_store *store) {
  struct fd_store_memory *memory = find(store);
  own.counts = (struct counts){.magic = MAGIC};
  if (memory != NULL) {
    struct counts read;
    int fd = memory->fd;
    if (pread(fd, &read, sizeof read, 0) == (ssize_t)sizeof read && read.magic == MAGIC)
      own.counts = read;
    memory->fd = -1; /* taken */
    return fd;
  }
  int fd = memfd_create("fcached-starts", MFD_CLOEXEC);
  if (fd < 0 || ftruncate(fd, sizeof own.counts) < 0) {
    if (fd >= 0)
      (void)close(fd);
    return -1;
  }
  fd_store_push(store, FD_STORE_STARTS, fd);
  return fd;
}

/* A daemon that served for a while and did not crash ends the row. How long ago a crash was says
 * nothing: to write a core file takes time. */
static void end_row(void) {
  if (own.counts.crashed == 0 && !is_young())
    own.counts.crashes = 0;
}

/* Keeps daemons that crash one after the other from using a processor. The first crash costs no
 * time, and neither do kills of daemons that serve. */
static void pause_after_crashes(void) {
  uint64_t n = own.counts.crashes > own.counts.starts ? own.counts.crashes : own.counts.starts;
  if (n < 2)
    return;
  uint64_t ms = (uint64_t)CRASH_COUNT_PAUSE_MS << (n < 8 ? n - 2 : 6);
  ms = ms < CRASH_COUNT_PAUSE_MAX_MS ? ms : CRASH_COUNT_PAUSE_MAX_MS;
  struct timespec left = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000 * 1000000)};
  while (nanosleep(&left, &left) < 0 && errno == EINTR)
    ;
}

bool crash_count_begin(struct fd_store *store) {
  if (!fd_store_is_available(store))
    return false;
  int fd = open_counts(store);
  if (fd < 0)
    return false; /* no descriptors or no memory: other steps of the start say so */
  own.fd = fd;
  end_row();
  pause_after_crashes();
  bool failed =
      own.counts.starts >= CRASH_COUNT_STARTS_MAX || own.counts.crashes >= CRASH_COUNT_CRASHES_MAX;
  if (failed)
    own.counts = (struct counts){.magic = MAGIC};
  own.counts.starts++;
  own.counts.began_s = now_s();
  own.counts.crashed = 0;
  write_counts();
  count_crashes();
  return failed;
}

void crash_count_ready(void) {
  if (own.fd == 0)
    return;
  own.counts.starts = 0;
  write_counts();
}
