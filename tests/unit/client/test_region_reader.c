/* The region's reader, on regions that the test builds: hits, misses, rejected headers and entries,
 * and arbitrary bytes. */
#include "client/lib/shm/region_reader.h"

#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/shm/torn_copy.h"
#include "tests/support/region_builder.h"
#include "tests/support/region_lookup.h"
#include "tests/support/runner.h"

#define SIZE 65536u
#define BUCKETS 4u
#define SPACE 11u

static struct region_build build;
static struct region_reader map;
static struct fcache_value value;
static struct region_reader_hit hit;

static void set_up(void) {
  void *base = aligned_alloc(4096, SIZE);
  ck_assert_ptr_nonnull(base);
  region_build_init(&build, base, SIZE, 1, BUCKETS);
  ck_assert(region_reader_attach(&map, base, SIZE));
}

static void tear_down(void) {
  fcache_value_free(&value);
  free(build.base);
}

static struct fc_key key_of(const char *prompt) {
  return (struct fc_key){.op = fc_str_of("op"),
                         .view = fc_str_of("base"),
                         .top_k = 3,
                         .prompt = fc_hash_prompt(prompt, strlen(prompt))};
}

static enum region_reader_result get_key(const struct fc_key *key) {
  return region_lookup(&map, SPACE, fc_key_digest(SPACE, key), key, &value, &hit);
}

static enum region_reader_result get(const char *prompt) {
  struct fc_key key = key_of(prompt);
  return get_key(&key);
}

static uint64_t add(const char *prompt, const char *text, uint32_t n_pieces) {
  struct fc_key key = key_of(prompt);
  return region_build_add(&build, SPACE, &key, text, (uint32_t)strlen(text), n_pieces);
}

static void check_hit(const char *prompt, const char *text) {
  ck_assert_int_eq(get(prompt), REGION_READER_HIT);
  ck_assert_uint_eq(value.size, strlen(text));
  if (value.size > 0)
    ck_assert_mem_eq(value.data, text, value.size);
  ck_assert_uint_eq(hit.compute_ns, 1000);
  ck_assert_uint_eq((uint32_t)hit.origin, 9);
}

static struct fc_region_bucket *bucket_of(const char *prompt) {
  struct fc_key key = key_of(prompt);
  return region_build_bucket(&build, SPACE, &key);
}

/* ---- lookups ---- */

START_TEST(get_many_entries_few_buckets_each_found) {
  char prompt[16], text[300];
  for (int i = 0; i < 60; i++) {
    (void)snprintf(prompt, sizeof prompt, "p%d", i);
    memset(text, 'a' + i % 26, sizeof text);
    text[i * 5 % 299] = '\0';
    (void)add(prompt, text, 0);
  }
  for (int i = 0; i < 60; i++) {
    (void)snprintf(prompt, sizeof prompt, "p%d", i);
    memset(text, 'a' + i % 26, sizeof text);
    text[i * 5 % 299] = '\0';
    check_hit(prompt, text);
  }
  ck_assert_int_eq(get("other"), REGION_READER_MISS);
}
END_TEST

START_TEST(get_other_key_part_miss) {
  struct fc_key key = key_of("a"), other = key;
  (void)add("a", "value", 0);
  ck_assert_int_eq(get_key(&key), REGION_READER_HIT);
  uint64_t digest = fc_key_digest(SPACE, &key); /* the same bucket whatever differs */
  ck_assert_int_eq(region_lookup(&map, SPACE + 1, digest, &key, &value, &hit), REGION_READER_MISS);
  other.top_k = 4;
  ck_assert_int_eq(region_lookup(&map, SPACE, digest, &other, &value, &hit), REGION_READER_MISS);
  other = key;
  other.prompt.bytes[15] ^= 1;
  ck_assert_int_eq(region_lookup(&map, SPACE, digest, &other, &value, &hit), REGION_READER_MISS);
  other = key;
  other.view = fc_str_of("bass");
  ck_assert_int_eq(region_lookup(&map, SPACE, digest, &other, &value, &hit), REGION_READER_MISS);
  other.op = fc_str_of("o"); /* the same letters together */
  other.view = fc_str_of("pbase");
  ck_assert_int_eq(region_lookup(&map, SPACE, digest, &other, &value, &hit), REGION_READER_MISS);
  other.op = fc_str_of("opb");
  other.view = fc_str_of("ase");
  ck_assert_int_eq(region_lookup(&map, SPACE, digest, &other, &value, &hit), REGION_READER_MISS);
}
END_TEST

