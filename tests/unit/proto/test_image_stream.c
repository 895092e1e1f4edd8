/* An image from a pipe gives what the same image gives from a file: records, counts, and the
 * offsets of damage. */
#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/errors.h"
#include "proto/image/image_reader.h"
#include "tests/support/expect.h"
#include "tests/support/image_builder.h"
#include "tests/support/runner.h"

#define MAX_VALUE 200000u
#define DAMAGES_MAX 64u

static struct built_image image;

static void set_up(void) {
  (void)signal(SIGPIPE, SIG_IGN); /* a reader may stop before the end */
  built_begin(&image);
  for (uint32_t i = 0; i < 30; i++) /* one is too large, and some are longer than a pipe holds */
    built_add(&image, i == 20 ? MAX_VALUE + 1 : i % 7 == 6 ? 150000 : i * 50);
  built_finish(&image);
}

static void tear_down(void) {
  built_free(&image);
}

/* What a reader found. */
struct result {
  int rc;
  uint64_t records, damaged, too_large, stamps; /* stamps: their sum */
  bool has_last;
  uint32_t n_damages;
  uint64_t damages[DAMAGES_MAX]; /* offsets; plus 1 if the head was intact, which is no offset */
};

static void note_damage(void *arg, uint64_t offset, const struct image_record *record) {
  struct result *result = arg;
  if (result->n_damages < DAMAGES_MAX)
    result->damages[result->n_damages++] = offset + (record != NULL);
}

static void read_all(struct image_reader *reader, struct result *result) {
  struct image_read batch[IMAGE_BATCH];
  reader->on_damage = note_damage;
  reader->on_damage_arg = result;
  for (int n; (n = image_reader_next(reader, batch)) != 0;) {
    EXPECT(n > 0);
    for (int i = 0; i < n; i++) {
      (void)built_number(&batch[i].record, batch[i].value); /* checks the value */
      result->stamps += batch[i].record.stamp;
    }
  }
  EXPECT_EQUAL(reader->error, 0);
  result->records = reader->records;
  result->damaged = reader->damaged;
  result->too_large = reader->too_large;
  result->has_last = reader->has_last;
}

/* Bytes that a thread writes to a pipe, in parts of an odd size. */
struct source {
  const uint8_t *bytes;
  size_t size;
  int fd;
};

static void *write_all(void *arg) {
  const struct source *source = arg;
  size_t done = 0;
  while (done < source->size) {
    size_t some = source->size - done < 4099 ? source->size - done : 4099;
    ssize_t n = write(source->fd, source->bytes + done, some);
    if (n <= 0) /* the reader has stopped */
      break;
    done += (size_t)n;
  }
  (void)close(source->fd);
  return NULL;
}

static struct result from_pipe(const uint8_t *bytes, size_t size) {
  struct result result = {0};
  struct image_reader reader;
  pthread_t thread;
  int ends[2];
  EXPECT_EQUAL(pipe(ends), 0);
  struct source source = {bytes, size, ends[1]};
  EXPECT_EQUAL(pthread_create(&thread, NULL, write_all, &source), 0);
  result.rc = image_reader_open_stream(&reader, ends[0], MAX_VALUE);
  if (result.rc == 0)
    read_all(&reader, &result);
  image_reader_close(&reader);
  EXPECT_EQUAL(close(ends[0]), 0);
  EXPECT_EQUAL(pthread_join(thread, NULL), 0);
  return result;
}

static struct result from_file(const uint8_t *bytes, size_t size) {
  struct result result = {0};
  struct image_reader reader;
  int fd = built_file(bytes, size);
  result.rc = image_reader_open(&reader, fd, MAX_VALUE);
  if (result.rc == 0)
    read_all(&reader, &result);
  image_reader_close(&reader);
  EXPECT_EQUAL(close(fd), 0);
  return result;
}

static void expect_same(const uint8_t *bytes, size_t size) {
  struct result pipe = from_pipe(bytes, size), file = from_file(bytes, size);
  EXPECT_EQUAL(pipe.rc, file.rc);
  EXPECT_EQUAL(pipe.records, file.records);
  EXPECT_EQUAL(pipe.damaged, file.damaged);
  EXPECT_EQUAL(pipe.too_large, file.too_large);
  EXPECT_EQUAL(pipe.stamps, file.stamps);
  EXPECT_EQUAL(pipe.n_damages, file.n_damages);
  for (uint32_t i = 0; i < pipe.n_damages; i++)
    EXPECT_EQUAL(pipe.damages[i], file.damages[i]);
}

START_TEST(stream_whole_image_read) {
  struct result result = from_pipe(image.bytes.data, image.bytes.size);
  ck_assert_int_eq(result.rc, 0);
  ck_assert_uint_eq(result.records, 29);
  ck_assert_uint_eq(result.too_large, 1);
  ck_assert_uint_eq(result.damaged, 0);
  ck_assert(result.has_last);
  expect_same(image.bytes.data, image.bytes.size);
}
END_TEST

START_TEST(stream_cut_gives_what_is_whole) {
  uint64_t last = 0;
  for (size_t size = 0; size < image.bytes.size; size += 1 + image.bytes.size / 300) {
    struct result result = from_pipe(image.bytes.data, size);
    if (result.rc == 0) { /* the preamble is whole */
      EXPECT(result.records >= last && !result.has_last);
      expect_same(image.bytes.data, size);
      last = result.records;
    } else {
      EXPECT_EQUAL(result.rc, FC_EINVAL);
      EXPECT_EQUAL(last, 0);
    }
  }
  ck_assert_uint_gt(last, 20);
}
END_TEST

START_TEST(stream_changed_byte_costs_its_record) {
  for (size_t at = image.bytes.size / 300; at < image.bytes.size; at += image.bytes.size / 301) {
    image.bytes.data[at] ^= 0x55;
    struct result result = from_pipe(image.bytes.data, image.bytes.size);
    if (result.rc == 0) {
      EXPECT(result.records >= 28);
      expect_same(image.bytes.data, image.bytes.size);
      EXPECT(result.n_damages == 0 || result.damages[0] <= at + 1);
    }
    image.bytes.data[at] ^= 0x55;
  }
}
END_TEST

START_TEST(stream_of_anything_else_refused) {
  static uint8_t yes[100000];
  for (size_t i = 0; i < sizeof yes; i++)
    yes[i] = i % 2 == 0 ? 'y' : '\n';
  ck_assert_int_eq(from_pipe(yes, sizeof yes).rc, FC_EINVAL);
  ck_assert_int_eq(from_pipe(yes, 0).rc, FC_EINVAL);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("image_stream");
  TCase *tcase = tcase_create("image_stream");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, stream_whole_image_read);
  tcase_add_test(tcase, stream_cut_gives_what_is_whole);
  tcase_add_test(tcase, stream_changed_byte_costs_its_record);
  tcase_add_test(tcase, stream_of_anything_else_refused);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
