#include "client/lib/shm/map_shared.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

bool map_shared_check(int fd, uint64_t *size) {
  const int needed = F_SEAL_SHRINK | F_SEAL_GROW; /* else SIGBUS where the file was cut */
  int seals = fcntl(fd, F_GET_SEALS);
  struct stat status;
  if (seals < 0 || (seals & needed) != needed || fstat(fd, &status) < 0 || status.st_size <= 0)
    return false;
  *size = (uint64_t)status.st_size;
  return true;
}

void map_shared_keep_private(void *base, size_t size) {
  (void)madvise(base, size, MADV_DONTDUMP); /* on failure the core file is larger */
  (void)madvise(base, size, MADV_DONTFORK); /* on failure a child keeps the memory allocated */
}

void *map_shared_fd(int fd, int prot, uint64_t max_size, size_t *size) {
  uint64_t bytes;
  if (!map_shared_check(fd, &bytes) || bytes > max_size)
    return NULL;
  *size = (size_t)bytes;
  void *base = mmap(NULL, *size, prot, MAP_SHARED, fd, 0);
  if (base == MAP_FAILED)
    return NULL;
  map_shared_keep_private(base, *size);
  return base;
}
