/* The writer of the ring, and the names of its records. The test plays the daemon. */
#include "client/lib/shm/ring_writer.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/region_builder.h"
#include "tests/support/runner.h"

#define SLOTS FC_RING_SLOTS_MIN
#define SEED 5u

static struct fc_ring_header *memory;
static struct ring_writer ring;
static struct labels_table contexts;

static void set_up(void) {
  memory = aligned_alloc(64, fc_ring_bytes(SLOTS));
  ck_assert_ptr_nonnull(memory);
  ring_build_init(memory, SLOTS);
  memset(&contexts, 0, sizeof contexts);
  labels_reseed(&contexts, SEED);
  ck_assert(ring_writer_attach(&ring, memory, fc_ring_bytes(SLOTS)));
}

static void tear_down(void) {
  free(memory);
}

static const struct labels *context_of(const char *op, const char *view, const char *probe) {
  struct fc_key key = {.op = fc_str_of(op), .view = fc_str_of(view)};
  return labels_find(&contexts, &key, fc_str_of(probe));
}

static bool hit(const struct labels *context, uint64_t digest) {
  struct fc_ring_hit record = {.digest = digest, .wall_ns = 3};
  return ring_writer_add_hit(&ring, context, &record);
}

static uint64_t head(void) {
  return atomic_load(&memory->head);
}

static struct fc_ring_hit hit_at(uint64_t i) {
  struct fc_ring_hit record;
  memcpy(&record, ring_build_slot(memory, i), sizeof record);
  return record;
}

static struct fc_ring_context context_at(uint64_t i) {
  struct fc_ring_context record;
  memcpy(&record, ring_build_slot(memory, i), sizeof record);
  return record;
}

/* Reads all records, as the daemon does. */
static void drain(void) {
  atomic_store(&memory->tail, head());
}

START_TEST(add_hit_new_labels_written_once_before) {
  const struct labels *context = context_of("op", "base", "probe");
  ck_assert(hit(context, 1));
  ck_assert_uint_eq(head(), 2);
  struct fc_ring_context names = context_at(0);
  ck_assert_uint_eq(names.kind, FC_RING_CONTEXT);
  ck_assert_uint_eq(names.op_size, 2);
  ck_assert_uint_eq(names.view_size, 4);
  ck_assert_uint_eq(names.probe_size, 5);
  ck_assert_mem_eq((const uint8_t *)ring_build_slot(memory, 0) + sizeof names, "opbaseprobe", 11);
  struct fc_ring_hit record = hit_at(1);
  ck_assert_uint_eq(record.kind, FC_RING_HIT);
  ck_assert_uint_eq(record.context, names.index);
  ck_assert_uint_eq(record.digest, 1);
  ck_assert_uint_eq(record.wall_ns, 3);
  ck_assert(hit(context_of("op", "base", "probe"), 2));
  ck_assert_uint_eq(head(), 3);
  ck_assert(hit(context_of("op", "base", ""), 3)); /* another */
  ck_assert_uint_eq(head(), 5);
  ck_assert_uint_ne(hit_at(4).context, names.index);
}
END_TEST

START_TEST(labels_find_same_names_same_labels) {
  const struct labels *context = context_of("op", "base", "x");
  struct fc_key key = {.op = fc_str_of("op"), .view = fc_str_of("base"), .top_k = 4};
  uint64_t serial = context->serial;
  ck_assert_uint_eq(fc_key_digest_finish(context->digest, &key.prompt, 4),
                    fc_key_digest(SEED, &key));
  ck_assert_uint_ne(context_of("opb", "ase", "x")->serial, serial);
  ck_assert_uint_ne(context_of("op", "bas", "ex")->serial, serial);
  ck_assert_uint_ne(context_of("op", "basex", "")->serial, serial);
  ck_assert_uint_eq(context_of("op", "base", "x")->serial, serial);
  labels_reseed(&contexts, SEED + 1);
  ck_assert_uint_gt(context_of("op", "base", "x")->serial, serial);
  ck_assert_uint_eq(fc_key_digest_finish(context_of("op", "base", "x")->digest, &key.prompt, 4),
                    fc_key_digest(SEED + 1, &key));
}
END_TEST

/* With more names than contexts, the newest names replace the oldest. A context is written before
 * its first hit. */
