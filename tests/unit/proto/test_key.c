/* Names, prompt hashes and digests. The hash vectors come from another
 * implementation's reading of the bytes (the Python package xxhash). */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "proto/key.h"
#include "proto/limits.h"
#include "tests/support/runner.h"

/* Checks a copy of the exact size, so that a sanitizer sees a read behind its end. */
static bool valid(const void *bytes, size_t size) {
  char *copy = malloc(size ? size : 1);
  bool result;

  ck_assert_ptr_nonnull(copy);
  memcpy(copy, bytes, size);
  result = fc_name_valid((struct fc_str){copy, (uint32_t)size});
  free(copy);
  return result;
}

START_TEST(name_size_outside_1_to_255_rejected) {
  char long_name[256];

  memset(long_name, 'n', sizeof long_name);
  ck_assert(!fc_name_valid((struct fc_str){NULL, 0}));
  ck_assert(!valid("", 0));
  for (size_t size = 1; size <= FC_NAME_MAX; size++)
    ck_assert(valid(long_name, size));
  ck_assert(!valid(long_name, 256));
}
END_TEST

START_TEST(manifest_size_outside_1_to_16384_rejected) {
  char *manifest = malloc(FC_MANIFEST_MAX + 1);

  ck_assert_ptr_nonnull(manifest);
  memset(manifest, '{', FC_MANIFEST_MAX + 1);
  ck_assert(!fc_manifest_valid((struct fc_str){NULL, 0}));
  ck_assert(!fc_manifest_valid((struct fc_str){manifest, 0}));
  ck_assert(fc_manifest_valid((struct fc_str){manifest, 1}));
  ck_assert(fc_manifest_valid((struct fc_str){manifest, FC_MANIFEST_MAX}));
  ck_assert(!fc_manifest_valid((struct fc_str){manifest, FC_MANIFEST_MAX + 1}));
  manifest[FC_MANIFEST_MAX - 1] = (char)0xc3; /* the first byte of a character of two */
  ck_assert(!fc_manifest_valid((struct fc_str){manifest, FC_MANIFEST_MAX}));
  free(manifest);
}
END_TEST

/* States the rule a second time, by the code point. */
static bool allowed(uint32_t c) {
  return c >= 0x20 && !(c >= 0x7f && c <= 0x9f) && !(c >= 0xd800 && c <= 0xdfff) && c <= 0x10ffff;
}

static bool is_scalar(uint32_t c) {
  return !(c >= 0xd800 && c <= 0xdfff) && c <= 0x10ffff;
}

/* `length` forces overlong forms. */
static void put_utf8(uint8_t *out, uint32_t c, size_t length) {
  static const uint8_t lead[] = {0, 0, 0xc0, 0xe0, 0xf0};

  for (size_t i = length; i > 1; i--) {
    out[i - 1] = (uint8_t)(0x80 | (c & 0x3f));
    c >>= 6;
  }
  out[0] = (uint8_t)(lead[length] | c);
}

static size_t shortest(uint32_t c) {
  return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}

START_TEST(name_every_code_point_accepted_by_rule) {
  uint8_t bytes[4];

  for (uint32_t c = 0; c < 0x200000; c++) {
    put_utf8(bytes, c, shortest(c));
    ck_assert_msg(fc_name_valid((struct fc_str){(char *)bytes, (uint32_t)shortest(c)}) ==
                      allowed(c),
                  "U+%04X", c);
    ck_assert_msg(fc_manifest_valid((struct fc_str){(char *)bytes, (uint32_t)shortest(c)}) ==
                      (c > 0 && is_scalar(c)),
                  "U+%04X in a manifest", c);
  }
}
END_TEST

START_TEST(name_overlong_form_rejected) {
  uint8_t bytes[4];

  for (uint32_t c = 0; c < 0x10000; c++)
    for (size_t length = shortest(c) + 1; length <= 4; length++) {
      put_utf8(bytes, c, length);
      ck_assert_msg(!fc_name_valid((struct fc_str){(char *)bytes, (uint32_t)length}),
                    "U+%04X in %zu bytes", c, length);
      ck_assert_msg(!fc_manifest_valid((struct fc_str){(char *)bytes, (uint32_t)length}),
                    "U+%04X in %zu bytes of a manifest", c, length);
    }
}
END_TEST

START_TEST(name_every_byte_at_every_place_accepted_by_rule) {
  char name[20];

  for (size_t size = 1; size <= sizeof name; size++)
    for (size_t at = 0; at < size; at++)
      for (unsigned byte = 0; byte < 256; byte++) {
        memset(name, 'x', sizeof name);
        name[at] = (char)byte;
        ck_assert_msg(valid(name, size) == (byte >= 0x20 && byte < 0x7f), "%02x at %zu of %zu",
                      byte, at, size);
      }
}
END_TEST

START_TEST(name_cut_character_rejected) {
  const char *names[] = {"\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "abcdefg\xe2\x82\xac"};

  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    size_t size = strlen(names[i]);

    ck_assert(valid(names[i], size));
    for (size_t cut = 1; cut < size; cut++)
      ck_assert(valid(names[i], cut) == (i == 3 && cut <= 7));
  }
}
END_TEST

