/* fc_decode_reply_head: a reply with one value is recognised from the bytes before its value. */
#include <check.h>
#include <string.h>

#include "proto/wire/frame.h"
#include "proto/wire/message.h"
#include "tests/support/proto_samples.h"
#include "tests/support/runner.h"

/* Decodes the first `have` bytes of a frame's body, whose value has `value_size` bytes. */
static bool head_of(const struct fc_buf *head, size_t have, uint32_t value_size,
                    struct fc_reply *reply, size_t *offset) {
  uint32_t body_size = (uint32_t)(head->size - FC_FRAME_HEADER) + value_size, size = 0;

  if (!fc_decode_reply_head(head->data + FC_FRAME_HEADER, have, body_size, reply, offset, &size))
    return false;
  ck_assert_uint_eq(size, value_size);
  ck_assert_uint_eq(*offset, head->size - FC_FRAME_HEADER);
  return true;
}

START_TEST(reply_head_of_hit_accepted) {
  struct fc_buf buf = {0};
  struct fc_reply reply;
  size_t offset, whole;

  ck_assert_int_eq(fc_encode_hit_head(&buf, 7, 3, 70000), 0);
  whole = buf.size - FC_FRAME_HEADER;
  ck_assert(head_of(&buf, whole, 70000, &reply, &offset));
  ck_assert_int_eq(reply.type, FC_REPLY | FC_GET);
  ck_assert_uint_eq(reply.id, 7);
  ck_assert(reply.get.clear_generation == 3);
  for (size_t have = 0; have < whole; have++)
    ck_assert_msg(!head_of(&buf, have, 70000, &reply, &offset), "known by %zu bytes", have);
  ck_assert(!head_of(&buf, whole, 70001, &reply, &offset)); /* something follows its value */
  ck_assert(!head_of(&buf, whole, 69999, &reply, &offset));
  fc_buf_reset(&buf);

  ck_assert_int_eq(fc_encode_get_many_reply_head(
                       &buf, 8, &(struct fc_get_many_reply){9, 5, true, {.n = 1}, NULL, 0}),
                   0);
  ck_assert_int_eq(fc_encode_bin_head(&buf, 300), 0);
  ck_assert(head_of(&buf, buf.size - FC_FRAME_HEADER, 300, &reply, &offset));
  ck_assert_int_eq(reply.type, FC_REPLY | FC_GET_MANY);
  ck_assert_uint_eq(reply.get_many.first, 5);
  ck_assert(reply.get_many.last);
  fc_buf_free(&buf);
}
END_TEST

static void no_head(void *arg, const struct proto_sample *sample) {
  const uint8_t *body = sample->frame->data + FC_FRAME_HEADER;
  size_t size = sample->frame->size - FC_FRAME_HEADER, offset;
  struct fc_reply reply;
  uint32_t value_size;

  (void)arg; /* no state */
  if (sample->reply && strncmp(sample->name, "hit", 3) != 0)
    ck_assert_msg(!fc_decode_reply_head(body, size, (uint32_t)size, &reply, &offset, &value_size),
                  "%s taken for a hit", sample->name);
}

START_TEST(reply_head_of_other_reply_rejected) {
  /* a hit, and a part with one, that a later version has made longer: not by their heads */
  static const uint8_t hit[] = {0x95, 0x42, 1, 0, 0xc4, 1, 'v'};
  static const uint8_t part[] = {0x97, 0x44, 1, 0, 0, 0xc3, 0x91, 0xc4, 1, 'v'};
  struct fc_reply reply;
  size_t offset;
  uint32_t size;

  proto_samples(no_head, NULL);
  ck_assert(!fc_decode_reply_head(hit, sizeof hit, sizeof hit, &reply, &offset, &size));
  ck_assert(!fc_decode_reply_head(part, sizeof part, sizeof part, &reply, &offset, &size));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("reply_head");
  TCase *tests = tcase_create("reply_head");

  tcase_add_test(tests, reply_head_of_hit_accepted);
  tcase_add_test(tests, reply_head_of_other_reply_rejected);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
