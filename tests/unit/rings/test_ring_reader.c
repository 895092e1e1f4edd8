/* The reader of a ring, with everything that a client can write into one. */
#include "daemon/rings/ring_reader.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "proto/errors.h"
#include "tests/support/ring_builder.h"
#include "tests/support/runner.h"

#define N FC_RING_SLOTS_MIN

static struct ring_reader reader;
static struct ring_builder builder;
static struct ring_hit hits[RING_READER_BATCH];
static size_t n;
static const char *why;

static void set_up(void) {
  ck_assert_int_eq(ring_reader_init(&reader, N), 0);
  ring_builder_open(&builder, reader.fd);
  why = NULL;
}

static void tear_down(void) {
  ring_builder_close(&builder);
  ring_reader_deinit(&reader);
}

/* Reads the next hits, past contexts. n is 0 at the end. */
static int next(void) {
  int rc;
  do
    rc = ring_reader_next(&reader, UINT64_MAX, hits, RING_READER_BATCH, &n, &why);
  while (rc == 0 && n == 0 && reader.at != reader.head);
  return rc;
}

static int publish_and_next(void) {
  ring_builder_publish(&builder);
  ck_assert_int_eq(ring_reader_load_head(&reader, &why), 0);
  return next();
}

static struct fc_ring_hit hit_numbered(uint32_t i, uint8_t context) {
  return (struct fc_ring_hit){.kind = FC_RING_HIT, .context = context, .top_k = i};
}

static void write_hit(uint32_t i, uint8_t context) {
  struct fc_ring_hit hit = hit_numbered(i, context);
  ring_builder_hit(&builder, &hit);
}

static void assert_str(struct fc_str text, const char *want) {
  ck_assert_uint_eq(text.size, strlen(want));
  ck_assert_mem_eq(text.data, want, text.size);
}