START_TEST(get_longest_names_empty_value_hit) {
  char op[256], view[256];
  memset(op, 'o', 255);
  memset(view, 'v', 255);
  op[255] = view[255] = '\0';
  struct fc_key key = {.op = fc_str_of(op), .view = fc_str_of(view)};
  (void)region_build_add(&build, SPACE, &key, "", 0, 0);
  ck_assert_int_eq(get_key(&key), REGION_READER_HIT);
  ck_assert_uint_eq(value.size, 0);
  (void)add("a", "", 0);
  check_hit("a", "");
}
END_TEST

START_TEST(get_value_in_pieces_in_order) {
  char text[1001], prompt[8];
  for (size_t i = 0; i < sizeof text - 1; i++)
    text[i] = (char)('a' + i % 23);
  text[1000] = '\0';
  for (uint32_t n = 1; n <= FC_REGION_PIECES_MAX; n++) {
    (void)snprintf(prompt, sizeof prompt, "%u", n);
    (void)add(prompt, text, n);
    check_hit(prompt, text);
  }
}
END_TEST

START_TEST(get_larger_value_buffer_grows) {
  (void)add("long", "a value that is rather long", 0);
  (void)add("short", "short", 0);
  check_hit("long", "a value that is rather long");
  size_t capacity = value.capacity;
  check_hit("short", "short");
  ck_assert_uint_eq(value.capacity, capacity);
}
END_TEST

/* The last entry's padding is the arena's last byte: a reader beyond it is seen by a sanitizer. */
START_TEST(get_value_at_arena_end_hit) {
  struct fc_key key = key_of("end");
  uint32_t head = sizeof(struct fc_region_entry) + fc_region_names_bytes(2, 4);
  uint32_t size = (uint32_t)(build.size - build.next) - head - 3;
  char *text = malloc(size);
  ck_assert_ptr_nonnull(text);
  memset(text, 'z', size);
  (void)region_build_add(&build, SPACE, &key, text, size, 0);
  ck_assert_uint_eq(build.next, build.size);
  ck_assert_int_eq(get_key(&key), REGION_READER_HIT);
  ck_assert_uint_eq(value.size, size);
  ck_assert_mem_eq(value.data, text, size);
  free(text);
}
END_TEST

/* ---- life and death ---- */

START_TEST(is_live_until_owner_dies_or_retires) {
  ck_assert(region_reader_is_live(&map));
  atomic_store(&build.header->retired, 1);
  ck_assert(!region_reader_is_live(&map));
  atomic_store(&build.header->retired, 0);
  atomic_store(&build.header->owner, 0x40000000u); /* FUTEX_OWNER_DIED, and no id */
  ck_assert(!region_reader_is_live(&map));
  atomic_store(&build.header->owner, 0x40000000u | BUILD_OWNER);
  ck_assert(!region_reader_is_live(&map));
  atomic_store(&build.header->owner, 0);
  ck_assert(!region_reader_is_live(&map));
  atomic_store(&build.header->owner, 0x80000000u | BUILD_OWNER); /* FUTEX_WAITERS */
  ck_assert(region_reader_is_live(&map));
}
END_TEST

START_TEST(get_odd_sequence_busy) {
  (void)add("a", "value", 0);
  atomic_store(&bucket_of("a")->sequence, 7);
  ck_assert_int_eq(get("a"), REGION_READER_BUSY);
  atomic_store(&bucket_of("a")->sequence, 8);
  check_hit("a", "value");
}
END_TEST

