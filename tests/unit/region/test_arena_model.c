/* Random operations of the arena beside a real buffer and a model: no byte is lost. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/arena_fixture.h"
#include "tests/support/runner.h"

#define MODEL_BLOCKS 2000u

struct model_block {
  arena_block block; /* 0: unused */
  uint64_t offset, size;
  uint8_t content; /* of all its bytes */
  bool pinned;
};

struct model {
  struct model_block blocks[MODEL_BLOCKS];
  uint8_t *bytes; /* of the arena */
  uint64_t used;
  uint64_t state; /* of the random numbers */
  bool is_chunk[ARENA_CHUNKS];
  unsigned compacted, in_pieces, renumbered, chunks_removed, moved_up;
};

static uint32_t draw(struct model *model, uint32_t below) {
  model->state = model->state * UINT64_C(6364136223846793005) + 1442695040888963407u;
  return (uint32_t)((model->state >> 33) % below);
}

static bool model_move(void *arg, arena_block block, uint64_t to) {
  struct model *model = arg;
  struct model_block *m = &model->blocks[arena_owner(&arena, block) - 1];
  ck_assert(m->block == block && m->offset == arena_offset(&arena, block) &&
            (to < m->offset || to >= m->offset + m->size));
  if (m->pinned)
    return false;
  model->moved_up += to > m->offset;
  memmove(model->bytes + to, model->bytes + m->offset, m->size);
  m->offset = to;
  return true;
}

/* Returns a random block that is used, or unused. NULL: none. */
static struct model_block *any(struct model *model, bool used) {
  for (uint32_t i = draw(model, MODEL_BLOCKS), n = 0; n < MODEL_BLOCKS; n++, i++)
    if ((model->blocks[i % MODEL_BLOCKS].block != 0) == used)
      return &model->blocks[i % MODEL_BLOCKS];
  return NULL;
}

static void model_add(struct model *model, arena_block block) {
  struct model_block *m = any(model, false);
  ck_assert_ptr_nonnull(m);
  *m = (struct model_block){
      .block = block,
      .offset = arena_offset(&arena, block),
      .size = arena_block_size(&arena, block),
      .content = (uint8_t)draw(model, 256),
      .pinned = draw(model, 50) == 0,
  };
  arena_set_owner(&arena, block, (uint64_t)(m - model->blocks) + 1);
  memset(model->bytes + m->offset, m->content, m->size);
  model->used += m->size;
}

static void model_add_pieces(struct model *model, uint64_t size, const arena_block *blocks,
                             size_t n) {
  uint64_t sum = 0;
  for (size_t i = 0; i < n; i++) {
    uint64_t piece = arena_block_size(&arena, blocks[i]);
    ck_assert(piece >= ARENA_PIECE_MIN || i == n - 1);
    sum += piece;
    model_add(model, blocks[i]);
  }
  ck_assert(n == 0 || (sum >= size && sum < size + ARENA_UNIT));
  model->in_pieces += n > 1;
}

/* Adds records if few are unused, and removes empty chunks. */
static void model_tidy(struct model *model) {
  arena_block from, to;
  uint32_t unused = 1;
  while (arena_compact_records(&arena, &from, &to)) {
    if (to == 0)
      continue;
    struct model_block *m = &model->blocks[arena_owner(&arena, to) - 1];
    ck_assert_uint_eq(m->block, from);
    m->block = to;
    model->renumbered++;
  }
  const struct slots_chunk *empty;
  while ((empty = slots_remove_empty(&arena.records)) != NULL) {
    model->is_chunk[((const uint8_t *)empty - arena_chunks[0]) / SLOTS_CHUNK_BYTES] = false;
    model->chunks_removed++;
  }
  ck_assert_uint_le(arena.records.n_slots,
                    arena.records.n_used + arena.records.n_used / 8 + (3u << ARENA_RECORD_BITS));
  if (arena_spare_records(&arena) >= 2 * ARENA_PIECES_MAX)
    return;
  while (model->is_chunk[unused])
    unused++;
  model->is_chunk[unused] = true;
  ck_assert_ptr_nonnull(slots_add(&arena.records, arena_chunks[unused]));
}

