/* block.h - the memory that the arrays of one decoded value share.
 *
 * A block is a Python object, the base of each array that is a view into it, and lives as long as
 * one of them. No two values share a block, and the package never reads or writes it again. So a
 * caller may write into an array without an effect on the cache or on another result.
 *
 * A hit is received into a buffer whose encoded bytes contain those of the arrays. The block takes
 * over this buffer, so that they are not copied again. Bytes that are not aligned are moved down,
 * over encoded bytes that were read before. All functions need the GIL. */
#ifndef FCACHED_PY_BLOCK_H
#define FCACHED_PY_BLOCK_H

#include <Python.h>
#include <fcache.h>
#include <stdbool.h>
#include <stdint.h>

struct block;

/* The memory for the arrays of a value during its decoding. Zero it, and set `owned` or not. */
struct block_room {
  struct fcache_value *owned; /* the buffer with the encoded value, which a block may take over;
                                 NULL: the encoded bytes are borrowed, and are copied */
  bool copies;                /* whether the block has copies, and not the encoded value */
  struct block *block;        /* a reference; NULL before the first array */
  uint8_t *free, *end;        /* the part of the block that no array has yet */
};

/* Called once, when the module is imported. 0, or -1 with an exception. */
int block_init(void);

/* Finds room for an array: `size` encoded bytes, more than 0, at `bytes`, of which `left` follow in
 * the value with these. Copies or moves them to an address that is a multiple of 16, or at least of
 * `alignment`. Returns it, and in *base a new reference to the block. Returns NULL without an
 * exception if the array needs memory of its own: there is no room, or it is a small part of a
 * large block, which it would keep alive. */
uint8_t *block_place(struct block_room *room, const uint8_t *bytes, size_t size, size_t left,
                     size_t alignment, PyObject **base);

/* Ends the decoding. room->owned is empty if its memory was taken over. */
void block_room_end(struct block_room *room);

/* Gives an empty value the buffer of a block that was freed, if there is one. */
void block_recycle(struct fcache_value *value);

#endif