/* ---- headers that make no sense ---- */

/* With one invalid word at a time. */
START_TEST(attach_invalid_header_rejected) {
  struct fc_region_header *header = build.header, right = *header;
  struct region_reader refused;
  const struct {
    size_t at;
    uint64_t wrong;
  } cases[] = {
      {offsetof(struct fc_region_header, magic), FC_REGION_MAGIC + 1},
      {offsetof(struct fc_region_header, size), SIZE - 4096},
      {offsetof(struct fc_region_header, size), SIZE + 4096},
      {offsetof(struct fc_region_header, buckets_offset), 0},
      {offsetof(struct fc_region_header, buckets_offset), 248},
      {offsetof(struct fc_region_header, buckets_offset), FC_REGION_PAGE + 8},
      {offsetof(struct fc_region_header, buckets_offset), SIZE},
      {offsetof(struct fc_region_header, buckets_offset), SIZE + 16},
      {offsetof(struct fc_region_header, buckets_offset), UINT64_MAX - 15},
      {offsetof(struct fc_region_header, n_buckets), 0},
      {offsetof(struct fc_region_header, n_buckets), SIZE},
      {offsetof(struct fc_region_header, n_buckets), UINT64_C(1) << 32},
      {offsetof(struct fc_region_header, n_buckets), UINT64_C(1) << 60},
      {offsetof(struct fc_region_header, n_buckets), UINT64_MAX},
      {offsetof(struct fc_region_header, arena_offset), 0},
      {offsetof(struct fc_region_header, arena_offset), FC_REGION_PAGE},
      {offsetof(struct fc_region_header, arena_offset), right.arena_offset + 8},
      {offsetof(struct fc_region_header, arena_offset), right.arena_offset + 16},
      {offsetof(struct fc_region_header, arena_offset), UINT64_MAX - 15},
      {offsetof(struct fc_region_header, arena_size), right.arena_size + 16},
      {offsetof(struct fc_region_header, arena_size), right.arena_size - 8},
      {offsetof(struct fc_region_header, arena_size), UINT64_MAX - 15},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    memcpy(build.base + cases[i].at, &cases[i].wrong, sizeof cases[i].wrong);
    ck_assert_msg(!region_reader_attach(&refused, build.base, SIZE), "case %zu", i);
    ck_assert_ptr_null(refused.base);
    memcpy(build.base, &right, offsetof(struct fc_region_header, retired));
  }
  for (uint32_t layout = 0; layout <= 3; layout += layout == 1 ? 2 : 1) {
    header->layout = layout;
    ck_assert(!region_reader_attach(&refused, build.base, SIZE));
  }
  header->layout = FC_REGION_LAYOUT;
  ck_assert(!region_reader_attach(&refused, build.base, sizeof *header - 1));
  ck_assert(!region_reader_attach(&refused, build.base + 8, SIZE - 8));
  ck_assert(region_reader_attach(&map, build.base, SIZE));
}
END_TEST

/* ---- entries that make no sense ---- */

START_TEST(get_invalid_offset_busy) {
  const uint64_t wrong[] = {1,
                            8,
                            FC_REGION_PAGE,
                            build.header->arena_offset - 16,
                            build.next + 8,
                            SIZE - 48,
                            SIZE,
                            SIZE + 16,
                            UINT64_C(1) << 40,
                            UINT64_MAX - 15,
                            UINT64_MAX};
  uint64_t offset = add("a", "value", 0);
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    atomic_store(&bucket_of("a")->first, wrong[i]);
    ck_assert_msg(get("a") == REGION_READER_BUSY, "first %llu", (unsigned long long)wrong[i]);
    atomic_store(&bucket_of("a")->first, offset);
    struct fc_region_entry *entry = region_build_entry(&build, offset);
    uint64_t top_k = atomic_fetch_xor(&entry->numbers, 1); /* another key: the chain goes on */
    atomic_store(&entry->next, wrong[i]);
    ck_assert_msg(get("a") == REGION_READER_BUSY, "next %llu", (unsigned long long)wrong[i]);
    atomic_store(&entry->next, 0);
    atomic_store(&entry->numbers, top_k);
  }
  check_hit("a", "value");
}
END_TEST