static void model_take(struct model *model) {
  model_tidy(model);
  uint64_t size = 1 + draw(model, 1u << (4 + draw(model, 14)));
  arena_block blocks[ARENA_PIECES_MAX];
  arena_block block = arena_alloc(&arena, size, SOME_OWNER);
  if (block != 0) {
    ck_assert_uint_eq(arena_block_size(&arena, block), (size + 15) / 16 * 16);
    model_add(model, block);
    return;
  }
  uint32_t way = draw(model, 3);
  if (way == 0) {
    size_t n = arena_alloc_pieces(&arena, size, SOME_OWNER, blocks);
    model_add_pieces(model, size, blocks, n);
  } else if (way == 1) {
    size_t n = arena_compact_pieces(&arena, size, SOME_OWNER, blocks, MiB / 4, model_move, model);
    model_add_pieces(model, size, blocks, n);
  } else if (arena_compact(&arena, size, MiB / 4, model_move, model)) {
    block = arena_alloc(&arena, size, SOME_OWNER);
    ck_assert_uint_ne(block, 0);
    model_add(model, block);
    model->compacted++;
  }
}

static void model_give(struct model *model, struct model_block *m) {
  arena_free(&arena, m->block);
  model->used -= m->size;
  m->block = 0;
}

static void model_check_block(const struct model *model, const struct model_block *m) {
  const uint8_t *bytes = model->bytes + m->offset;
  ck_assert(arena_offset(&arena, m->block) == m->offset &&
            arena_block_size(&arena, m->block) == m->size &&
            arena_owner(&arena, m->block) == (uint64_t)(m - model->blocks) + 1 &&
            !arena_is_hole(&arena, m->block));
  ck_assert(bytes[0] == m->content && memcmp(bytes, bytes + 1, m->size - 1) == 0);
}

static void model_check(const struct model *model) {
  arena_check(&arena);
  ck_assert_uint_eq(arena.used_bytes, model->used);
  for (uint32_t i = 0; i < MODEL_BLOCKS; i++)
    if (model->blocks[i].block != 0)
      model_check_block(model, &model->blocks[i]);
}

START_TEST(random_operations_keep_bytes_and_records) {
  struct model *model = calloc(1, sizeof *model);
  ck_assert_ptr_nonnull(model);
  model->bytes = malloc(MiB);
  ck_assert_ptr_nonnull(model->bytes);
  model->state = (uint64_t)_i;
  for (int i = 0; i < 30000; i++) {
    /* full most of the time, and almost empty at intervals */
    uint32_t takes = i % 10000 < 8000 ? 3 : 1;
    struct model_block *m = any(model, true);
    if (m == NULL || (arena_free_bytes(&arena) > MiB / 64 && draw(model, 4) < takes)) {
      model_take(model);
    } else {
      model_check_block(model, m);
      model_give(model, m);
    }
    if (i % 500 == 0)
      model_check(model);
  }
  ck_assert_uint_gt(model->compacted, 20);
  ck_assert_uint_gt(model->in_pieces, 20);
  ck_assert_uint_gt(model->renumbered, 100);
  ck_assert_uint_gt(model->chunks_removed, 2);
  ck_assert_uint_gt(model->moved_up, 20);
  for (uint32_t i = 0; i < MODEL_BLOCKS; i++)
    if (model->blocks[i].block != 0)
      model_give(model, &model->blocks[i]);
  arena_check(&arena);
  ck_assert_uint_eq(arena_largest(&arena), MiB);
  free(model->bytes);
  free(model);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("arena_model");
  TCase *tcase = tcase_create("arena_model");
  tcase_add_checked_fixture(tcase, arena_fixture_open, arena_fixture_close);
  tcase_set_timeout(tcase, 60);
  tcase_add_loop_test(tcase, random_operations_keep_bytes_and_records, 0, 4);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
