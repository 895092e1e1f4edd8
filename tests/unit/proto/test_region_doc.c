/* The tables of docs/region.md are the layouts of proto/shm/region_layout.h and
 * proto/shm/ring_layout.h; its vectors and dumps equal the results of the code. Run from
 * the project's root, as make does. */
#include <check.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/shm/region_reader.h"
#include "client/lib/shm/ring_writer.h"
#include "proto/shm/region_layout.h"
#include "proto/shm/ring_layout.h"
#include "tests/support/doc_blocks.h"
#include "tests/support/private_store.h"
#include "tests/support/region_builder.h"
#include "tests/support/runner.h"

#define DOC "docs/region.md"
#define LINE_MAX DOC_LINE_MAX

struct field {
  const char *name;
  size_t offset, size;
};
#define FIELD(type, member)                                                                        \
  { #member, offsetof(struct type, member), sizeof(((struct type *)NULL)->member) }

struct layout {
  const char *name;
  size_t size;
  struct field fields[24]; /* in order; a NULL name ends them */
};

static const struct layout layouts[] = {
    {"fc_region_header",
     sizeof(struct fc_region_header),
     {FIELD(fc_region_header, magic), FIELD(fc_region_header, layout),
      FIELD(fc_region_header, max_value), FIELD(fc_region_header, size),
      FIELD(fc_region_header, boot_id), FIELD(fc_region_header, buckets_offset),
      FIELD(fc_region_header, n_buckets), FIELD(fc_region_header, arena_offset),
      FIELD(fc_region_header, arena_size), FIELD(fc_region_header, segment_bytes),
      FIELD(fc_region_header, n_segments), FIELD(fc_region_header, clock_sequence),
      FIELD(fc_region_header, clock_ticks), FIELD(fc_region_header, clock_ns),
      FIELD(fc_region_header, clock_factor), FIELD(fc_region_header, reserved_1),
      FIELD(fc_region_header, retired), FIELD(fc_region_header, owner),
      FIELD(fc_region_header, mutex_rest)}},
    {"fc_region_bucket",
     sizeof(struct fc_region_bucket),
     {FIELD(fc_region_bucket, sequence), FIELD(fc_region_bucket, first)}},
    {"fc_region_entry",
     sizeof(struct fc_region_entry),
     {FIELD(fc_region_entry, next), FIELD(fc_region_entry, name_space),
      FIELD(fc_region_entry, prompt), FIELD(fc_region_entry, numbers),
      FIELD(fc_region_entry, shape), FIELD(fc_region_entry, compute_ns),
      FIELD(fc_region_entry, origin)}},
    {"fc_region_piece",
     sizeof(struct fc_region_piece),
     {FIELD(fc_region_piece, offset), FIELD(fc_region_piece, extent)}},
    {"fc_ring_header",
     sizeof(struct fc_ring_header),
     {FIELD(fc_ring_header, magic), FIELD(fc_ring_header, n_slots), FIELD(fc_ring_header, reserved),
      FIELD(fc_ring_header, reserved_1), FIELD(fc_ring_header, head),
      FIELD(fc_ring_header, unrecorded), FIELD(fc_ring_header, tail), FIELD(fc_ring_header, state),
      FIELD(fc_ring_header, reserved_2)}},
    {"fc_ring_hit",
     sizeof(struct fc_ring_hit),
     {FIELD(fc_ring_hit, kind), FIELD(fc_ring_hit, context), FIELD(fc_ring_hit, flags),
      FIELD(fc_ring_hit, top_k), FIELD(fc_ring_hit, digest), FIELD(fc_ring_hit, prompt),
      FIELD(fc_ring_hit, end_ns), FIELD(fc_ring_hit, wall_ns), FIELD(fc_ring_hit, compute_ns),
      FIELD(fc_ring_hit, origin)}},
    {"fc_ring_context",
     sizeof(struct fc_ring_context),
     {FIELD(fc_ring_context, kind), FIELD(fc_ring_context, index), FIELD(fc_ring_context, op_size),
      FIELD(fc_ring_context, view_size), FIELD(fc_ring_context, probe_size),
      FIELD(fc_ring_context, reserved)}},
};
#define N_LAYOUTS (sizeof layouts / sizeof layouts[0])

static const struct constant {
  const char *name;
  uint64_t value;
} constants[] = {
    {"FC_REGION_MAGIC", FC_REGION_MAGIC},
    {"FC_REGION_LAYOUT", FC_REGION_LAYOUT},
    {"FC_REGION_PAGE", FC_REGION_PAGE},
    {"FC_REGION_UNIT", FC_REGION_UNIT},
    {"FC_REGION_PIECES_MAX", FC_REGION_PIECES_MAX},
    {"FC_REGION_CHAIN_MAX", FC_REGION_CHAIN_MAX},
    {"FC_REGION_SEGMENTS_MAX", FC_REGION_SEGMENTS_MAX},
    {"FC_REGION_SEGMENT_UNIT", FC_REGION_SEGMENT_UNIT},
    {"FC_REGION_TID_MASK", FC_REGION_TID_MASK},
    {"FC_RING_MAGIC", FC_RING_MAGIC},
    {"FC_RING_SLOT", FC_RING_SLOT},
    {"FC_RING_SLOTS_MIN", FC_RING_SLOTS_MIN},
    {"FC_RING_SLOTS_MAX", FC_RING_SLOTS_MAX},
    {"FC_RING_CONTEXTS", FC_RING_CONTEXTS},
    {"FC_RING_HIT", FC_RING_HIT},
    {"FC_RING_CONTEXT", FC_RING_CONTEXT},
    {"FC_RING_UNRECORDED", FC_RING_UNRECORDED},
    {"FC_RING_ASLEEP", FC_RING_ASLEEP},
    {"FC_RING_REVOKED", FC_RING_REVOKED},
    {"FC_RING_RECORD_SLOTS_MAX", FC_RING_RECORD_SLOTS_MAX},
};
#define N_CONSTANTS (sizeof constants / sizeof constants[0])

static FILE *open_doc(void) {
  FILE *doc = fopen(DOC, "r");
  ck_assert_msg(doc != NULL, DOC " cannot be opened: run the test from the project's root");
  return doc;
}

/* The layout of a heading "### TEXT: `struct NAME`, SIZE bytes", and its size is the documented
 * one. */
static const struct layout *layout_of(const char *heading) {
  char name[64];
  size_t size;
  const char *mark = strstr(heading, "`struct ");
  ck_assert_msg(mark != NULL && sscanf(mark, "`struct %63[a-z_]`, %zu bytes", name, &size) == 2,
                "no struct and size in: %s", heading);
  for (size_t i = 0; i < N_LAYOUTS; i++)
    if (strcmp(layouts[i].name, name) == 0) {
      ck_assert_msg(layouts[i].size == size, "struct %s has %zu bytes", name, layouts[i].size);
      return &layouts[i];
    }
  ck_abort_msg("struct %s is not known to this test", name);
  return NULL;
}

/* Checks that all fields before were documented. */
static void check_end(const struct layout *layout, const struct field *field) {
  ck_assert_msg(layout == NULL || field->name == NULL, DOC ": struct %s has a field %s",
                layout == NULL ? "" : layout->name, field == NULL ? "" : field->name);
}

START_TEST(structs_of_page_equal_layouts) {
  FILE *doc = open_doc();
  const struct layout *layout = NULL;
  const struct field *field = NULL;
  char line[LINE_MAX], name[64];
  size_t n = 0, offset, size;
  while (fgets(line, sizeof line, doc) != NULL) {
    if (line[0] == '#') {
      check_end(layout, field);
      layout = strncmp(line, "### ", 4) == 0 ? layout_of(line) : NULL;
      field = layout == NULL ? NULL : layout->fields;
      n += layout != NULL;
    } else if (layout != NULL &&
               sscanf(line, "| %zu | %zu | `%63[a-z_0-9]` |", &offset, &size, name) == 3) {
      ck_assert_msg(field->name != NULL, "struct %s has no more fields than before: %s",
                    layout->name, line);
      ck_assert_str_eq(name, field->name);
      ck_assert_msg(offset == field->offset && size == field->size, "%s.%s: %zu bytes at %zu",
                    layout->name, name, field->size, field->offset);
      field++;
    }
  }
  check_end(layout, field);
  ck_assert_uint_eq(n, N_LAYOUTS);
  (void)fclose(doc); /* a reader has nothing to flush */
}
END_TEST

START_TEST(constants_of_page_equal_code) {
  FILE *doc = open_doc();
  char line[LINE_MAX], name[64] = "FC_", value[64];
  size_t n = 0;
  while (fgets(line, sizeof line, doc) != NULL) {
    if (sscanf(line, "| `FC_%60[A-Z_]` | %63[0-9a-fx] |", name + 3, value) != 2)
      continue;
    size_t i = 0;
    while (i < N_CONSTANTS && strcmp(constants[i].name, name) != 0)
      i++;
    ck_assert_msg(i < N_CONSTANTS, "%s is not known to this test", name);
    ck_assert_msg(strtoull(value, NULL, 0) == constants[i].value, "%s is not %s", name, value);
    n++;
  }
  ck_assert_uint_eq(n, N_CONSTANTS);
  (void)fclose(doc); /* a reader has nothing to flush */
}
END_TEST

/* ---- vectors ---- */

/* NAMESPACE_ID  OP  VIEW  TOP_K  HASH  DIGEST  N_BUCKETS  BUCKET */
static void check_digest(void *count, const char *line) {
  uint64_t name_space, documented, n_buckets, bucket;
  char op[64], view[64], hash[FC_HASH_HEX_SIZE];
  struct fc_key key = {0};
  ck_assert_msg(
      sscanf(line, "%" SCNx64 " %63s %63s %" SCNu32 " %32s %" SCNx64 " %" SCNu64 " %" SCNu64,
             &name_space, op, view, &key.top_k, hash, &documented, &n_buckets, &bucket) == 8,
      "no vector: %s", line);
  ck_assert(fc_hash_parse(hash, strlen(hash), &key.prompt));
  key.op = fc_str_of(op);
  key.view = fc_str_of(view);
  uint64_t digest = fc_key_digest(name_space, &key);
  ck_assert_msg(digest == documented, "the digest is %016" PRIx64 ": %s", digest, line);
  ck_assert_msg(fc_region_bucket_of(digest, n_buckets) == bucket, "another bucket: %s", line);
  ++*(int *)count;
}

START_TEST(digests_of_page_equal_code) {
  int count = 0;
  doc_each_line(DOC, "digests", check_digest, &count);
  ck_assert_int_ge(count, 5);
}
END_TEST

/* ---- the bytes that the store writes ---- */

#define NAME_SPACE UINT64_C(0x1122334455667788) /* of the page's examples */
#define MAX_VALUE (64u << 10)

static struct region region;
static struct store store;
static struct namespace ns;

static void set_up(void) {
  private_store_init(&store, &region, 1u << 20, MAX_VALUE, 1);
  namespace_init(&ns, fc_str_of("gpt2-r1"), NAME_SPACE, 1);
}

static void tear_down(void) {
  (void)store_drop_step(&store, &ns, UINT64_MAX, false);
  namespace_deinit(&ns);
  private_store_deinit(&store, &region);
}

static struct fc_key example_key(void) {
  return (struct fc_key){fc_str_of("next_token_dist"), fc_str_of("base"), 50,
                         fc_hash_prompt("hello", 5)};
}

/* Returns the daemon's entry for the page's key. */
static const struct fc_region_entry *stored(const void *value, uint32_t size) {
  struct fc_key key = example_key();
  struct store_put_info info = {.origin = 7, .compute_ns = 12000000};
  ck_assert_int_eq(store_put(&store, &ns, &key, value, size, &info), FC_STORED);
  return entry_placed(store_peek(&store, &ns, &key));
}

START_TEST(entry_of_page_equals_stored) {
  const struct fc_region_entry *entry = stored("the result", 10);
  uint64_t shape = atomic_load(&entry->shape);
  uint32_t names = fc_region_names_bytes(fc_region_op_size(shape), fc_region_view_size(shape));
  doc_check_hex(DOC, "entry", entry, sizeof *entry + names + 10);
}
END_TEST

/* DIGEST  BYTE*COUNT  CHECKSUM */
static void check_checksum(void *count, const char *line) {
  static uint8_t value[MAX_VALUE];
  struct fc_key key = example_key();
  uint64_t digest;
  uint32_t byte, size, documented;
  ck_assert_msg(sscanf(line, "%" SCNx64 " %2" SCNx32 "*%" SCNu32 " %" SCNx32, &digest, &byte, &size,
                       &documented) == 4,
                "no vector: %s", line);
  ck_assert_uint_eq(digest, fc_key_digest(NAME_SPACE, &key));
  ck_assert_uint_le(size, sizeof value);
  memset(value, (int)byte, size);
  uint32_t checksum = fc_region_checksum_of(atomic_load(&stored(value, size)->shape));
  ck_assert_msg(checksum == documented, "the checksum is %08" PRIx32 ": %s", checksum, line);
  ++*(int *)count;
}

START_TEST(checksums_of_page_equal_stored) {
  int count = 0;
  doc_each_line(DOC, "checksums", check_checksum, &count);
  ck_assert_int_ge(count, 5);
}
END_TEST

/* ---- the records of a client ---- */

START_TEST(records_of_page_equal_written) {
  struct fc_key key = example_key();
  struct labels_table contexts = {0};
  struct ring_writer ring;
  uint64_t digest = fc_key_digest(NAME_SPACE, &key);
  struct fc_ring_hit hit = {.top_k = 50,
                            .digest = digest,
                            .end_ns = 5000000000,
                            .wall_ns = 1200,
                            .compute_ns = 12000000,
                            .origin = UINT64_C(1) << 32 | 7};
  struct fc_ring_header *memory = aligned_alloc(64, fc_ring_bytes(FC_RING_SLOTS_MIN));
  ck_assert_ptr_nonnull(memory);
  ring_build_init(memory, FC_RING_SLOTS_MIN);
  ck_assert(ring_writer_attach(&ring, memory, fc_ring_bytes(FC_RING_SLOTS_MIN)));
  labels_reseed(&contexts, NAME_SPACE);
  memcpy(hit.prompt, key.prompt.bytes, sizeof hit.prompt);
  ck_assert(ring_writer_add_hit(&ring, labels_find(&contexts, &key, fc_str_of("ablation")), &hit));
  ck_assert_uint_eq(atomic_load(&memory->head), 2);
  doc_check_hex(DOC, "ring", memory + 1, (size_t)2 * FC_RING_SLOT);
  free(memory);
}
END_TEST

/* "| BITS | 0xMASK | ..." in the table of the liveness word: the mask of that row. */
static uint32_t documented_mask(const char *bits) {
  FILE *doc = open_doc();
  char line[LINE_MAX], found[16];
  uint32_t mask = 0;
  while (mask == 0 && fgets(line, sizeof line, doc) != NULL)
    if (sscanf(line, "| %15[0-9to ] | 0x%" SCNx32 " |", found, &mask) != 2 ||
        strcmp(found, bits) != 0)
      mask = 0;
  (void)fclose(doc); /* a reader has nothing to flush */
  ck_assert_msg(mask != 0, DOC " has no mask of bits %s", bits);
  return mask;
}

START_TEST(owner_bits_of_page_equal_code) {
  static _Alignas(FC_REGION_PAGE) uint8_t memory[16 * FC_REGION_PAGE];
  const uint32_t tid = documented_mask("0 to 29 "), died = documented_mask("30 "),
                 waiters = documented_mask("31 ");
  const uint32_t owners[] = {0, 1, tid, tid | waiters, waiters, died, died | tid, died | waiters};
  struct region_build build;
  struct region_reader map;
  ck_assert_uint_eq(tid, FUTEX_TID_MASK);
  ck_assert_uint_eq(died, FUTEX_OWNER_DIED);
  ck_assert_uint_eq(waiters, FUTEX_WAITERS);
  region_build_init(&build, memory, sizeof memory, 1, 4);
  ck_assert(region_reader_attach(&map, memory, sizeof memory));
  for (size_t i = 0; i < sizeof owners / sizeof owners[0]; i++)
    for (uint32_t retired = 0; retired < 2; retired++) {
      atomic_store(&build.header->owner, owners[i]);
      atomic_store(&build.header->retired, retired);
      bool lives = (owners[i] & tid) != 0 && (owners[i] & died) == 0 && retired == 0;
      ck_assert_msg(region_reader_is_live(&map) == lives, "owner %08" PRIx32 ", retired %u",
                    owners[i], retired);
    }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("region_doc");
  TCase *tests = tcase_create("region_doc");
  tcase_add_test(tests, structs_of_page_equal_layouts);
  tcase_add_test(tests, constants_of_page_equal_code);
  tcase_add_test(tests, digests_of_page_equal_code);
  tcase_add_test(tests, records_of_page_equal_written);
  tcase_add_test(tests, owner_bits_of_page_equal_code);
  suite_add_tcase(suite, tests);
  TCase *written = tcase_create("written");
  tcase_add_checked_fixture(written, set_up, tear_down);
  tcase_add_test(written, entry_of_page_equals_stored);
  tcase_add_test(written, checksums_of_page_equal_stored);
  suite_add_tcase(suite, written);
  return runner_run(suite);
}