START_TEST(get_cyclic_chain_busy) {
  uint64_t offset = add("a", "value", 0);
  struct fc_region_entry *entry = region_build_entry(&build, offset);
  atomic_store(&entry->next, offset);
  atomic_fetch_xor(&entry->numbers, 1);
  ck_assert_int_eq(get("a"), REGION_READER_BUSY);
}
END_TEST

START_TEST(get_invalid_size_busy) {
  uint64_t offset = add("a", "value", 0);
  struct fc_region_entry *entry = region_build_entry(&build, offset);
  uint64_t left = SIZE - offset - sizeof *entry - 8;
  const uint64_t sizes[] = {left + 1, SIZE, (16u << 20) + 1, UINT32_MAX};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    atomic_store(&entry->numbers, sizes[i] << 32 | 3);
    ck_assert_int_eq(get("a"), REGION_READER_BUSY);
    ck_assert_uint_lt(value.capacity, SIZE);
  }
  atomic_store(&entry->numbers, left << 32 | 3);
  ck_assert_int_eq(get("a"), REGION_READER_HIT);
  build.header->max_value = 4;
  ck_assert(region_reader_attach(&map, build.base, SIZE));
  atomic_store(&entry->numbers, UINT64_C(5) << 32 | 3);
  ck_assert_int_eq(get("a"), REGION_READER_BUSY);
}
END_TEST

/* The names of an entry at the end of the arena would lie beyond it. */
START_TEST(get_names_beyond_arena_no_match) {
  uint64_t offset = add("a", "value", 0), end = SIZE - sizeof(struct fc_region_entry);
  memcpy(build.base + end, build.base + offset, sizeof(struct fc_region_entry));
  atomic_store(&bucket_of("a")->first, end);
  ck_assert_int_eq(get("a"), REGION_READER_MISS);
}
END_TEST

START_TEST(get_invalid_pieces_busy) {
  const char *text = "a value in several pieces, each of them with some bytes in it";
  uint64_t offset = add("a", text, 3);
  struct fc_region_piece *table = region_build_pieces(&build, offset);
  const uint64_t offsets[] = {0, 8, FC_REGION_PAGE, 1, SIZE - 8, SIZE, UINT64_MAX - 7, UINT64_MAX};
  const uint64_t sizes[] = {0, 8, 24, SIZE, UINT64_MAX, UINT64_MAX - 7};
  check_hit("a", text);
  for (uint32_t i = 0; i < 3; i++) {
    uint64_t right = atomic_load(&table[i].offset);
    for (size_t j = 0; j < sizeof offsets / sizeof offsets[0]; j++) {
      atomic_store(&table[i].offset, offsets[j] == 1 ? right + 1 : offsets[j]);
      ck_assert_int_eq(get("a"), REGION_READER_BUSY);
    }
    atomic_store(&table[i].offset, right);
    right = atomic_load(&table[i].extent);
    for (size_t j = 0; j < sizeof sizes / sizeof sizes[0]; j++) {
      atomic_store(&table[i].extent, sizes[j]);
      ck_assert_int_eq(get("a"), REGION_READER_BUSY);
    }
    atomic_store(&table[i].extent, right);
  }
  struct fc_region_entry *entry = region_build_entry(&build, offset);
  for (uint32_t n = 0; n < 3; n++) { /* fewer than there are, or more */
    atomic_store(&entry->shape, fc_region_shape(2, 4, n == 0 ? 2 : n == 1 ? 17 : 0xffff, 0));
    ck_assert_int_eq(get("a"), REGION_READER_BUSY);
  }
  atomic_store(&entry->shape, fc_region_shape(2, 4, 3, 0));
  check_hit("a", text);
}
END_TEST

