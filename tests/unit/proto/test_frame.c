/* Frames: whole, cut at every byte, and malformed. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "proto/errors.h"
#include "proto/wire/frame.h"
#include "tests/support/runner.h"

#define BODY 5u
#define FRAME (FC_FRAME_HEADER + BODY)

/* Peeks at a copy of the exact size, so that a sanitizer sees a read behind its end. */
static int peek_copy(const uint8_t *data, size_t size, uint32_t max_body, uint32_t *body) {
  uint8_t *copy = malloc(size ? size : 1);
  int result;

  ck_assert_ptr_nonnull(copy);
  memcpy(copy, data, size);
  result = fc_frame_peek(size ? copy : copy + 1, size, max_body, body);
  free(copy);
  return result;
}

static void make_frame(uint8_t frame[FRAME]) {
  fc_frame_put_header(frame, BODY);
  memset(frame + FC_FRAME_HEADER, 'b', BODY);
}

START_TEST(header_written_has_documented_bytes) {
  uint8_t header[FC_FRAME_HEADER];

  fc_frame_put_header(header, 0x01020304);
  ck_assert_mem_eq(header, "FCA1\1\2\3\4", FC_FRAME_HEADER);
}
END_TEST

START_TEST(frame_fed_byte_by_byte_done_at_last) {
  uint8_t frame[FRAME];
  uint32_t body;

  make_frame(frame);
  for (size_t size = 0; size < FRAME; size++) {
    ck_assert_int_eq(peek_copy(frame, size, BODY, &body), FC_FRAME_MORE);
    ck_assert_uint_eq(body, size < FC_FRAME_HEADER ? 0 : BODY);
  }
  ck_assert_int_eq(peek_copy(frame, FRAME, BODY, &body), FC_FRAME_DONE);
  ck_assert_uint_eq(body, BODY);
}
END_TEST

START_TEST(frame_followed_by_next_done) {
  uint8_t frames[FRAME + 3];
  uint32_t body;

  make_frame(frames);
  memset(frames + FRAME, 'x', 3);
  ck_assert_int_eq(peek_copy(frames, sizeof frames, BODY, &body), FC_FRAME_DONE);
  ck_assert_uint_eq(body, BODY);
}
END_TEST

START_TEST(magic_wrong_byte_rejected_at_once) {
  uint8_t frame[FRAME];
  uint32_t body;

  for (size_t bad = 0; bad < 4; bad++) {
    make_frame(frame);
    frame[bad] ^= 0x20;
    for (size_t size = 0; size <= FRAME; size++)
      ck_assert_int_eq(peek_copy(frame, size, BODY, &body),
                       size <= bad ? FC_FRAME_MORE : FC_EPROTOCOL);
  }
}
END_TEST

START_TEST(body_empty_rejected) {
  uint8_t header[FC_FRAME_HEADER];
  uint32_t body;

  fc_frame_put_header(header, 0);
  ck_assert_int_eq(peek_copy(header, sizeof header, UINT32_MAX, &body), FC_EPROTOCOL);
}
END_TEST

START_TEST(body_over_limit_rejected_by_header) {
  uint8_t header[FC_FRAME_HEADER];
  uint32_t body;

  fc_frame_put_header(header, 1001);
  ck_assert_int_eq(peek_copy(header, sizeof header, 1000, &body), FC_EFRAME);
  ck_assert_int_eq(peek_copy(header, sizeof header, 1001, &body), FC_FRAME_MORE);
  fc_frame_put_header(header, UINT32_MAX); /* 4 GiB less one */
  ck_assert_int_eq(peek_copy(header, sizeof header, 1u << 30, &body), FC_EFRAME);
  ck_assert_uint_eq(body, UINT32_MAX);
  ck_assert_int_eq(peek_copy(header, sizeof header, UINT32_MAX, &body), FC_FRAME_MORE);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("frame");
  TCase *tests = tcase_create("frame");

  tcase_add_test(tests, header_written_has_documented_bytes);
  tcase_add_test(tests, frame_fed_byte_by_byte_done_at_last);
  tcase_add_test(tests, frame_followed_by_next_done);
  tcase_add_test(tests, magic_wrong_byte_rejected_at_once);
  tcase_add_test(tests, body_empty_rejected);
  tcase_add_test(tests, body_over_limit_rejected_by_header);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
