#include "tests/support/arena_fixture.h"

#include <check.h>

struct arena arena;
_Alignas(SLOTS_ALIGN) uint8_t arena_chunks[ARENA_CHUNKS][SLOTS_CHUNK_BYTES];

void arena_fixture_open_with(uint64_t size) {
  ck_assert_int_eq(arena_init(&arena, size, ARENA_CHUNKS, arena_chunks[0]), 0);
}

void arena_fixture_open(void) {
  arena_fixture_open_with(MiB);
}

void arena_fixture_close(void) {
  arena_check(&arena);
  arena_deinit(&arena);
}

arena_block alloc_block(uint64_t size) {
  arena_block block = arena_alloc(&arena, size, SOME_OWNER);
  ck_assert_uint_ne(block, 0);
  ck_assert_uint_eq(arena_owner(&arena, block), SOME_OWNER);
  ck_assert_uint_eq(arena_block_size(&arena, block), (size + 15) / 16 * 16);
  return block;
}

size_t alloc_all(arena_block *blocks, uint64_t size) {
  size_t n = 0;
  while (arena_free_bytes(&arena) >= size)
    blocks[n++] = alloc_block(size);
  return n;
}
