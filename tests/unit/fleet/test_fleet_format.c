/* The formats of the tier, against bytes that must never change: other nodes have other versions of
 * the daemon. The expected bytes were computed by another implementation (Python, xxhash). */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/fleet/fleet_key.h"
#include "daemon/fleet/fleet_own.h"
#include "daemon/fleet/fleet_value.h"
#include "tests/support/runner.h"

#define MAX_VALUE 1000u

static struct fc_key some_key(void) {
  struct fc_key key = {.op = fc_str_of("logprob_of"), .view = fc_str_of("base"), .top_k = 5};
  for (uint32_t i = 0; i < FC_HASH_SIZE; i++)
    key.prompt.bytes[i] = (uint8_t)i;
  return key;
}

static struct fc_hash some_hash(void) {
  struct fc_key key = some_key();
  return fleet_key_hash(fc_str_of("space"), &key);
}

static void check_text(const struct fleet_key *name, const char *text) {
  ck_assert_uint_eq(name->size, strlen(text));
  ck_assert_mem_eq(name->text, text, name->size);
}

/* ---- names ---- */

START_TEST(names_are_as_documented) {
  struct fc_hash hash = some_hash();
  struct fleet_key name;
  fleet_key_set(&name, fc_str_of("fcached:"), &hash, 0, FLEET_KEY_VALUE);
  check_text(&name, "fcached:1:{d30ae85bfcc8e6ec9d173bd45346fce4}:0:v");
  fleet_key_set(&name, (struct fc_str){0}, &hash, UINT64_MAX, FLEET_KEY_LEASE);
  check_text(&name, "1:{d30ae85bfcc8e6ec9d173bd45346fce4}:18446744073709551615:l");
  fleet_key_set_shared(&name, fc_str_of("p"), "clears");
  check_text(&name, "p1:{fleet}:clears");
}
END_TEST

START_TEST(longest_name_fits) {
  char prefix[FLEET_PREFIX_MAX + 1];
  struct fc_hash hash = some_hash();
  struct fleet_key name;
  memset(prefix, 'p', FLEET_PREFIX_MAX);
  prefix[FLEET_PREFIX_MAX] = '\0';
  fleet_key_set(&name, fc_str_of(prefix), &hash, UINT64_MAX, FLEET_KEY_VALUE);
  ck_assert_uint_eq(name.size, FLEET_PREFIX_MAX + 2 + 34 + 1 + 20 + 2);
  fleet_key_set_shared(&name, fc_str_of(prefix), "sixteen letters!");
  ck_assert_uint_eq(name.size, FLEET_PREFIX_MAX + 2 + 8 + 16);
}
END_TEST

