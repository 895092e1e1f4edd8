#include "client/lib/util/fork_check.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

static size_t page_size(void) {
  return (size_t)sysconf(_SC_PAGESIZE);
}

volatile struct fork_check *fork_check_new(void) {
  void *page = mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED)
    return NULL;
  volatile struct fork_check *check = page;
  if (madvise(page, page_size(), MADV_WIPEONFORK) < 0)
    check->pid = getpid();
  check->marked = true;
  assert(!fork_check_is_child(check));
  return check;
}

void fork_check_free(volatile struct fork_check *check) {
  if (check != NULL)
    (void)munmap((void *)(uintptr_t)check, page_size()); /* fork_check_new mapped it */
}
