/* The catalog: made, mapped again by its descriptor, and refused where a field is wrong. */
#include <check.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/region/catalog.h"
#include "proto/errors.h"
#include "tests/support/runner.h"

#define CHUNKS 100u

static const struct catalog_sizes sizes = {{
    [CATALOG_STORE] = {1000, 1},
    [CATALOG_TOTALS] = {80, 1},
    [CATALOG_NAMESPACES] = {1400, 1300},
    [CATALOG_MANIFESTS] = {16384, 1300},
    [CATALOG_LEASES] = {64, 65536},
}};

static struct catalog catalog;

static void create(bool shared) {
  struct error_text error;
  ck_assert_int_eq(catalog_create(&catalog, &sizes, CHUNKS, shared, &error), 0);
}

/* Closes the catalog, and returns a descriptor of its file, as the service manager keeps one. */
static int leave(void) {
  int fd = dup(catalog.fd);
  ck_assert_int_ge(fd, 0);
  catalog_deinit(&catalog);
  return fd;
}

static uint64_t file_bytes(void) {
  struct stat status;
  ck_assert_int_eq(fstat(catalog.fd, &status), 0);
  return (uint64_t)status.st_blocks * 512;
}

START_TEST(catalog_left_is_found_by_its_descriptor) {
  struct error_text why;
  create(true);
  uint64_t cache_id = catalog.header->cache_id;
  ck_assert_uint_ne(cache_id, 0);
  catalog_add_boot(&catalog, 5);
  for (int area = 0; area < CATALOG_AREAS; area++) {
    ck_assert(catalog_commit(&catalog, (enum catalog_area)area, 1));
    ck_assert(catalog_commit_one(&catalog, (enum catalog_area)area, 0, 8));
    memset(catalog_at(&catalog, (enum catalog_area)area, 0), 'a' + area, 8);
  }
  ck_assert(catalog_commit_one(&catalog, CATALOG_CHUNKS, CHUNKS - 1, CATALOG_CHUNK_BYTES));
  memset(catalog_at(&catalog, CATALOG_CHUNKS, CHUNKS - 1), 'z', CATALOG_CHUNK_BYTES);
  int fd = leave();
  ck_assert_int_eq(catalog_open(&catalog, fd, &sizes, 10 * CHUNKS, &why), 0);
  ck_assert_uint_eq(catalog.header->cache_id, cache_id);
  ck_assert(catalog_knows_boot(&catalog, 5) && !catalog_knows_boot(&catalog, 6));
  for (int area = 0; area < CATALOG_AREAS; area++) {
    const char *at = catalog_at(&catalog, (enum catalog_area)area, 0);
    ck_assert_int_eq(at[0], 'a' + area);
    ck_assert_int_eq(at[7], 'a' + area);
  }
  ck_assert_uint_eq(catalog_count(&catalog, CATALOG_CHUNKS), 10 * CHUNKS);
  const char *chunk = catalog_at(&catalog, CATALOG_CHUNKS, CHUNKS - 1);
  ck_assert_int_eq(chunk[CATALOG_CHUNK_BYTES - 1], 'z');
  catalog_deinit(&catalog);
  catalog_deinit(&catalog);
}
END_TEST

START_TEST(memory_is_allocated_before_use_and_given_back) {
  create(true);
  uint64_t empty = file_bytes();
  ck_assert_uint_le(empty, catalog_fixed_bytes(&sizes));
  for (uint64_t i = 0; i < CHUNKS; i++)
    ck_assert(catalog_commit_one(&catalog, CATALOG_CHUNKS, i, CATALOG_CHUNK_BYTES));
  ck_assert_uint_eq(file_bytes(), empty + CHUNKS * CATALOG_CHUNK_BYTES);
  memset(catalog_at(&catalog, CATALOG_CHUNKS, 0), 'x', CHUNKS * CATALOG_CHUNK_BYTES);
  for (uint64_t i = 0; i < CHUNKS; i++)
    catalog_release(&catalog, CATALOG_CHUNKS, i);
  if (sysconf(_SC_PAGESIZE) <= (long)CATALOG_CHUNK_BYTES)
    ck_assert_uint_eq(file_bytes(), empty);
  ck_assert(catalog_commit(&catalog, CATALOG_LEASES, 65536));
  ck_assert_uint_eq(file_bytes(), empty + 65536 * 64);
  ck_assert(catalog_commit(&catalog, CATALOG_LEASES, 1));
  catalog_deinit(&catalog);
}
END_TEST

