/* The tables of docs/region.md are the layouts of proto/region.h and proto/ring.h. Run from the
 * project's root, as make does. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/region.h"
#include "proto/ring.h"
#include "runner.h"

#define DOC "docs/region.md"
#define LINE_MAX 1024

struct field {
  const char *name;
  size_t offset, size;
};
#define FIELD(type, member)                                                                        \
  { #member, offsetof(struct type, member), sizeof(((struct type *)NULL)->member) }

struct layout {
  const char *name;
  size_t size;
  struct field fields[16]; /* in order; a NULL name ends them */
};

static const struct layout layouts[] = {
    {"fc_region_header",
     sizeof(struct fc_region_header),
     {FIELD(fc_region_header, magic), FIELD(fc_region_header, layout),
      FIELD(fc_region_header, max_value), FIELD(fc_region_header, size),
      FIELD(fc_region_header, boot_id), FIELD(fc_region_header, buckets_offset),
      FIELD(fc_region_header, n_buckets), FIELD(fc_region_header, arena_offset),
      FIELD(fc_region_header, arena_size), FIELD(fc_region_header, reserved_1),
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
      FIELD(fc_ring_header, unrecorded), FIELD(fc_ring_header, tail),
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
    {"FC_REGION_TID_MASK", FC_REGION_TID_MASK},
    {"FC_RING_MAGIC", FC_RING_MAGIC},
    {"FC_RING_SLOT", FC_RING_SLOT},
    {"FC_RING_SLOTS_MIN", FC_RING_SLOTS_MIN},
    {"FC_RING_SLOTS_MAX", FC_RING_SLOTS_MAX},
    {"FC_RING_CONTEXTS", FC_RING_CONTEXTS},
    {"FC_RING_HIT", FC_RING_HIT},
    {"FC_RING_CONTEXT", FC_RING_CONTEXT},
    {"FC_RING_UNRECORDED", FC_RING_UNRECORDED},
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

/* Where all fields before were documented. */
static void check_end(const struct layout *layout, const struct field *field) {
  ck_assert_msg(layout == NULL || field->name == NULL, DOC ": struct %s has a field %s",
                layout == NULL ? "" : layout->name, field == NULL ? "" : field->name);
}

START_TEST(the_documented_structs_are_the_layouts) {
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
  (void)fclose(doc); /* it was only read */
}
END_TEST

START_TEST(the_documented_constants_are_true) {
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
  (void)fclose(doc); /* it was only read */
}
END_TEST

int main(void) {
  Suite *suite = suite_create("region_doc");
  TCase *tests = tcase_create("region_doc");
  tcase_add_test(tests, the_documented_structs_are_the_layouts);
  tcase_add_test(tests, the_documented_constants_are_true);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
