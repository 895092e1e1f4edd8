/* map_shared.h - maps a memory file that another process made. */
#ifndef FC_CLIENT_MAP_SHARED_H
#define FC_CLIENT_MAP_SHARED_H

#include <stddef.h>
#include <stdint.h>

/* Maps the whole file with the protection `prot`, out of core dumps and out of forked children.
 * Returns the address and *size, or NULL if the file may shrink (its seals), which would make reads
 * end the process, is empty or larger than `max_size`, or cannot be mapped. */
void *map_shared_fd(int fd, int prot, uint64_t max_size, size_t *size);

#endif