/* ---- a writer at the same time ---- */

#define ROUNDS 20000u
#define STORM_MAX_S 5    /* valgrind runs one thread at a time, each for a long slice */
#define VALUE_MAX 16000u /* long enough for a write during the copy */

struct storm {
  uint64_t offset;
  struct fc_region_bucket *bucket;
  atomic_bool done;
};

/* Writes a value of another size and letter within one window, as the daemon does. */
static void *write_on(void *arg) {
  struct storm *storm = arg;
  struct fc_region_entry *entry = region_build_entry(&build, storm->offset);
  uint8_t *to = build.base + storm->offset + sizeof *entry + 8;
  uint8_t text[VALUE_MAX];
  for (uint32_t i = 0; !atomic_load(&storm->done); i++) {
    uint32_t size = 1 + i * 271u % (VALUE_MAX - 1);
    memset(text, (int)('a' + size % 26), size);
    uint64_t sequence = atomic_load_explicit(&storm->bucket->sequence, memory_order_relaxed);
    atomic_store_explicit(&storm->bucket->sequence, sequence + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release); /* the odd number is seen before what follows */
    atomic_store_explicit(&entry->numbers, (uint64_t)size << 32 | 3, memory_order_relaxed);
    fc_torn_write(to, text, size);
    /* the write is visible before the even number */
    atomic_store_explicit(&storm->bucket->sequence, sequence + 2, memory_order_release);
    for (uint32_t pause = 0; pause < i % 512;
         pause++) /* without pauses the reader would hardly find an even sequence */
      atomic_signal_fence(memory_order_seq_cst);
  }
  return NULL;
}

START_TEST(get_during_writes_never_torn) {
  char longest[VALUE_MAX + 1] = {0};
  memset(longest, 'a' + VALUE_MAX % 26, VALUE_MAX);
  struct storm storm = {.offset = add("a", longest, 0), .bucket = bucket_of("a")};
  pthread_t writer;
  unsigned hits = 0;
  ck_assert_int_eq(pthread_create(&writer, NULL, write_on, &storm), 0);
  time_t end = time(NULL) + STORM_MAX_S;
  for (unsigned i = 0; i < ROUNDS && time(NULL) <= end; i++) {
    enum region_reader_result result = get("a");
    ck_assert(result == REGION_READER_HIT || result == REGION_READER_BUSY);
    if (result == REGION_READER_BUSY)
      continue;
    hits++;
    const uint8_t *bytes = value.data;
    size_t same = 0;
    while (same < value.size && bytes[same] == 'a' + value.size % 26)
      same++;
    ck_assert_uint_eq(same, value.size);
  }
  atomic_store(&storm.done, true);
  ck_assert_int_eq(pthread_join(writer, NULL), 0);
  ck_assert_uint_gt(hits, 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("region_reader");
  TCase *tcase = tcase_create("region_reader");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, get_many_entries_few_buckets_each_found);
  tcase_add_test(tcase, get_other_key_part_miss);
  tcase_add_test(tcase, get_longest_names_empty_value_hit);
  tcase_add_test(tcase, get_value_in_pieces_in_order);
  tcase_add_test(tcase, get_larger_value_buffer_grows);
  tcase_add_test(tcase, get_value_at_arena_end_hit);
  tcase_add_test(tcase, is_live_until_owner_dies_or_retires);
  tcase_add_test(tcase, get_odd_sequence_busy);
  tcase_add_test(tcase, attach_invalid_header_rejected);
  tcase_add_test(tcase, get_invalid_offset_busy);
  tcase_add_test(tcase, get_cyclic_chain_busy);
  tcase_add_test(tcase, get_invalid_size_busy);
  tcase_add_test(tcase, get_names_beyond_arena_no_match);
  tcase_add_test(tcase, get_invalid_pieces_busy);
  tcase_add_test(tcase, get_during_writes_never_torn);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