START_TEST(prefix_is_checked) {
  static const struct {
    const char *text;
    bool valid;
  } cases[] = {{"", true},     {"fcached:", true}, {"a.b-c/d", true},
               {"a b", false}, {"a{b", false},     {"}", false},
               {"a\n", false}, {"\x7f", false},    {"\xc3\xa4", false}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    ck_assert_int_eq(fleet_prefix_valid(fc_str_of(cases[i].text)), cases[i].valid);
  char longest[FLEET_PREFIX_MAX + 2];
  memset(longest, 'x', sizeof longest);
  ck_assert(fleet_prefix_valid((struct fc_str){longest, FLEET_PREFIX_MAX}));
  ck_assert(!fleet_prefix_valid((struct fc_str){longest, FLEET_PREFIX_MAX + 1}));
}
END_TEST

/* No two keys have one text: each part is behind its size. */
START_TEST(parts_of_key_are_told_apart) {
  struct fc_key ab_c = some_key(), a_bc = some_key(), other = some_key();
  ab_c.op = fc_str_of("ab");
  ab_c.view = fc_str_of("c");
  a_bc.op = fc_str_of("a");
  a_bc.view = fc_str_of("bc");
  struct fc_hash x = fleet_key_hash(fc_str_of("s"), &ab_c),
                 y = fleet_key_hash(fc_str_of("s"), &a_bc);
  ck_assert_mem_ne(&x, &y, sizeof x);
  y = fleet_key_hash(fc_str_of("t"), &ab_c);
  ck_assert_mem_ne(&x, &y, sizeof x);
  x = fleet_key_hash(fc_str_of("s"), &other);
  other.top_k++;
  y = fleet_key_hash(fc_str_of("s"), &other);
  ck_assert_mem_ne(&x, &y, sizeof x);
}
END_TEST

/* ---- values ---- */

static size_t make_value(uint8_t *bytes, uint64_t deleted) {
  struct fc_hash hash = some_hash();
  struct fleet_value value = {.data = (const uint8_t *)"abc",
                              .size = deleted != 0 ? 0 : 3,
                              .compute_ns = 0x1122334455667788,
                              .stamp = 0x0102030405060708,
                              .node = 0xa1a2a3a4a5a6a7a8,
                              .version = 7,
                              .deleted = deleted};
  fleet_value_encode_head(&value, &hash, bytes);
  memcpy(bytes + FLEET_VALUE_HEAD, "abc", value.size);
  return FLEET_VALUE_HEAD + value.size;
}

static enum fleet_value_state decode(const uint8_t *bytes, size_t size, struct fleet_value *value) {
  struct fc_hash hash = some_hash();
  return fleet_value_decode(bytes, size, &hash, 7, MAX_VALUE, value);
}

START_TEST(value_has_fixed_bytes) {
  static const uint8_t expected[] = {
      0x66, 0x63, 0x54, 0x31, 0x00, 0x00, 0x00, 0x00, 0x03, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x00, 0x00, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0x08, 0x07, 0x06, 0x05,
      0x04, 0x03, 0x02, 0x01, 0xa8, 0xa7, 0xa6, 0xa5, 0xa4, 0xa3, 0xa2, 0xa1, 0x07, 0x00,
      0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x39, 0x96, 0x54, 0xf6, 0x50, 0xbe, 0xc3, 0x22,
      0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x61, 0x62, 0x63};
  uint8_t bytes[128];
  struct fleet_value value;
  ck_assert_uint_eq(make_value(bytes, 0), sizeof expected);
  ck_assert_mem_eq(bytes, expected, sizeof expected);
  ck_assert_int_eq(decode(bytes, sizeof expected, &value), FLEET_VALUE_GOOD);
  ck_assert_uint_eq(value.size, 3);
  ck_assert_mem_eq(value.data, "abc", 3);
  ck_assert_uint_eq(value.compute_ns, 0x1122334455667788);
  ck_assert_uint_eq(value.stamp, 0x0102030405060708);
  ck_assert_uint_eq(value.node, 0xa1a2a3a4a5a6a7a8);
  ck_assert_uint_eq(value.version, 7);
}
END_TEST

START_TEST(tombstone_has_fixed_bytes) {
  static const uint8_t expected[] = {
      0x66, 0x63, 0x54, 0x31, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
      0x00, 0x00, 0x00, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 0x08, 0x07,
      0x06, 0x05, 0x04, 0x03, 0x02, 0x01, 0xa8, 0xa7, 0xa6, 0xa5, 0xa4, 0xa3, 0xa2,
      0xa1, 0x07, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x61, 0xdb, 0xe5, 0xae,
      0x6d, 0x4a, 0xaa, 0x78, 0x09, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};
  uint8_t bytes[128];
  struct fleet_value value;
  ck_assert_uint_eq(make_value(bytes, 9), sizeof expected);
  ck_assert_mem_eq(bytes, expected, sizeof expected);
  ck_assert_int_eq(decode(bytes, sizeof expected, &value), FLEET_VALUE_TOMBSTONE);
  ck_assert_uint_eq(value.deleted, 9);
  ck_assert_ptr_null(value.data);
}
END_TEST

/* Each bit counts. */
START_TEST(value_with_any_changed_bit_is_bad) {
  for (uint64_t deleted = 0; deleted <= 9; deleted += 9) {
    uint8_t bytes[128];
    struct fleet_value value;
    size_t size = make_value(bytes, deleted);
    for (size_t bit = 0; bit < 8 * size; bit++) {
      bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
      ck_assert_int_eq(decode(bytes, size, &value), FLEET_VALUE_BAD);
      bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
  }
}
END_TEST

/* Copies of the right size, so that a sanitizer sees a read behind them. */
START_TEST(value_cut_anywhere_is_bad) {
  uint8_t bytes[128];
  struct fleet_value value;
  size_t size = make_value(bytes, 0);
  for (size_t cut = 0; cut < size; cut++) {
    uint8_t *copy = malloc(cut + 1);
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, bytes, cut);
    ck_assert_int_eq(decode(copy, cut, &value), FLEET_VALUE_BAD);
    free(copy);
  }
  ck_assert_int_eq(decode(bytes, size + 1, &value), FLEET_VALUE_BAD);
}
END_TEST

START_TEST(value_of_another_key_or_version_is_bad) {
  uint8_t bytes[128];
  struct fleet_value value;
  size_t size = make_value(bytes, 0);
  struct fc_hash hash = some_hash();
  ck_assert_int_eq(fleet_value_decode(bytes, size, &hash, 8, MAX_VALUE, &value), FLEET_VALUE_BAD);
  hash.bytes[0]++;
  ck_assert_int_eq(fleet_value_decode(bytes, size, &hash, 7, MAX_VALUE, &value), FLEET_VALUE_BAD);
}
END_TEST

/* A read asks for one byte more than a value may have. */
START_TEST(value_above_limit_is_too_big) {
  uint8_t bytes[FLEET_VALUE_HEAD + 11] = {0};
  struct fc_hash hash = some_hash();
  struct fleet_value value = {.data = bytes + FLEET_VALUE_HEAD, .size = 11, .version = 7};
  fleet_value_encode_head(&value, &hash, bytes);
  ck_assert_int_eq(fleet_value_decode(bytes, sizeof bytes, &hash, 7, 10, &value),
                   FLEET_VALUE_TOO_BIG);
  ck_assert_int_eq(fleet_value_decode(bytes, sizeof bytes - 1, &hash, 7, 10, &value),
                   FLEET_VALUE_BAD);
  ck_assert_int_eq(fleet_value_decode(bytes, sizeof bytes, &hash, 7, 11, &value), FLEET_VALUE_GOOD);
}
END_TEST

/* ---- own keys ---- */

START_TEST(own_mark_is_of_key_and_version) {
  struct fleet_own own;
  struct fc_hash hash = some_hash(), other = some_hash();
  other.bytes[0] ^= 1;
  ck_assert_int_eq(fleet_own_init(&own), 0);
  ck_assert(!fleet_own_has(&own, &hash, 0));
  fleet_own_mark(&own, &hash, 0);
  fleet_own_mark(&own, &hash, 0);
  ck_assert(fleet_own_has(&own, &hash, 0));
  ck_assert(!fleet_own_has(&own, &hash, 1));
  ck_assert(!fleet_own_has(&own, &other, 0));
  ck_assert_uint_eq(own.n, 1);
  fleet_own_deinit(&own);
  fleet_own_deinit(&own); /* idempotent */
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fleet_format");
  TCase *tcase = tcase_create("fleet_format");
  tcase_add_test(tcase, names_are_as_documented);
  tcase_add_test(tcase, longest_name_fits);
  tcase_add_test(tcase, prefix_is_checked);
  tcase_add_test(tcase, parts_of_key_are_told_apart);
  tcase_add_test(tcase, value_has_fixed_bytes);
  tcase_add_test(tcase, tombstone_has_fixed_bytes);
  tcase_add_test(tcase, value_with_any_changed_bit_is_bad);
  tcase_add_test(tcase, value_cut_anywhere_is_bad);
  tcase_add_test(tcase, value_of_another_key_or_version_is_bad);
  tcase_add_test(tcase, value_above_limit_is_too_big);
  tcase_add_test(tcase, own_mark_is_of_key_and_version);
  suite_add_tcase(suite, tcase);
  return runner_run(suite);
}