START_TEST(file_is_allocated_sealed_and_cloexec) {
  ck_assert_uint_eq(builder.header->n_slots, N);
  ck_assert_int_eq(ftruncate(reader.fd, 0), -1);
  ck_assert_int_eq(errno, EPERM);
  ck_assert_int_eq(ftruncate(reader.fd, (off_t)reader.bytes * 2), -1);
  int seals = fcntl(reader.fd, F_GET_SEALS);
  ck_assert_int_eq(seals, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
  ck_assert_int_ne(fcntl(reader.fd, F_GETFD) & FD_CLOEXEC, 0);
  ring_reader_close_fd(&reader);
  ring_reader_close_fd(&reader);
  ck_assert_int_eq(reader.fd, -1);
}
END_TEST

START_TEST(empty_ring_no_hits) {
  ck_assert_int_eq(publish_and_next(), 0);
  ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(hit_record_copied_whole) {
  struct fc_ring_hit in = {.kind = FC_RING_HIT,
                           .context = 3,
                           .flags = FC_RING_UNRECORDED,
                           .top_k = 50,
                           .digest = 1,
                           .prompt = "0123456789abcde",
                           .end_ns = 2,
                           .wall_ns = 3,
                           .compute_ns = 4,
                           .origin = 5};
  ring_builder_context(&builder, 3, "op", "base", "probe");
  ring_builder_hit(&builder, &in);
  ck_assert_int_eq(publish_and_next(), 0);
  ck_assert_uint_eq(n, 1);
  ck_assert_mem_eq(&hits[0].record, &in, sizeof in);
  assert_str(ring_hit_op(&hits[0]), "op");
  assert_str(ring_hit_view(&hits[0]), "base");
  assert_str(ring_hit_probe(&hits[0]), "probe");
  ck_assert_int_eq(next(), 0);
  ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(unpublished_records_not_read) {
  ring_builder_context(&builder, 0, "op", "base", NULL);
  write_hit(1, 0);
  ck_assert_int_eq(ring_reader_load_head(&reader, &why), 0);
  ck_assert_int_eq(next(), 0);
  ck_assert_uint_eq(n, 0);
}
END_TEST

START_TEST(context_redefined_applies_to_later_hits) {
  ring_builder_context(&builder, 0, "first", "base", "a");
  write_hit(1, 0);
  ring_builder_context(&builder, 0, "second", "base", NULL);
  write_hit(2, 0);
  ck_assert_int_eq(publish_and_next(), 0);
  ck_assert_uint_eq(n, 1);
  assert_str(ring_hit_op(&hits[0]), "first");
  ck_assert_int_eq(next(), 0);
  ck_assert_uint_eq(n, 1);
  assert_str(ring_hit_op(&hits[0]), "second");
  ck_assert_ptr_null(ring_hit_probe(&hits[0]).data);
}
END_TEST

START_TEST(longest_names_wrap_around) {
  char op[FC_NAME_MAX + 1], view[FC_NAME_MAX + 1], probe[FC_NAME_MAX + 1];
  memset(op, 'o', FC_NAME_MAX);
  memset(view, 'v', FC_NAME_MAX);
  memset(probe, 'p', FC_NAME_MAX);
  op[FC_NAME_MAX] = view[FC_NAME_MAX] = probe[FC_NAME_MAX] = '\0';
  ring_builder_context(&builder, 0, "op", "base", NULL);
  uint32_t i = 0;
  for (unsigned round = 0; round < 40; round++) { /* at every offset to the end */
    for (unsigned k = 0; k < N / 13; k++) {
      ring_builder_context(&builder, 15, op, view, probe);
      write_hit(++i, 15);
      ck_assert_int_eq(publish_and_next(), 0);
      ck_assert_uint_eq(n, 1);
      ck_assert_uint_eq(hits[0].record.top_k, i);
      assert_str(ring_hit_op(&hits[0]), op);
      assert_str(ring_hit_view(&hits[0]), view);
      assert_str(ring_hit_probe(&hits[0]), probe);
      ring_reader_release(&reader);
    }
  }
  ck_assert_uint_gt(builder.head, 10 * N);
}
END_TEST

START_TEST(full_ring_read_in_batches) {
  ring_builder_context(&builder, 0, "op", "base", NULL);
  for (uint32_t i = 1; i < N; i++)
    write_hit(i, 0);
  ring_builder_publish(&builder);
  ck_assert_int_eq(ring_reader_load_head(&reader, &why), 0);
  uint32_t read = 0;
  for (;;) {
    ck_assert_int_eq(next(), 0);
    if (n == 0)
      break;
    for (size_t i = 0; i < n; i++)
      ck_assert_uint_eq(hits[i].record.top_k, ++read);
    ck_assert_uint_eq(ring_builder_used(&builder), N); /* not before it is released */
  }
  ck_assert_uint_eq(read, N - 1);
  ring_reader_release(&reader);
  ck_assert_uint_eq(ring_builder_used(&builder), 0);
}
END_TEST

/* ---- malformed records ---- */

static void assert_refused(const char *text) {
  ck_assert_int_eq(next(), FC_EPROTOCOL);
  ck_assert_uint_eq(n, 0);
  ck_assert_ptr_nonnull(why);
  ck_assert_msg(strstr(why, text) != NULL, "%s", why);
  uint64_t at = reader.at;
  ck_assert_int_eq(next(), FC_EPROTOCOL); /* the reader stays there */
  ck_assert_uint_eq(reader.at, at);
}

static void assert_slot_refused(const void *slot, const char *text) {
  ring_builder_context(&builder, 0, "op", "base", NULL);
  write_hit(7, 0);
  ring_builder_slot(&builder, slot);
  write_hit(8, 0);
  ck_assert_int_eq(publish_and_next(), 0); /* the records before it are good */
  ck_assert_uint_eq(n, 1);
  ck_assert_uint_eq(hits[0].record.top_k, 7);
  assert_refused(text);
}

START_TEST(record_undefined_kind_rejected) {
  uint8_t slot[FC_RING_SLOT] = {0};
  slot[0] = (uint8_t[]){0, 3, 255}[_i];
  assert_slot_refused(slot, "kind");
}
END_TEST

START_TEST(hit_undefined_context_rejected) {
  struct fc_ring_hit hit = hit_numbered(1, (uint8_t[]){1, 15, 16, 255}[_i]);
  assert_slot_refused(&hit, "not defined");
}
END_TEST

START_TEST(hit_undefined_flags_rejected) {
  struct fc_ring_hit hit = hit_numbered(1, 0);
  hit.flags = (uint16_t[]){2, 0x8001}[_i];
  assert_slot_refused(&hit, "flags");
}
END_TEST

START_TEST(context_malformed_rejected) {
  static const struct {
    struct fc_ring_context head;
    const char *names, *text;
  } cases[] = {
      {{FC_RING_CONTEXT, 16, 2, 4, 0, {0}}, "opbase", "index"},
      {{FC_RING_CONTEXT, 255, 2, 4, 0, {0}}, "opbase", "index"},
      {{FC_RING_CONTEXT, 1, 0, 4, 0, {0}}, "base", "name"},
      {{FC_RING_CONTEXT, 1, 2, 0, 0, {0}}, "op", "name"},
      {{FC_RING_CONTEXT, 1, 2, 4, 1, {0}}, "opbase\n", "name"},
      {{FC_RING_CONTEXT, 1, 2, 4, 0, {0}},
       "o\xff"
       "base",
       "name"},
      {{FC_RING_CONTEXT, 1, 2, 4, 0, {0}}, "opb\x01se", "name"},
      {{FC_RING_CONTEXT, 1, 3, 4, 0, {0}}, "op", "name"}, /* NUL behind the op */
  };
  uint8_t slot[FC_RING_SLOT] = {0};
  ck_assert_uint_eq(sizeof cases / sizeof cases[0], 8);
  memcpy(slot, &cases[_i].head, sizeof cases[_i].head);
  memcpy(slot + sizeof cases[_i].head, cases[_i].names, strlen(cases[_i].names));
  assert_slot_refused(slot, cases[_i].text);
}
END_TEST

START_TEST(context_incomplete_rejected) {
  uint8_t slot[FC_RING_SLOT] = {FC_RING_CONTEXT, 0, 200, 200, 0};
  memset(slot + 8, 'x', sizeof slot - 8);
  for (int i = 0; i < 6; i++) /* it takes 7 */
    ring_builder_slot(&builder, slot);
  ring_builder_publish(&builder);
  ck_assert_int_eq(ring_reader_load_head(&reader, &why), 0);
  assert_refused("incomplete");
}
END_TEST

START_TEST(context_malformed_keeps_former) {
  ring_builder_context(&builder, 0, "op", "base", NULL);
  ring_builder_context(&builder, 0, "\x7f", "base", NULL);
  ring_builder_publish(&builder);
  ck_assert_int_eq(ring_reader_load_head(&reader, &why), 0);
  assert_refused("name");
  ck_assert_uint_eq(reader.at, 1);
  ck_assert_uint_eq(reader.contexts[0].op_size, 2);
}
END_TEST

static void set_head(uint64_t head) {
  atomic_store_explicit(&builder.header->head, head, memory_order_release);
}

START_TEST(head_impossible_rejected) {
  static const uint64_t heads[] = {UINT64_MAX, 10 + N + 1, 9, 0, UINT64_C(1) << 63};
  ring_builder_context(&builder, 0, "op", "base", NULL);
  for (uint32_t i = 1; i < 10; i++)
    write_hit(i, 0);
  ck_assert_int_eq(publish_and_next(), 0);
  ring_reader_release(&reader);
  ck_assert_uint_eq(reader.head, 10);
  set_head(heads[_i]);
  ck_assert_int_eq(ring_reader_load_head(&reader, &why), FC_EPROTOCOL);
  ck_assert_ptr_nonnull(strstr(why, "head"));
  ck_assert_uint_eq(reader.head, 10);
}
END_TEST

START_TEST(head_going_back_rejected) {
  ring_builder_context(&builder, 0, "op", "base", NULL);
  write_hit(1, 0);
  ring_builder_publish(&builder);
  ck_assert_int_eq(ring_reader_load_head(&reader, &why), 0);
  set_head(1); /* above the tail still */
  ck_assert_int_eq(ring_reader_load_head(&reader, &why), FC_EPROTOCOL);
}
END_TEST

START_TEST(head_more_than_ring_ahead_rejected) {
  ck_assert_int_eq(ring_reader_load_head(&reader, &why), 0);
  set_head(N);
  ck_assert_int_eq(ring_reader_load_head(&reader, &why), 0);
  set_head(N + 1);
  ck_assert_int_eq(ring_reader_load_head(&reader, &why), FC_EPROTOCOL);
}
END_TEST

START_TEST(header_overwritten_by_client_ignored) {
  builder.header->n_slots = 1u << 30;
  builder.header->magic = 0;
  atomic_store_explicit(&builder.header->tail, UINT64_MAX, memory_order_relaxed);
  set_head(N + 1);
  ck_assert_int_eq(ring_reader_load_head(&reader, &why), FC_EPROTOCOL);
  builder.header->n_slots = N;
}
END_TEST

START_TEST(unrecorded_count_reported_once) {
  atomic_store_explicit(&builder.header->unrecorded, 5, memory_order_relaxed);
  ck_assert_uint_eq(ring_reader_load_unrecorded(&reader), 5);
  ck_assert_uint_eq(ring_reader_load_unrecorded(&reader), 0);
  atomic_store_explicit(&builder.header->unrecorded, 7, memory_order_relaxed);
  ck_assert_uint_eq(ring_reader_load_unrecorded(&reader), 2);
  atomic_store_explicit(&builder.header->unrecorded, 1,
                        memory_order_relaxed); /* it must not fall */
  ck_assert_uint_eq(ring_reader_load_unrecorded(&reader), 0);
  atomic_store_explicit(&builder.header->unrecorded, 7, memory_order_relaxed);
  ck_assert_uint_eq(ring_reader_load_unrecorded(&reader), 0); /* reported before */
  atomic_store_explicit(&builder.header->unrecorded, UINT64_MAX, memory_order_relaxed);
  ck_assert_uint_eq(ring_reader_load_unrecorded(&reader), UINT64_MAX - 7);
  ck_assert_uint_eq(ring_reader_load_unrecorded(&reader), 0);
}
END_TEST

/* ---- two threads ---- */

#define MANY 200000u

static void *write_many(void *arg) {
  (void)arg;
  ring_builder_context(&builder, 0, "op", "base", NULL);
  for (uint32_t i = 1; i <= MANY; i++) {
    while (ring_builder_used(&builder) + 2 > N)
      (void)sched_yield();
    if (i % 1000 == 0)
      ring_builder_context(&builder, 0, "op", "base", NULL);
    write_hit(i, 0);
    ring_builder_publish(&builder);
  }
  return NULL;
}

START_TEST(concurrent_writer_all_hits_in_order) {
  pthread_t thread;
  uint32_t read = 0;
  ck_assert_int_eq(pthread_create(&thread, NULL, write_many, NULL), 0);
  while (read < MANY) {
    ck_assert_int_eq(ring_reader_load_head(&reader, &why), 0);
    while (reader.at != reader.head) {
      ck_assert_int_eq(ring_reader_next(&reader, UINT64_MAX, hits, RING_READER_BATCH, &n, &why), 0);
      for (size_t i = 0; i < n; i++)
        ck_assert_uint_eq(hits[i].record.top_k, ++read);
    }
    ring_reader_release(&reader);
  }
  ck_assert_int_eq(pthread_join(thread, NULL), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("ring_reader");
  TCase *tcase = tcase_create("ring_reader");
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_set_timeout(tcase, 60);
  tcase_add_test(tcase, file_is_allocated_sealed_and_cloexec);
  tcase_add_test(tcase, empty_ring_no_hits);
  tcase_add_test(tcase, hit_record_copied_whole);
  tcase_add_test(tcase, unpublished_records_not_read);
  tcase_add_test(tcase, context_redefined_applies_to_later_hits);
  tcase_add_test(tcase, longest_names_wrap_around);
  tcase_add_test(tcase, full_ring_read_in_batches);
  tcase_add_loop_test(tcase, record_undefined_kind_rejected, 0, 3);
  tcase_add_loop_test(tcase, hit_undefined_context_rejected, 0, 4);
  tcase_add_loop_test(tcase, hit_undefined_flags_rejected, 0, 2);
  tcase_add_loop_test(tcase, context_malformed_rejected, 0, 8);
  tcase_add_test(tcase, context_incomplete_rejected);
  tcase_add_test(tcase, context_malformed_keeps_former);
  tcase_add_loop_test(tcase, head_impossible_rejected, 0, 5);
  tcase_add_test(tcase, head_going_back_rejected);
  tcase_add_test(tcase, head_more_than_ring_ahead_rejected);
  tcase_add_test(tcase, header_overwritten_by_client_ignored);
  tcase_add_test(tcase, unrecorded_count_reported_once);
  tcase_add_test(tcase, concurrent_writer_all_hits_in_order);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
