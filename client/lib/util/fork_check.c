#include "client/lib/util/fork_check.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

static size_t page_size(void) {
  return (size_t)sysconf(_SC_PAGESIZE);
}

volatile struct fork_mark *fork_mark_new(void) {
  void *page = mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED)
    return NULL;
  volatile struct fork_mark *mark = page;
  if (madvise(page, page_size(), MADV_WIPEONFORK) < 0)
    mark->pid = getpid();
  mark->marked = true;
  return mark;
}

void fork_mark_free(volatile struct fork_mark *mark) {
  if (mark != NULL)
    (void)munmap((void *)(uintptr_t)mark, page_size()); /* it was mapped by fork_mark_new */
}
