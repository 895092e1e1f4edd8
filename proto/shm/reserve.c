#include "proto/shm/reserve.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

/* Gives up what is left of a reservation between two addresses. */
static void trim(uint8_t *from, uint8_t *end) {
  if (from < end)
    (void)munmap(from, (size_t)(end - from)); /* on failure only addresses are lost */
}

static uint8_t *round_up(uint8_t *at, uintptr_t unit) {
  return at + (unit - (uintptr_t)at % unit) % unit;
}

uint8_t *fc_reserve(uint64_t front, uint64_t size, int protection) {
  if (size > SIZE_MAX - front - FC_HUGE_PAGE) {
    errno = ENOMEM;
    return NULL;
  }
  size_t bytes = (size_t)(front + size + FC_HUGE_PAGE);
  uint8_t *from = mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (from == MAP_FAILED)
    return NULL;
  uint8_t *base = round_up(from + front, FC_HUGE_PAGE);
  trim(from, base - front);
  trim(round_up(base + size, (uintptr_t)sysconf(_SC_PAGESIZE)), from + bytes);
  return base;
}
