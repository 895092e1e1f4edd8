/* torn_copy.h - copies of bytes that another process may change at the same time.
 *
 * memcpy on such bytes is a data race: the compiler may load twice, or call a libc function that
 * reads ahead. These functions copy relaxed atomic words, or use machine code that the compiler
 * cannot change. The copy may mix old and new bytes. The caller's fences give the order. `shared`
 * is a multiple of 8. The bytes up to the next multiple of 8 behind the last one must be readable,
 * and fc_torn_write zeroes them. */
#ifndef FC_PROTO_TORN_COPY_H
#define FC_PROTO_TORN_COPY_H

#include <stddef.h>
#include <stdint.h>

/* Copies `size` bytes out of shared memory. `to` may have any alignment. */
void fc_torn_read(void *to, const void *shared, size_t size);

/* Copies `size` bytes into it. `from` may have any alignment. */
void fc_torn_write(void *shared, const void *from, size_t size);

/* Zeroes `size` bytes of it, a multiple of 8. */
void fc_torn_zero(void *shared, size_t size);

/* Moves `size` bytes to a lower address, where both may overlap, or to any place without overlap.
 * Both are multiples of 8. */
void fc_torn_move_down(void *to, const void *from, size_t size);

#endif