static const struct {
  const char *bytes;
  size_t size;
  const char *hex;
} vectors[] = {
    {"", 0, "99aa06d3014798d86001c324468d497f"},
    {"a", 1, "a96faf705af16834e6c632b61e964e1f"},
    {"hello", 5, "b5e9c1ad071b3e7fc779cfaa5e523818"},
    {"\0", 1, "a6cd5e9392000f6ac44bdff4074eecdb"},
    {"a\0b", 3, "39797789ed4c7ea0d5a06cd078125351"},
    {"na\xc3\xafve caf\xc3\xa9", 12, "6e52278155ac0dac4bd2396862dbbac1"},
    {"The quick brown fox jumps over the lazy dog", 43, "ddd650205ca3e7fa24a1cc2e3a8a7651"},
};

START_TEST(hash_of_prompt_equals_published) {
  char hex[FC_HASH_HEX_SIZE];
  struct fc_hash hash;

  for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
    hash = fc_hash_prompt(vectors[i].bytes, vectors[i].size);
    fc_hash_hex(&hash, hex);
    ck_assert_str_eq(hex, vectors[i].hex);
  }
  hash = fc_hash_prompt(NULL, 0);
  fc_hash_hex(&hash, hex);
  ck_assert_str_eq(hex, vectors[0].hex);
}
END_TEST

START_TEST(hash_of_long_prompt_equals_published) {
  size_t size = 1000000;
  uint8_t *bytes = malloc(size);
  char hex[FC_HASH_HEX_SIZE];
  struct fc_hash hash;

  ck_assert_ptr_nonnull(bytes);
  for (size_t i = 0; i < size; i++)
    bytes[i] = (uint8_t)(i * 7 % 251);
  hash = fc_hash_prompt(bytes, size);
  free(bytes);
  fc_hash_hex(&hash, hex);
  ck_assert_str_eq(hex, "2bac1861f7a2739f5d14519539098c8a");
}
END_TEST

START_TEST(hash_hex_parsed_back) {
  const char *upper = "00FFA5C39A0B1D2E7F80010203040506";
  struct fc_hash hash, again, kept;
  char hex[FC_HASH_HEX_SIZE];

  ck_assert(fc_hash_parse(upper, 32, &hash));
  fc_hash_hex(&hash, hex);
  ck_assert_str_eq(hex, "00ffa5c39a0b1d2e7f80010203040506");
  ck_assert(fc_hash_parse(hex, 32, &again));
  ck_assert_mem_eq(&hash, &again, sizeof hash);
  kept = hash;
  ck_assert(!fc_hash_parse(hex, 31, &hash));
  ck_assert(!fc_hash_parse(hex, 33, &hash));
  for (size_t i = 0; i < 32; i++) {
    const char bad[] = {'g', 'G', '/', ':', '@', '`', ' ', '\0', '\xff'};

    for (size_t j = 0; j < sizeof bad; j++) {
      char broken[FC_HASH_HEX_SIZE];

      memcpy(broken, hex, sizeof broken);
      broken[i] = bad[j];
      ck_assert(!fc_hash_parse(broken, 32, &hash));
    }
  }
  ck_assert_mem_eq(&hash, &kept, sizeof hash);
}
END_TEST

START_TEST(digest_any_part_changed_differs) {
  struct fc_key key = {fc_str_of("op"), fc_str_of("view"), 5, fc_hash_prompt("p", 1)}, other;
  uint64_t digest = fc_key_digest(1, &key);

  ck_assert(fc_key_digest(1, &key) == digest);
  ck_assert(fc_key_digest(2, &key) != digest);
  other = key;
  other.op = fc_str_of("opv");
  other.view = fc_str_of("iew"); /* the same bytes in a row */
  ck_assert(fc_key_digest(1, &other) != digest);
  other = key;
  other.top_k = 6;
  ck_assert(fc_key_digest(1, &other) != digest);
  other = key;
  other.prompt.bytes[15] ^= 1;
  ck_assert(fc_key_digest(1, &other) != digest);
}
END_TEST

START_TEST(str_compared_by_bytes) {
  ck_assert(fc_str_equal(fc_str_of("a"), (struct fc_str){"ab", 1}));
  ck_assert(!fc_str_equal(fc_str_of("a"), fc_str_of("b")));
  ck_assert(!fc_str_equal(fc_str_of("a"), fc_str_of("ab")));
  ck_assert(fc_str_equal(fc_str_of(NULL), fc_str_of("")));
  ck_assert_ptr_null(fc_str_of(NULL).data);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("key");
  TCase *tests = tcase_create("key");

  tcase_add_test(tests, name_size_outside_1_to_255_rejected);
  tcase_add_test(tests, manifest_size_outside_1_to_16384_rejected);
  tcase_add_test(tests, name_every_code_point_accepted_by_rule);
  tcase_add_test(tests, name_overlong_form_rejected);
  tcase_add_test(tests, name_every_byte_at_every_place_accepted_by_rule);
  tcase_add_test(tests, name_cut_character_rejected);
  tcase_add_test(tests, hash_of_prompt_equals_published);
  tcase_add_test(tests, hash_of_long_prompt_equals_published);
  tcase_add_test(tests, hash_hex_parsed_back);
  tcase_add_test(tests, digest_any_part_changed_differs);
  tcase_add_test(tests, str_compared_by_bytes);
  tcase_set_timeout(tests, 60);
  suite_add_tcase(suite, tests);
  return runner_run(suite);
}
