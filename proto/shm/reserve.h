/* reserve.h - reserves addresses at which the kernel can map huge pages.
 *
 * A huge page of 2 MiB is mapped as one only where its address and its offset in the file are both
 * multiples of 2 MiB. So is the address that fc_reserve returns. Where the parts of a region are
 * multiples of 2 MiB, too, this holds for each of its files. */
#ifndef FC_PROTO_RESERVE_H
#define FC_PROTO_RESERVE_H

#include <stdint.h>

#define FC_HUGE_PAGE (UINT64_C(2) << 20)

/* Reserves `size` bytes of addresses with that protection, and `front` bytes before them. `front`
 * is a multiple of the page size. Returns the address behind the front, a multiple of FC_HUGE_PAGE,
 * or NULL with errno if the address space is too small. Unmap both with munmap. */
uint8_t *fc_reserve(uint64_t front, uint64_t size, int protection);

#endif