START_TEST(labels_table_full_oldest_replaced) {
  char view[8];
  uint64_t at = 0;
  for (int round = 0; round < 2; round++)
    for (unsigned i = 0; i <= FC_RING_CONTEXTS; i++) {
      (void)snprintf(view, sizeof view, "v%02u", i);
      ck_assert(hit(context_of("op", view, ""), i));
      ck_assert_uint_eq(head(), at + 2);
      ck_assert_uint_eq(context_at(at).kind, FC_RING_CONTEXT);
      ck_assert_uint_lt(context_at(at).index, FC_RING_CONTEXTS);
      ck_assert_mem_eq((const uint8_t *)ring_build_slot(memory, at) + 8, "opv", 3);
      ck_assert_mem_eq((const uint8_t *)ring_build_slot(memory, at) + 10, view, 3);
      ck_assert_uint_eq(hit_at(at + 1).context, context_at(at).index);
      at += 2;
    }
}
END_TEST

/* The longest names, over the ring's end. */
START_TEST(add_hit_at_ring_end_wraps) {
  char name[256], names[765];
  const struct labels *context = context_of("op", "base", "");
  for (unsigned i = 0; i < SLOTS - 6; i++) { /* the context and its hits leave 5 */
    ck_assert(hit(context, i));
    drain();
  }
  ck_assert_uint_eq(head(), SLOTS - 5);
  memset(name, 'n', 255);
  memset(names, 'n', sizeof names);
  name[255] = '\0';
  ck_assert(hit(context_of(name, name, name), 99));
  uint32_t slots = fc_ring_context_slots(765);
  ck_assert_uint_eq(slots, 13);
  ck_assert_uint_eq(head(), SLOTS - 5 + slots + 1);
  uint8_t record[13 * FC_RING_SLOT];
  for (uint32_t i = 0; i < slots; i++)
    memcpy(record + (size_t)i * FC_RING_SLOT, ring_build_slot(memory, SLOTS - 5 + i), FC_RING_SLOT);
  ck_assert_mem_eq(record + 8, names, sizeof names);
  ck_assert_uint_eq(hit_at(SLOTS - 5 + slots).digest, 99);
}
END_TEST

START_TEST(add_hit_ring_full_until_read) {
  const struct labels *context = context_of("op", "base", "");
  for (unsigned i = 0; i < SLOTS - 1; i++)
    ck_assert(hit(context, i));
  ck_assert_uint_eq(head(), SLOTS);
  ck_assert(!hit(context, 1000));
  ck_assert_uint_eq(head(), SLOTS);
  ck_assert_uint_eq(hit_at(0).kind, FC_RING_CONTEXT); /* no record was overwritten */
  ck_assert_uint_eq(ring_writer_unread_hits(&ring), SLOTS - 1);
  atomic_store(&memory->tail, 1);
  ck_assert(!hit(context_of("other", "base", ""), 1000)); /* needs two */
  ck_assert(hit(context_of("op", "base", ""), 1000));
  ck_assert(!hit(context_of("op", "base", ""), 1001));
  atomic_store(&memory->tail, 3);
  ck_assert(hit(context_of("other", "base", ""), 1001)); /* the failed attempt wrote no context */
  ck_assert_uint_eq(context_at(SLOTS + 1).kind, FC_RING_CONTEXT);
  ck_assert_uint_eq(head(), SLOTS + 3);
}
END_TEST

START_TEST(add_hit_invalid_tail_stays_full) {
  const struct labels *context = context_of("op", "base", "");
  for (unsigned i = 0; i < SLOTS - 1; i++)
    ck_assert(hit(context, i));
  atomic_store(&memory->tail, 100);
  ck_assert(hit(context, 1));
  const uint64_t tails[] = {99, 0, SLOTS + 101, UINT64_MAX, UINT64_C(1) << 63};
  while (hit(context, 2))
    continue;
  for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
    atomic_store(&memory->tail, tails[i]);
    ck_assert(!hit(context, 3));
    ck_assert_uint_le(ring_writer_unread_hits(&ring), SLOTS);
  }
  drain();
  ck_assert(hit(context, 4));
}
END_TEST

