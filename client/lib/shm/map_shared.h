/* map_shared.h - maps memory files that another process made. */
#ifndef FC_CLIENT_MAP_SHARED_H
#define FC_CLIENT_MAP_SHARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Returns false if the file may shrink (its seals), which would make reads end the process, or is
 * empty. *size: its bytes. */
bool map_shared_check(int fd, uint64_t *size);

/* Keeps a mapping out of core dumps and out of forked children. */
void map_shared_keep_private(void *base, size_t size);

/* Maps the whole file with the protection `prot`, out of core dumps and out of forked children.
 * Returns the address and *size, or NULL if the file fails map_shared_check, is larger than
 * `max_size`, or cannot be mapped. */
void *map_shared_fd(int fd, int prot, uint64_t max_size, size_t *size);

#endif
