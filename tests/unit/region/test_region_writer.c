/* The layout of a region and the changes of its index. */
#include <check.h>
#include <string.h>

#include "client/lib/shm/region_reader.h"
#include "proto/shm/reserve.h"
#include "tests/support/runner.h"
#include "tests/support/shared_region.h"

START_TEST(region_of_any_size_has_layout) {
  static const uint64_t sizes[] = {1,         64u << 10, 1u << 20,  5000001,
                                   62u << 20, 64u << 20, 268435456, UINT64_C(5000000001)};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    struct region region;
    struct error_text why;
    ck_assert_int_eq(
        region_writer_init(&region, sizes[i], SHARED_MAX_VALUE, SHARED_BOOT_ID, false, &why), 0);
    const struct fc_region_header *header = region.header;
    ck_assert_uint_eq(header->magic, FC_REGION_MAGIC);
    ck_assert_uint_eq(header->layout, FC_REGION_LAYOUT);
    ck_assert_uint_eq(header->max_value, SHARED_MAX_VALUE);
    ck_assert_uint_eq(header->boot_id, SHARED_BOOT_ID);
    ck_assert_uint_eq(header->size, region.size);
    ck_assert_uint_eq(header->buckets_offset, FC_REGION_PAGE);
    ck_assert_uint_eq(header->n_buckets, region.n_buckets);
    ck_assert_uint_eq(header->arena_offset, region.arena_offset);
    ck_assert_uint_eq(header->arena_size, region.arena_size);
    ck_assert_uint_eq(header->segment_bytes, region.segment_bytes);
    ck_assert_uint_eq(header->n_segments, region.n_segments);
    ck_assert_uint_ge(region.segment_bytes, 1u << 20);
    ck_assert_uint_eq((uintptr_t)region.base % FC_HUGE_PAGE, 0);
    if (sizes[i] >= 64u << 20) { /* huge pages fit into each file */
      ck_assert_uint_eq(region.arena_offset % FC_HUGE_PAGE, 0);
      ck_assert_uint_eq(region.segment_bytes % FC_HUGE_PAGE, 0);
    }
    ck_assert_uint_eq(region.segment_bytes % FC_REGION_SEGMENT_UNIT, 0);
    ck_assert_uint_ge(region.n_segments * region.segment_bytes, region.arena_size);
    ck_assert_uint_lt((region.n_segments - 1) * region.segment_bytes, region.arena_size);
    ck_assert_uint_le(region.n_segments, FC_REGION_SEGMENTS_MAX);
    ck_assert_uint_ge(region.n_buckets, 64);
    ck_assert_uint_ge(region.index_bytes, FC_REGION_PAGE + region.n_buckets * 16);
    ck_assert_uint_lt(region.index_bytes,
                      FC_REGION_PAGE + region.n_buckets * 16 + FC_REGION_SEGMENT_UNIT);
    ck_assert_uint_ge(region.arena_offset, region.index_bytes);
    ck_assert_uint_lt(region.arena_offset, region.index_bytes + FC_HUGE_PAGE);
    ck_assert_uint_eq(region.arena_offset % FC_REGION_SEGMENT_UNIT, 0);
    ck_assert_uint_eq(region.arena_size % FC_REGION_PAGE, 0);
    ck_assert_uint_gt(region.arena_size, sizes[i]);
    ck_assert_uint_eq(region.size, region.arena_offset + region.arena_size);
    ck_assert_uint_eq(region_writer_overhead_bytes(sizes[i]),
                      region.index_bytes + region.arena_size - sizes[i]);
    region_writer_deinit(&region);
    region_writer_deinit(&region);
  }
}
END_TEST

START_TEST(client_with_boot_id_maps_region) {
  struct region region;
  struct region_reader map;
  shared_region_open(&region);
  ck_assert(!shared_region_map(&region, &map, SHARED_BOOT_ID + 1));
  ck_assert_ptr_null(map.base);
  ck_assert(shared_region_map(&region, &map, SHARED_BOOT_ID));
  ck_assert_uint_eq(map.size, region.size);
  ck_assert_uint_eq((uintptr_t)map.base % FC_HUGE_PAGE, 0);
  ck_assert(region_reader_is_live(&map));
  region_reader_unmap(&map);
  region_writer_deinit(&region);
}
END_TEST

static uint64_t sequence_of(const struct region *region, uint64_t digest) {
  return region->buckets[fc_region_bucket_of(digest, region->n_buckets)].sequence;
}

START_TEST(window_closed_raises_sequence_by_two) {
  struct region region;
  shared_region_open(&region);
  ck_assert_uint_eq(sequence_of(&region, 5), 0);
  ck_assert(region_writer_open(&region, 5));
  ck_assert_uint_eq(sequence_of(&region, 5), 1);
  ck_assert(!region_writer_open(&region, 5));
  ck_assert_uint_eq(sequence_of(&region, 5), 1);
  region_writer_close(&region, 5);
  ck_assert_uint_eq(sequence_of(&region, 5), 2);
  ck_assert(region_writer_open(&region, 5));
  region_writer_close(&region, 5);
  ck_assert_uint_eq(sequence_of(&region, 5), 4);
  ck_assert_uint_eq(sequence_of(&region, UINT64_MAX), 0);
  region_writer_deinit(&region);
}
END_TEST

START_TEST(chain_changed_has_entries_in_order) {
  struct region region;
  shared_region_open(&region);
  ck_assert(region_writer_commit(&region, FC_REGION_PAGE));
  struct fc_region_entry *entries[4];
  for (uint32_t i = 0; i < 4; i++)
    entries[i] = region_writer_at(&region, region.arena_offset + i * sizeof *entries[0]);
  ck_assert_ptr_null(region_writer_first(&region, 9));
  ck_assert(region_writer_open(&region, 9));
  for (uint32_t i = 0; i < 3; i++)
    region_writer_link(&region, 9, entries[i]);
  ck_assert_ptr_eq(region_writer_first(&region, 9), entries[2]);
  ck_assert_ptr_eq(region_writer_next(&region, entries[2]), entries[1]);
  ck_assert_ptr_eq(region_writer_next(&region, entries[1]), entries[0]);
  ck_assert_ptr_null(region_writer_next(&region, entries[0]));
  entries[3]->next = region_writer_offset(&region, entries[0]);
  region_writer_relink(&region, 9, entries[1], entries[3]);
  ck_assert_ptr_eq(region_writer_next(&region, entries[2]), entries[3]);
  ck_assert_ptr_eq(region_writer_next(&region, entries[3]), entries[0]);
  region_writer_unlink(&region, 9, entries[2]);
  region_writer_unlink(&region, 9, entries[0]);
  ck_assert_ptr_eq(region_writer_first(&region, 9), entries[3]);
  ck_assert_ptr_null(region_writer_next(&region, entries[3]));
  region_writer_unlink(&region, 9, entries[3]);
  region_writer_close(&region, 9);
  ck_assert_ptr_null(region_writer_first(&region, 9));
  region_writer_deinit(&region);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("region_writer");
  TCase *tcase = tcase_create("region_writer");
  tcase_add_test(tcase, region_of_any_size_has_layout);
  tcase_add_test(tcase, client_with_boot_id_maps_region);
  tcase_add_test(tcase, window_closed_raises_sequence_by_two);
  tcase_add_test(tcase, chain_changed_has_entries_in_order);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