START_TEST(unread_hits_counted) {
  struct fc_ring_hit preload = {.flags = FC_RING_UNRECORDED};
  ck_assert_uint_eq(ring_writer_unread_hits(&ring), 0);
  ck_assert(hit(context_of("op", "base",
                           "a probe with a name that takes a slot more than that, "
                           "or two"),
                1));
  ck_assert(ring_writer_add_hit(&ring, context_of("op", "base", ""), &preload));
  ck_assert(hit(context_of("op", "base", ""), 2));
  ck_assert_uint_eq(ring_writer_unread_hits(&ring), 2);
  drain();
  ck_assert_uint_eq(ring_writer_unread_hits(&ring), 0);
  ck_assert(hit(context_of("op", "base", ""), 3));
  ck_assert_uint_eq(ring_writer_unread_hits(&ring), 1);
  ring_writer_set_unrecorded(&ring, 7);
  ck_assert_uint_eq(atomic_load(&memory->unrecorded), 7);
}
END_TEST

START_TEST(attach_invalid_ring_rejected) {
  const uint32_t n_slots[] = {0,         1, SLOTS / 2, SLOTS + 1, SLOTS * 2, FC_RING_SLOTS_MAX * 2,
                              UINT32_MAX};
  struct ring_writer refused;
  for (size_t i = 0; i < sizeof n_slots / sizeof n_slots[0]; i++) {
    memory->n_slots = n_slots[i];
    ck_assert(!ring_writer_attach(&refused, memory, fc_ring_bytes(SLOTS)));
    ck_assert_ptr_null(refused.header);
  }
  memory->n_slots = SLOTS;
  ck_assert(!ring_writer_attach(&refused, memory, fc_ring_bytes(SLOTS) - 1));
  ck_assert(!ring_writer_attach(&refused, memory, 8));
  atomic_store(&memory->head, 1); /* used */
  ck_assert(!ring_writer_attach(&refused, memory, fc_ring_bytes(SLOTS)));
  atomic_store(&memory->tail, 1);
  ck_assert(ring_writer_attach(&refused, memory, fc_ring_bytes(SLOTS)));
  memory->magic++;
  ck_assert(!ring_writer_attach(&refused, memory, fc_ring_bytes(SLOTS)));
}
END_TEST

START_TEST(map_fd_unsealed_rejected) {
  const int seals[] = {0, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_SHRINK | F_SEAL_GROW};
  for (int i = 0; i < 4; i++) {
    struct fc_ring_header *theirs;
    struct ring_writer mapped;
    int fd = ring_build_fd(&theirs, SLOTS, seals[i]);
    ck_assert(ring_writer_map_fd(&mapped, fd) == (i == 3));
    if (i == 3) {
      struct fc_ring_hit record = {.digest = 8};
      ck_assert(ring_writer_add_hit(&mapped, context_of("op", "base", ""), &record));
      ck_assert_uint_eq(atomic_load(&theirs->head), 2);
    }
    ring_writer_unmap(&mapped);
    ring_writer_unmap(&mapped);
    ring_writer_unmap(&(struct ring_writer){.header = theirs, .size = fc_ring_bytes(SLOTS)});
    ck_assert_int_eq(close(fd), 0);
  }
  int pipe_fds[2];
  struct ring_writer mapped;
  ck_assert_int_eq(pipe2(pipe_fds, O_CLOEXEC), 0);
  ck_assert(!ring_writer_map_fd(&mapped, pipe_fds[0]));
  ck_assert(!ring_writer_map_fd(&mapped, -1));
  (void)close(pipe_fds[0]);
  (void)close(pipe_fds[1]);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ring_writer");
  TCase *tcase = tcase_create("ring_writer");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, add_hit_new_labels_written_once_before);
  tcase_add_test(tcase, labels_find_same_names_same_labels);
  tcase_add_test(tcase, labels_table_full_oldest_replaced);
  tcase_add_test(tcase, add_hit_at_ring_end_wraps);
  tcase_add_test(tcase, add_hit_ring_full_until_read);
  tcase_add_test(tcase, add_hit_invalid_tail_stays_full);
  tcase_add_test(tcase, unread_hits_counted);
  tcase_add_test(tcase, attach_invalid_ring_rejected);
  tcase_add_test(tcase, map_fd_unsealed_rejected);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
