/* torn_copy.h - bytes that one process copies while another may change them.
 *
 * memcpy on such bytes is a data race, and a compiler may do with it what it likes
 * (load twice, call a libc function that reads ahead). These copy by relaxed atomic
 * words, or by machine code that the compiler cannot see into: some bytes may be
 * old and some new, and no more than that. They order nothing: the caller's fences
 * do. `shared` is a multiple of 8, and the bytes up to the next multiple of 8 behind
 * the last one are readable (and, for fc_shared_write, unused: zeroed). */
#ifndef FC_PROTO_SHARED_H
#define FC_PROTO_SHARED_H

#include <stddef.h>
#include <stdint.h>

/* Copies `size` bytes out of shared memory; any alignment of `to`. */
void fc_shared_read(void *to, const void *shared, size_t size);

/* Copies `size` bytes into it; any alignment of `from`. */
void fc_shared_write(void *shared, const void *from, size_t size);

/* Zeroes `size` bytes of it, a multiple of 8. */
void fc_shared_zero(void *shared, size_t size);

/* Moves `size` bytes towards lower addresses, where they may overlap, or anywhere where they do
 * not. Both are multiples of 8. */
void fc_shared_move_down(void *to, const void *from, size_t size);

#endif