START_TEST(chunks_grow_in_place) {
  create(_i == 0);
  ck_assert(catalog_commit_one(&catalog, CATALOG_CHUNKS, 0, 8));
  char *first = catalog_at(&catalog, CATALOG_CHUNKS, 0);
  *first = 'f';
  ck_assert_int_eq(catalog_grow(&catalog, 100000), 0);
  ck_assert_ptr_eq(catalog_at(&catalog, CATALOG_CHUNKS, 0), first);
  ck_assert(catalog_commit_one(&catalog, CATALOG_CHUNKS, 99999, CATALOG_CHUNK_BYTES));
  memset(catalog_at(&catalog, CATALOG_CHUNKS, 99999), 'x', CATALOG_CHUNK_BYTES);
  ck_assert_int_eq(catalog_grow(&catalog, 10), 0); /* never shrinks */
  ck_assert_uint_eq(catalog_count(&catalog, CATALOG_CHUNKS), 100000);
  ck_assert_int_eq(*first, 'f');
  catalog_deinit(&catalog);
}
END_TEST

START_TEST(catalog_private_has_no_descriptor) {
  create(false);
  ck_assert_int_eq(catalog.fd, -1);
  ck_assert(catalog_commit(&catalog, CATALOG_NAMESPACES, 3));
  ck_assert(catalog_commit_one(&catalog, CATALOG_MANIFESTS, 7, 16384));
  memset(catalog_at(&catalog, CATALOG_MANIFESTS, 7), 'm', 16384);
  catalog_release(&catalog, CATALOG_MANIFESTS, 7);
  memset(catalog_spare_chunk(&catalog), 's', CATALOG_CHUNK_BYTES);
  catalog_deinit(&catalog);
}
END_TEST

/* ---- refused ---- */

static void check_refused(int fd, const struct catalog_sizes *with, const char *a, const char *b) {
  struct error_text why = {0};
  ck_assert_int_eq(catalog_open(&catalog, fd, with, CHUNKS, &why), FC_EREFUSED);
  ck_assert_msg(strstr(why.text, a) != NULL && strstr(why.text, b) != NULL, "%s: no %s or %s",
                why.text, a, b);
  catalog_deinit(&catalog);
}

#define FIELD(name) offsetof(struct catalog_header, name)

static const struct {
  size_t offset;
  uint64_t value;
  const char *texts[2];
} fields[] = {
    {FIELD(magic), 17, {"magic number is 17", "3550894020137075011"}},
    {FIELD(layout), (uint64_t)sizeof(struct catalog_header) << 32 | 99, {"layout is 99", "is 1"}},
    {FIELD(layout), UINT64_C(7) << 32 | CATALOG_LAYOUT, {"size of the header is 7", "daemon's is"}},
    {FIELD(cache_id), 0, {"cache id is 0", ""}},
    {FIELD(areas[CATALOG_STORE].element_bytes), 999, {"area store", "is 999"}},
    {FIELD(areas[CATALOG_LEASES].count), 3, {"area leases", "65536"}},
    {FIELD(areas[CATALOG_MANIFESTS].offset), 3, {"area manifests: its offset is 3", ""}},
    {FIELD(areas[CATALOG_CHUNKS].offset), UINT64_MAX, {"area chunks: its offset", ""}},
    {FIELD(areas[CATALOG_CHUNKS].count), UINT64_MAX, {"number of chunks", "bound is"}},
    {FIELD(areas[CATALOG_CHUNKS].count), CATALOG_CHUNKS_MAX, {"file has", "its areas need"}},
    {FIELD(n_boots), 65, {"number of boots is 65", "bound is 64"}},
    {FIELD(current), 8, {"current region is 8", "bound is 7"}},
    {FIELD(regions[2].n_segments), 65, {"number of segments is 65", "bound is 64"}},
    {FIELD(regions[2].n_segments), 0, {"number of segments is 0", ""}},
    {FIELD(regions[2].segment_bytes), 0, {"number of segments", ""}},
    {FIELD(regions[2].size), 1, {"region size is 1", "2162688"}},
    {FIELD(regions[2].arena_offset), 16, {"region size", ""}},
    {FIELD(regions[2].n_buckets), 5000, {"number of buckets is 5000", ""}},
    {FIELD(regions[2].n_buckets), 0, {"number of buckets is 0", ""}},
};

