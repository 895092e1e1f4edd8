/* Slots of keys, against the vectors of the specification of Redis Cluster, and others that
 * Python's binascii.crc_hqx computed. */
#include <check.h>
#include <string.h>

#include "daemon/tier/key_slot.h"
#include "tests/support/runner.h"

static const struct {
  const char *key;
  uint16_t slot;
} vectors[] = {
    {"123456789", 0x31c3 % 16384}, /* "the output for 123456789 is 31C3" */
    {"", 0},
    {"foo", 12182},
    {"somekey", 11058},
    {"foo{hash_tag}", 2515},
    {"bar{hash_tag}", 2515},
    {"{user1000}.following", 3443},
    {"{user1000}.followers", 3443},
    {"foo{}{bar}", 8363},    /* an empty tag is none */
    {"foo{{bar}}zap", 4015}, /* the tag is "{bar" */
    {"foo{bar}{zap}", 5061}, /* the first one counts */
    {"foo{", 7673},
    {"foo}bar{", 11073},
    {"fcached:1:{fleet}:log", 14574},
    {"fcached:1:{fleet}:clears", 14574},
};

START_TEST(key_slot_equals_vectors) {
  for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++)
    ck_assert_msg(key_slot(vectors[i].key, strlen(vectors[i].key)) == vectors[i].slot,
                  "%s: slot %u", vectors[i].key, key_slot(vectors[i].key, strlen(vectors[i].key)));
  ck_assert_uint_eq(key_slot_crc16("123456789", 9), 0x31c3);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("key_slot");
  TCase *tc = tcase_create("key_slot");
  tcase_add_test(tc, key_slot_equals_vectors);
  suite_add_tcase(suite, tc);
  return runner_run(suite);
}
