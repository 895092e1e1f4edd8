/* arena_fixture.h - the arena of a test program. Its chunks of records are outside of the arena. */
#ifndef FC_TESTS_ARENA_FIXTURE_H
#define FC_TESTS_ARENA_FIXTURE_H

#include "daemon/region/arena.h"
#include "daemon/region/arena_internal.h"

#define KiB ((uint64_t)1 << 10)
#define MiB ((uint64_t)1 << 20)
#define SOME_OWNER 77u
#define ARENA_CHUNKS 24u /* at most */

extern struct arena arena;
extern _Alignas(SLOTS_ALIGN) uint8_t arena_chunks[ARENA_CHUNKS][SLOTS_CHUNK_BYTES];

/* Make an arena of 1 MiB, or of `size` bytes, with one chunk of records. */
void arena_fixture_open(void);
void arena_fixture_open_with(uint64_t size);
void arena_fixture_close(void); /* checks all records first */

/* Allocates a block of SOME_OWNER, which must succeed. */
arena_block alloc_block(uint64_t size);

/* Allocates blocks of `size` until the arena is full. Returns their number. */
size_t alloc_all(arena_block *blocks, uint64_t size);

#endif