START_TEST(field_wrong_is_refused_with_both_values) {
  create(true);
  catalog.header->regions[2] = (struct catalog_region){.boot_id = 9,
                                                       .size = (2u << 20) + 65536,
                                                       .arena_offset = 65536,
                                                       .arena_size = 2u << 20,
                                                       .n_buckets = 100,
                                                       .segment_bytes = 1u << 20,
                                                       .n_segments = 2};
  int fd = leave();
  uint64_t before;
  off_t at = (off_t)fields[_i].offset;
  struct error_text why;
  ck_assert_int_eq(pread(fd, &before, sizeof before, at), sizeof before);
  ck_assert_int_eq(pwrite(fd, &fields[_i].value, sizeof before, at), sizeof before);
  check_refused(fd, &sizes, fields[_i].texts[0], fields[_i].texts[1]);
  ck_assert_int_eq(pwrite(fd, &before, sizeof before, at), sizeof before);
  ck_assert_int_eq(catalog_open(&catalog, fd, &sizes, CHUNKS, &why), 0);
  catalog_deinit(&catalog);
}
END_TEST

START_TEST(other_elements_are_refused) {
  struct catalog_sizes other = sizes;
  other.areas[CATALOG_NAMESPACES].element_bytes = 1408;
  create(true);
  int fd = leave();
  check_refused(fd, &other, "area namespaces: its size of an element is 1400", "is 1408");
  (void)close(fd);
}
END_TEST

START_TEST(file_cut_is_refused_at_every_length) {
  create(true);
  int fd = leave();
  const off_t lengths[] = {0,
                           1,
                           100,
                           (off_t)sizeof(struct catalog_header) - 1,
                           (off_t)sizeof(struct catalog_header),
                           65536,
                           1 << 20};
  for (size_t i = sizeof lengths / sizeof lengths[0]; i-- > 0;) {
    ck_assert_int_eq(ftruncate(fd, lengths[i]), 0);
    char text[40];
    snprintf(text, sizeof text, "file has %ld bytes", (long)lengths[i]);
    check_refused(fd, &sizes, text, "need");
  }
  (void)close(fd);
}
END_TEST

START_TEST(other_files_are_refused) {
  FILE *file = tmpfile();
  int ends[2];
  ck_assert_ptr_nonnull(file);
  ck_assert_int_eq(pipe(ends), 0);
  struct stat status;
  ck_assert_int_eq(fstat(fileno(file), &status), 0);
  check_refused(ends[0], &sizes, "no memory file", "");
  check_refused(-1, &sizes, "no memory file", "");
  struct error_text why; /* on tmpfs the file has seals, and is too short */
  ck_assert_int_eq(catalog_open(&catalog, fileno(file), &sizes, CHUNKS, &why), FC_EREFUSED);
  (void)close(ends[0]);
  (void)close(ends[1]);
  (void)fclose(file);
}
END_TEST

START_TEST(boots_oldest_is_forgotten) {
  create(true);
  for (uint64_t boot = 1; boot <= 2 * CATALOG_BOOTS_MAX; boot++) {
    catalog_add_boot(&catalog, boot);
    catalog_add_boot(&catalog, boot); /* counts once */
  }
  ck_assert_uint_eq(catalog.header->n_boots, CATALOG_BOOTS_MAX);
  ck_assert(!catalog_knows_boot(&catalog, CATALOG_BOOTS_MAX));
  ck_assert(catalog_knows_boot(&catalog, CATALOG_BOOTS_MAX + 1));
  ck_assert(catalog_knows_boot(&catalog, 2 * CATALOG_BOOTS_MAX));
  ck_assert_uint_eq(catalog.header->boots[CATALOG_BOOTS_MAX - 1], 2 * CATALOG_BOOTS_MAX);
  catalog_deinit(&catalog);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("catalog");
  TCase *tcase = tcase_create("catalog");
  tcase_add_test(tcase, catalog_left_is_found_by_its_descriptor);
  tcase_add_test(tcase, memory_is_allocated_before_use_and_given_back);
  tcase_add_loop_test(tcase, chunks_grow_in_place, 0, 2);
  tcase_add_test(tcase, catalog_private_has_no_descriptor);
  tcase_add_loop_test(tcase, field_wrong_is_refused_with_both_values, 0,
                      sizeof fields / sizeof fields[0]);
  tcase_add_test(tcase, other_elements_are_refused);
  tcase_add_test(tcase, file_cut_is_refused_at_every_length);
  tcase_add_test(tcase, other_files_are_refused);
  tcase_add_test(tcase, boots_oldest_is_forgotten);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
